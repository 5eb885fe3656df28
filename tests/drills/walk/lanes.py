"""Rules of held lanes: by hand, or by a job that failed; and how they are released, at once with what joins, ends or claims."""

import asyncio

from jobs_core import AnyJob, Fail, NotRedriven
from jobs_core.claim import claim
from jobs_core.lanes import Released, hold, release
from jobs_core.settle import settle
from tests.drills.walk.known import Known, must
from tests.drills.walk.model_lanes import Hold
from tests.drills.walk.new_jobs import LANES, New, created, in_a_free_lane
from tests.drills.walk.redrives import begin_anew
from tests.drills.walk.runs import a_run, a_worker, create_ready, ids_of, make_room, ready
from tests.drills.walk.settles import ended_as
from tests.drills.walk.walk import MOST_JOBS, QUEUES, TYPES, Walk, rule

UNUSED = "unused"
"""A lane of no job."""


@rule()
async def hold_a_lane(walk: Walk) -> str:
    """By hand, used or not, held or not: none of it begins, and what has begun goes on."""
    free = [lane for lane in LANES if lane not in walk.model.lanes.holds]
    lane = walk.pick(free if free and walk.chance(0.8) else (*LANES, UNUSED))
    held_by, reason = walk.dice.choice(("ada", "ben")), walk.dice.choice((None, f"reason {len(walk.story)}"))
    view = await hold(walk.conn, lane, held_by=held_by, reason=reason)
    walk.model.hold(lane, held_by, reason)
    jobs = walk.model.lanes.jobs[lane]
    must((view.jobs, view.first_job) == (len(jobs), jobs[0] if jobs else None), f"{view}, of {jobs}")
    return f"{lane}, by {held_by}: {reason}"


@rule(2.4)
async def hold_a_lane_while_its_first_job_is_claimed(walk: Walk) -> str:
    """Whichever is first: it is claimed, and goes on, or waits with the others."""
    if not any(_unbegun(job) for job in ready(walk)) and (one := in_a_free_lane(walk)):
        await create_ready(walk, one)
    worker, waiting = await a_worker(walk), ready(walk)
    job = walk.pick(job for job in waiting if _unbegun(job))
    lane = job.lane or ""

    async def claims() -> list[AnyJob]:
        async with walk.jobs.database.connection() as conn:
            return await claim(conn, worker_id=worker, queues=QUEUES, job_types=list(TYPES), slots=MOST_JOBS)

    runs, _ = await asyncio.gather(claims(), hold(walk.conn, lane, held_by="ada"))
    taken, others = {run.id for run in runs}, {*ids_of(waiting)} - {job.id}
    must(
        taken - {job.id} == others, f"a claim took {taken}, beside a hold of lane {lane}; ready were {others}, {job.id}"
    )
    walk.took(runs, worker)
    walk.model.hold(lane, "ada", None)
    return f"{lane}; worker {worker} has {sorted(taken)}"


def _unbegun(job: Known) -> bool:
    return job.lane in LANES and job.token is None


async def _held(walk: Walk, *, failed: bool = False) -> tuple[str, Hold]:
    """A lane that is held, for a job that failed; where none is, somebody holds one, or a job fails."""
    if not any(hold.failed or not failed for hold in walk.model.lanes.holds.values()):
        if failed:
            run, job = await a_run(walk, lambda job: job.holds_lane and job.lane in LANES, make=in_a_free_lane(walk))
            walk.tell(await ended_as(walk, run, job, Fail("no"), "failed", reason="error"))
        else:
            walk.tell(await hold_a_lane(walk))
    return walk.pick((lane, hold) for lane, hold in walk.model.lanes.holds.items() if hold.failed or not failed)


def _is(released: Released | None, lane: str, hold: Hold, redriven: int | None = None) -> None:
    must(released, f"lane {lane} is held, and was not released")
    assert released is not None
    got = (released.held_by, released.failed_job, released.redriven)
    must(got == (hold.held_by, hold.failed, redriven), f"lane {lane} is held as {hold}; {released}, for {redriven}")


