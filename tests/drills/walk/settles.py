"""Rules of outcomes, but for the waits: how a run ends."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import Literal

from jobs_core import AnyJob, Cancel, Complete, Connection, Created, Fail, Outcome, Retry, Snooze, Wait, execute, fence
from jobs_core.settle import Completed, end_many, settle
from tests.drills.walk.known import Known, Violation
from tests.drills.walk.model import RETRIES
from tests.drills.walk.new_jobs import HOUR, LANES, New, created, in_a_free_lane, of_some_type, some_limits
from tests.drills.walk.runs import a_run, asked_to_end, make_room
from tests.drills.walk.walk import TYPES, Walk, rule
from tests.support.database import Undone


async def ended_as(
    walk: Walk, run: AnyJob, job: Known, outcome: Outcome, state: str, *, reason: str | None = None
) -> str:
    """Settle it, which ends it."""
    settled = await settle(walk.conn, run, outcome, TYPES[run.job_type])
    if settled.state != state:
        raise Violation(f"job {job.id} was to be {state}, and is {settled.state}")
    walk.model.end(job, state, reason)
    return f"job {job.id}, lane {job.lane}, parent {job.parent_id}"


@rule(1.3)
async def complete(walk: Walk) -> str:
    """A result, and its end."""
    run, job = await a_run(walk)
    return await ended_as(walk, run, job, Complete({"n": 1}), "complete")


@rule(1.3)
async def complete_with_also(walk: Walk) -> str:
    """What it adds and the end are one fact."""
    run, job = await a_run(walk)
    walk.model.effects[run.id, run.token] += 1
    return await ended_as(walk, run, job, Complete(also=walk.effect(run)), "complete")


@rule(1.3)
async def complete_and_create_and_emit(walk: Walk) -> str:
    """In the settling transaction, in its own lane, too."""
    await make_room(walk)
    run, job = await a_run(walk)
    lane = job.lane if job.lane in LANES else None
    limits = some_limits(walk) if job.limits else {}
    one = of_some_type(walk, lane, limits)
    event, payload = f"also {job.id}", {"output": 0}
    got = list[Created]()

    async def also(conn: Connection) -> None:
        got.append(await walk.jobs.create_many([one.job()], conn=conn))
        await walk.jobs.emit(event, payload, conn=conn)

    said = await ended_as(walk, run, job, Complete(also=also), "complete")
    walk.model.emit(event, payload)
    return f"{said}; {created(walk, [one], got[0])}"


@rule(1.3)
async def an_also_raises(walk: Walk) -> str:
    """Nothing was written, and the run still holds its job."""
    run, _ = await a_run(walk)

    async def also(conn: Connection) -> None:
        await walk.effect(run)(conn)
        raise Undone

    every = (Complete(also=also), Retry("no", also=also), Snooze(HOUR, also=also), Fail("no", also), Cancel("no", also))
    outcome = walk.dice.choice((*every, Wait(until=HOUR, also=also)))
    try:
        await settle(walk.conn, run, outcome, TYPES[run.job_type])
    except Undone:
        return f"job {run.id}, {type(outcome).__name__}"
    raise Violation(f"job {run.id}: its `also` raised, and was not heard")


@rule(1.3)
async def retry(walk: Walk) -> str:
    """Counted: now, or in an hour; not more often than its type's policy says, or that of what it died of."""
    run, job = await a_run(walk)
    now = walk.chance(0.6)
    because: Literal["error", "timeout"] = walk.dice.choice(("error", "timeout"))
    own = replace(RETRIES, max_retries=walk.dice.choice((0, 1))) if walk.chance(0.3) else None
    outcome = Retry("no", after=timedelta(0) if now else None, because=because, policy=own)
    await settle(walk.conn, run, outcome, TYPES[run.job_type])
    walk.model.put_back(job, because, later=not now, charge=1, final=True, policy=own or RETRIES)
    return f"job {job.id}, now: {now}, policy: {own}"


