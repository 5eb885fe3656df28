"""Rules of waits: for an event, a time, or what a handler's verbs make of them; and of events."""

import asyncio
from datetime import timedelta

from jobs_core import AnyJob, Snooze, Wait, WaitTimedOut, execute
from jobs_core.children import CHILDREN
from jobs_core.settle import settle
from jobs_core.steps import Waiting
from tests.drills.walk.known import Known, Step, must
from tests.drills.walk.new_jobs import HOUR
from tests.drills.walk.runs import a_run
from tests.drills.walk.walk import TYPES, Walk, rule


async def settle_wait(walk: Walk, run: AnyJob, job: Known, outcome: Wait | Snooze) -> None:
    """Its run ends, and it waits, unless that has happened."""
    assert isinstance(outcome, Wait), f"job {job.id} is put back, and should wait"
    await settle(walk.conn, run, outcome, TYPES[run.job_type])
    walk.model.wait(job, outcome.event, timed=outcome.until is not None)


@rule(1.3)
async def wait_for_an_event(walk: Walk) -> str:
    """As an outcome, with and without a time; one that was emitted before counts."""
    run, job = await a_run(walk)
    timed, also = walk.chance(0.4), walk.chance(0.4)
    outcome = Wait(_event(walk), HOUR if timed else None, also=walk.effect(run) if also else None)
    walk.model.effects[run.id, run.token] += also
    await settle_wait(walk, run, job, outcome)
    return f"job {job.id}, {outcome.event}: {job.state}"


@rule(1.2)
async def wait_for_a_time(walk: Walk) -> str:
    """As an outcome, or as a sleep."""
    run, job = await a_run(walk)
    if walk.chance(0.5) or (run.token, "sleep") in walk.used:
        await settle_wait(walk, run, job, Wait(until=HOUR))
        return f"job {job.id}"
    walk.used.add((run.token, "sleep"))
    record = walk.model.steps.get((job.id, "sleep:1"))
    try:
        await run.sleep(HOUR)
    except Waiting as wait:
        must(not record or not record.past, f"job {job.id} has slept long enough")
        await settle_wait(walk, run, job, wait.outcome)
        walk.model.steps[job.id, "sleep:1"] = Step("waiting", run.token, "timed")
        return f"job {job.id} sleeps"
    must(record and record.past, f"job {job.id} must sleep")
    return f"job {job.id} has slept"


@rule(1.3)
async def wait_for(walk: Walk) -> str:
    """As the handler's verb: the payload, too late, or a wait that keeps its first time."""
    run, job = await a_run(walk)
    name = walk.unused(run, "e0", "e1", "e2")
    event, place = f"{name}:{_round(walk)}", (job.id, f"wait:{name}:{_round(walk)}")
    record = walk.model.steps.get(place)
    done = record is not None and record.state == "done"
    try:
        payload = await run.wait_for(event, timeout=HOUR if walk.chance(0.7) else None)
    except WaitTimedOut:
        late = record and (record.output == "late" if done else record.past and event not in walk.model.events)
        must(late, f"job {job.id}: {event} is not late")
        walk.model.steps[place] = record if record and done else Step("done", run.token, "late")
        return f"job {job.id}, {event}: too late"
    except Waiting as wait:
        must(event not in walk.model.events and not done, f"job {job.id}: {event} was emitted")
        await settle_wait(walk, run, job, wait.outcome)
        walk.model.steps[place] = Step("waiting", run.token, "timed" if wait.outcome.until else None)
        return f"job {job.id}, {event}: it waits"
    known = record.output if record and done else walk.model.events.get(event)
    must(payload == known, f"job {job.id}: {event} came as {payload}, must be {known}")
    walk.model.steps[place] = record if record and done else Step("done", run.token, payload)
    return f"job {job.id}, {event}: {payload}"


@rule()
async def emit(walk: Walk) -> str:
    """The first one counts; who waits goes on."""
    event = walk.pick(sorted(_awaited(walk))) if _awaited(walk) and walk.chance(0.8) else _event(walk)
    payload = {"output": -len(walk.story)}
    first = await walk.jobs.emit(event, payload)
    must(first is walk.model.emit(event, payload), f"{event}: it said first: {first}")
    return event


@rule(1.6)
async def emit_again(walk: Walk) -> str:
    """A later one changes nothing."""
    event = walk.pick(sorted(walk.model.events))
    must(not await walk.jobs.emit(event, {"output": "later"}), f"{event} was emitted before")
    return event


@rule()
async def emit_in_a_transaction_that_is_rolled_back(walk: Walk) -> str:
    """It was not told."""
    event = _event(walk)
    async with walk.conn.transaction(force_rollback=True):
        await walk.jobs.emit(event, conn=walk.conn)
    return event


@rule(1.3)
async def emit_while_one_begins_to_wait(walk: Walk) -> str:
    """The two at once: it goes on."""
    run, job = await a_run(walk, lambda job: not job.gives_up)
    event, payload = _event(walk), {"output": -len(walk.story)}
    await asyncio.gather(settle(walk.conn, run, Wait(event), TYPES[run.job_type]), walk.jobs.emit(event, payload))
    walk.model.emit(event, payload)
    walk.model.wait(job, event, timed=False)
    return f"job {job.id}, {event}"


@rule(1.2)
async def a_waits_time_comes(walk: Walk) -> str:
    """Upkeep may let it go on, and its run learns that it is late."""
    if not any(_waits_for_a_time(job) for job in walk.model.jobs.values()):
        await settle_wait(walk, *await a_run(walk), Wait(until=HOUR))
    job = walk.job(_waits_for_a_time)
    past = {"id": job.id, "past": timedelta(seconds=-1)}
    await execute(walk.conn, "UPDATE jobs.jobs SET wait_until = clock_timestamp() + %(past)s WHERE id = %(id)s", past)
    sql = """UPDATE jobs.steps SET output = jsonb_build_object('until', clock_timestamp() + %(past)s)
             WHERE job_id = %(id)s AND state = 'waiting' AND output->>'until' IS NOT NULL"""
    await execute(walk.conn, sql, past)
    walk.model.time_comes(job)
    for (job_id, _), step in walk.model.steps.items():
        step.past = step.past or (job_id == job.id and step.state == "waiting" and step.output == "timed")
    return f"job {job.id}"


def _waits_for_a_time(job: Known) -> bool:
    return job.state == "waiting" and job.timed and job.due is None


def _event(walk: Walk) -> str:
    return f"e{walk.dice.randrange(3)}:{_round(walk)}"


def _round(walk: Walk) -> int:
    """Events are for ever, so that now and then there are new ones."""
    return len(walk.story) // 40


def _awaited(walk: Walk) -> set[str]:
    return {job.waits_for for job in walk.model.jobs.values() if job.waits_for and job.waits_for != CHILDREN}