@rule()
async def release_a_lane(walk: Walk) -> str:
    """It goes on with the first that waits; one that is not held stays as it is."""
    if walk.chance(0.1):
        lane = walk.pick(lane for lane in (*LANES, UNUSED) if lane not in walk.model.lanes.holds)
        must(await release(walk.conn, lane) is None, f"lane {lane} was released, and is not held")
        return f"{lane} is not held"
    lane, hold = await _held(walk)
    _is(await release(walk.conn, lane), lane, hold)
    walk.model.release(lane)
    return f"{lane}: {hold}"


@rule(1.5)
async def release_a_lane_and_redrive(walk: Walk) -> str:
    """The job that failed is done again before all that wait; or nothing is, and the lane stays held."""
    await make_room(walk)
    lane, hold = await _held(walk, failed=walk.chance(0.9))
    failed = walk.model.ended.get(hold.failed or 0)
    why_not = "no job failed" if failed is None else _not_redriven(walk, failed)
    try:
        released = await release(walk.conn, lane, redrive=walk.jobs.table)
    except NotRedriven as error:
        must(why_not, f"nothing keeps job {hold.failed} from being redriven: {error}")
        return f"{lane}: {error}"
    must(not why_not, f"S9: {released}: {why_not}")
    assert released is not None
    assert failed is not None
    _is(released, lane, hold, released.redriven)
    new = begin_anew(walk, failed, released.redriven or 0)
    walk.model.lanes.put_first(lane, new)
    walk.model.release(lane)
    return f"{lane}: job {new.id} does {failed.id} again"


def _not_redriven(walk: Walk, job: Known) -> str:
    """Why a job that failed is not done again; empty: it is."""
    if job.gone:
        return f"job {job.id} is kept no more"
    if job.id in walk.model.redrives:
        return f"job {job.id} was redriven as {walk.model.redrives[job.id]}"
    holder = walk.model.holder(job.job_type, job.unique_key) if job.unique_key else None
    return f"job {holder} has the key of job {job.id}" if holder else ""


@rule()
async def release_a_lane_while_one_joins_it(walk: Walk) -> str:
    """Whichever is first: the first of the lane may run, and the lane is not stranded."""
    await make_room(walk)
    lane, hold = await _held(walk)
    one = New("lane_note", lane)
    got, released = await asyncio.gather(walk.jobs.create_many([one.job()]), release(walk.conn, lane))
    _is(released, lane, hold)
    said = created(walk, [one], got)
    walk.model.release(lane)
    return f"{lane}: {hold}; {said}"


@rule()
async def release_a_lane_twice_at_once(walk: Walk) -> str:
    """One releases it, and the other finds it free."""
    lane, hold = await _held(walk)

    async def one() -> Released | None:
        async with walk.jobs.database.connection() as conn:
            return await release(conn, lane)

    both = [released for released in await asyncio.gather(one(), one()) if released]
    must(len(both) == 1, f"lane {lane} was released {len(both)} times at once")
    _is(both[0], lane, hold)
    walk.model.release(lane)
    return f"{lane}: {hold}"


@rule(2.1)
async def a_head_fails_while_one_joins_its_lane(walk: Walk) -> str:
    """Where its type holds the lane, all wait; else the next goes on."""
    await make_room(walk)
    any_type = walk.chance(0.2)
    run, job = await a_run(
        walk, lambda job: job.lane in LANES and (job.holds_lane or any_type), make=in_a_free_lane(walk)
    )
    one = New("lane_note", job.lane)
    got, _ = await asyncio.gather(
        walk.jobs.create_many([one.job()]), settle(walk.conn, run, Fail("no"), TYPES[run.job_type])
    )
    said = created(walk, [one], got)
    walk.model.end(job, "failed", "error")
    return f"job {job.id}; {said}"