@rule(1.3)
async def snooze(walk: Walk) -> str:
    """Not counted; what it adds is written with it."""
    run, job = await a_run(walk)
    later, also = walk.chance(0.5), walk.chance(0.5)
    outcome = Snooze(HOUR if later else timedelta(0), also=walk.effect(run) if also else None, because="rate_limited")
    await settle(walk.conn, run, outcome, TYPES[run.job_type])
    walk.model.effects[run.id, run.token] += also
    walk.model.put_back(job, "rate_limited", later=later, charge=0, final=True)
    return f"job {job.id}, later: {later}"


@rule(1.3)
async def drain(walk: Walk) -> str:
    """Handed back: no word of the run's own."""
    run, job = await a_run(walk, asked_to_end(walk, 0.5))
    await settle(walk.conn, run, Snooze(timedelta(0), because="drained"), TYPES[run.job_type])
    walk.model.put_back(job, "drained", later=False, charge=0, final=False)
    return f"job {job.id}"


@rule(1.3)
async def fail(walk: Walk) -> str:
    """For good."""
    run, job = await a_run(walk)
    return await ended_as(walk, run, job, Fail("no"), "failed", reason="error")


@rule(1.3)
async def end_as_cancelled(walk: Walk) -> str:
    """A run that was told, or that wants to."""
    told = [pair for pair in walk.current() if pair[1].told]
    run, job = walk.pick(told) if told else await a_run(walk)
    return await ended_as(walk, run, job, Cancel("enough"), "cancelled", reason="cancelled")


@rule(1.3)
async def end_several(walk: Walk) -> str:
    """Completed runs without a lane, a parent or limits, in one statement; stale ones among them."""
    await a_run(walk, lambda job: not (job.lane or job.parent_id or job.apart))
    plain = [run for run in walk.runs if not run.lane and not run.parent_id and not run.limited]
    current = {run.token for run, _ in walk.current()}
    held = {run.id: run for run in plain if run.token in current}
    stale = [run for run in plain[-20:] if run.id not in held]
    wanted = {walk.pick(held) for _ in range(2)}
    runs = [*(held[job_id] for job_id in wanted), *stale[-1:]]
    got = await end_many(walk.conn, [Completed(run, None, TYPES[run.job_type].retention) for run in runs])
    if got != wanted:
        raise Violation(f"S3: {got} were ended; those that their runs hold are {wanted}")
    for job_id in wanted:
        walk.model.end(walk.model.jobs[job_id], "complete")
    return str(wanted)


@rule(1.3)
async def write_under_the_fence(walk: Walk) -> str:
    """A transaction of the run's own."""
    run, job = await a_run(walk)
    async with walk.conn.transaction():
        await fence(walk.conn, run)
        await walk.effect(run)(walk.conn)
    walk.model.effects[run.id, run.token] += 1
    return f"job {job.id}"


@rule(1.3)
async def its_time_to_give_up_comes(walk: Walk) -> str:
    """The next put-back by the run itself ends it."""
    _, job = await a_run(walk, lambda job: not job.gives_up)
    sql = """UPDATE jobs.jobs SET give_up_at = clock_timestamp() - interval '1 hour'
                 - make_interval(secs => jobs.paused_s(queue, job_type, claimed_at)) WHERE id = %(id)s"""
    await execute(walk.conn, sql, {"id": job.id})
    job.left_h = -1.0
    return f"job {job.id}"


@rule(1.7)
async def the_head_of_a_lane_ends_while_one_joins_it(walk: Walk) -> str:
    """Whichever is first: the next is the head."""
    await make_room(walk)
    run, job = await a_run(walk, lambda job: job.lane in LANES, make=in_a_free_lane(walk))
    one = New("lane_note", job.lane)
    got, _ = await asyncio.gather(
        walk.jobs.create_many([one.job()]), settle(walk.conn, run, Complete(), TYPES[run.job_type])
    )
    said = created(walk, [one], got)
    walk.model.end(job, "complete")
    return f"job {job.id}; {said}"
