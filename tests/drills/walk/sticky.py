"""Rules of sticky jobs: whom they wait for, who claims them, and how they come to be anybody's."""

import asyncio

from jobs_core import AnyJob, Complete, execute
from jobs_core.sticky import claim_sticky, leave, remember
from jobs_core.upkeep import promote_due
from tests.drills.walk.known import Known, must
from tests.drills.walk.new_jobs import LANES, STICKY_KEYS, New, created
from tests.drills.walk.runs import (
    a_run,
    begin,
    done,
    good_workers,
    ids_of,
    make_room,
    remember_its_worker,
    types_of_one,
)
from tests.drills.walk.settles import ended_as
from tests.drills.walk.upkeep import promoted
from tests.drills.walk.walk import MOST_JOBS, QUEUES, TYPES, Walk, rule


def _room_of(walk: Walk, key: str) -> int | None:
    return walk.model.sticky.room_of(key, walk.model.workers, walk.model.jobs.values())


async def _key_at_hand(walk: Walk) -> str:
    """A key whose last worker has room for one more; where there is none, a worker runs a job of one to its end."""
    if known := [key for key in STICKY_KEYS if _room_of(walk, key)]:
        return walk.dice.choice(known)
    key, good = walk.dice.choice(STICKY_KEYS), good_workers(walk)
    run, job = await a_run(
        walk, lambda job: job.sticky == key and job.worker in {None, *good}, make=New("sticky", sticky=key)
    )
    await begin(walk, [run], 1.0)
    walk.tell(await ended_as(walk, run, job, Complete(), "complete"))
    return key


async def _preferred(walk: Walk) -> int:
    """A worker that jobs wait for; where they wait for none, one is created that does."""
    if not any(job.prefers for job in walk.model.jobs.values()):
        one = New("sticky", sticky=await _key_at_hand(walk))
        await done(walk, created(walk, [one], await walk.jobs.create_many([one.job()])))
    return walk.pick(sorted({job.prefers for job in walk.model.jobs.values() if job.prefers}))


@rule(1.3)
async def create_sticky(walk: Walk) -> str:
    """Of a key that some worker has at hand, if any; in a lane, too."""
    await make_room(walk)
    key = walk.dice.choice(STICKY_KEYS) if walk.chance(0.2) else await _key_at_hand(walk)
    plain = New("sticky", sticky=key, priority=walk.dice.choice((1, 2)), queue=walk.dice.choice(QUEUES))
    several = [plain] * walk.dice.choice((1, 2, 2, 3))
    several += [New("holding", walk.dice.choice(LANES), sticky=key)] if walk.chance(0.3) else []
    return created(walk, several, await walk.jobs.create_many([one.job() for one in several]))


@rule(1.5)
async def remember_who_ran_it(walk: Walk) -> str:
    """The worker of a run is the last one of its key; that of a suspect is not, nor that of a run that is stale."""
    if walk.chance(0.3):
        current = {run.token for run, _ in walk.current()}
        runs = [run for run in walk.runs if (job := walk.model.jobs.get(run.id)) and job.sticky]
        run = walk.pick(run for run in runs if run.token not in current)
        await remember(walk.conn, run)
        return f"job {run.id}, stale"
    run, _ = await a_run(walk, lambda job: job.sticky, make=New("sticky", sticky=walk.dice.choice(STICKY_KEYS)))
    await remember_its_worker(walk, run)
    return f"job {run.id}"


def _waiting(walk: Walk, worker: int, types: list[str]) -> list[Known]:
    """Jobs that wait for this worker, which may claim them now, in their order."""
    found = [job for job in walk.model.jobs.values() if job.prefers == worker and job.job_type in types]
    free = (job for job in found if not walk.model.pauses.keep_back(job))
    return sorted(free, key=lambda job: (job.priority, job.until or 0))


@rule(1.7)
async def claim_what_waits_for_a_worker(walk: Walk) -> str:
    """It takes the first of them, paused ones not; none where its lease is no longer good."""
    worker = await _preferred(walk)
    known, types, slots = walk.model.workers[worker], types_of_one(walk), walk.dice.choice((1, 1, 5))
    good = known.good and not known.dead
    wanted = ids_of(_waiting(walk, worker, types)[:slots]) if good else []
    runs = await claim_sticky(walk.conn, worker_id=worker, queues=QUEUES, job_types=types, slots=slots)
    must({run.id for run in runs} == {*wanted}, f"worker {worker} took {[run.id for run in runs]}, must have {wanted}")
    walk.took(runs, worker)
    return f"worker {worker}, good: {good}, has {wanted}, started {await begin(walk, runs, 0.5)}"


@rule(1.7)
async def claim_what_waits_for_a_worker_while_its_time_ends(walk: Walk) -> str:
    """Whichever is first: its worker has it, or it is anybody's."""
    worker = await _preferred(walk)
    mine = [job for job in walk.model.jobs.values() if job.prefers == worker]
    past = "UPDATE jobs.jobs SET scheduled_for = clock_timestamp() - interval '1 second' WHERE id = %(id)s"
    for job in mine:
        await execute(walk.conn, past, {"id": job.id})
        walk.model.time_comes(job)
    over = walk.model.over()

    async def claims() -> list[AnyJob]:
        async with walk.jobs.database.connection() as conn:
            return await claim_sticky(conn, worker_id=worker, queues=QUEUES, job_types=list(TYPES), slots=MOST_JOBS)

    runs, _ = await asyncio.gather(claims(), promote_due(walk.conn))
    walk.took(runs, worker)
    said = promoted(walk, [job for job in over if not job.held])
    return f"worker {worker} has {[run.id for run in runs]}; due: {said}"


@rule(1.8)
async def a_worker_drains(walk: Walk) -> str:
    """It claims no more: what waits for it is anybody's, at once, and it is no key's last worker."""
    worker = walk.pick(walk.model.sticky.last.values()) if walk.chance(0.1) else await _preferred(walk)
    ready = await leave(walk.conn, worker)
    waited = walk.model.sticky.let_go(worker, walk.model.jobs.values())
    must(
        {(one.queue, one.job_type) for one in ready} == {(job.queue, job.job_type) for job in waited}, f"told: {ready}"
    )
    return f"worker {worker}: {ids_of(waited)}"
