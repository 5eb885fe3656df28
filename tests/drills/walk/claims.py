"""Rules of claims and starts: how a worker comes to hold a job."""

import asyncio

from jobs_core import AnyJob
from jobs_core.claim import FROM_THE_START, claim, start, start_many
from jobs_core.suspects import claim_alone
from tests.drills.walk.known import Violation
from tests.drills.walk.runs import a_late_worker, a_run, a_worker, claimed, ids_of, ready, types_of_one
from tests.drills.walk.walk import MOST_JOBS, QUEUES, TYPES, NotNow, Walk, rule


@rule()
async def claim_some(walk: Walk) -> str:
    """The first in priority and readiness, of the types that the worker knows."""
    worker, types, slots = await a_worker(walk), types_of_one(walk), walk.dice.choice((1, 2, 3, 5))
    runs = await claim(walk.conn, worker_id=worker, queues=QUEUES, job_types=types, slots=slots)
    return await claimed(walk, worker, runs, ids_of(ready(walk, types))[:slots], start_part=0.4)


@rule()
async def claim_with_floors(walk: Walk) -> str:
    """Jobs up to a number of their class are not looked at."""
    worker, types, slots = await a_worker(walk), types_of_one(walk), walk.dice.choice((1, 2, 3))
    highest = max((job.seq for job in walk.model.jobs.values()), default=0)
    floors = [walk.dice.choice((0, max(highest - walk.dice.randrange(10), 0))) for _ in FROM_THE_START]
    runs = await claim(walk.conn, worker_id=worker, queues=QUEUES, job_types=types, slots=slots, floors=floors)
    wanted = [job.id for job in ready(walk, types) if job.seq > floors[job.priority]][:slots]
    return await claimed(walk, worker, runs, wanted, start_part=0.0)


@rule()
async def claim_twice_at_once(walk: Walk) -> str:
    """Of all that is ready: what one has locked the other passes over; none is taken twice, and none is left."""
    worker, wanted = await a_worker(walk), ids_of(ready(walk))

    async def one() -> list[AnyJob]:
        async with walk.jobs.database.connection() as conn:
            return await claim(conn, worker_id=worker, queues=QUEUES, job_types=list(TYPES), slots=MOST_JOBS)

    first, second = await asyncio.gather(one(), one())
    runs = sorted([*first, *second], key=lambda run: (run.priority, run.ready_seq))
    return await claimed(walk, worker, runs, wanted, start_part=0.0)


@rule(2.7)
async def claim_one_alone(walk: Walk) -> str:
    """The first suspect; one with limits, or that takes turns, where none without stands ready."""
    wanted = ids_of(ready(walk, alone=True))[:1]
    limited = [] if wanted else ready(walk, alone=True, limited=True)
    if not wanted and not limited and walk.chance(0.9):
        raise NotNow
    worker = await a_worker(walk, alone=True)
    run = await claim_alone(walk.conn, worker_id=worker, queues=QUEUES, job_types=list(TYPES))
    if limited:  # whether it has its slots is what the model says when it learns of it
        walk.model.limits.judge(limited, walk.model.held_slots(), {run.id} if run else set())
        wanted = [run.id] if run else []
    return await claimed(walk, worker, [run] if run else [], wanted, start_part=0.9)


@rule()
async def claim_without_a_lease(walk: Walk) -> str:
    """A worker that was buried, or whose lease ran out: nothing."""
    worker = await a_late_worker(walk)
    if walk.chance(0.5):
        runs = await claim(walk.conn, worker_id=worker, queues=QUEUES, job_types=list(TYPES), slots=5)
    else:
        one = await claim_alone(walk.conn, worker_id=worker, queues=QUEUES, job_types=list(TYPES))
        runs = [one] if one else []
    return await claimed(walk, worker, runs, [], start_part=0.0)


@rule(1.3)
async def start_one(walk: Walk) -> str:
    """It is running from now; again does no harm."""
    suspects = [pair for pair in walk.current() if pair[1].alone and pair[1].state == "claimed"]
    run, job = walk.pick(suspects) if suspects else await a_run(walk)
    await start(walk.conn, run)
    job.state = "running"
    return f"job {job.id}"


@rule(1.3)
async def start_several(walk: Walk) -> str:
    """In one statement, stale ones among them."""
    held, stale = [await a_run(walk) for _ in range(3)], walk.runs[:1]
    runs = {run.token: run for run in [*(run for run, _ in held), *stale]}
    wanted = {job.id for run, job in walk.current() if run.token in runs}
    got = await start_many(walk.conn, list(runs.values()))
    if got != wanted:
        raise Violation(f"S3: {got} were started; those that their runs hold are {wanted}")
    for job_id in wanted:
        walk.model.jobs[job_id].state = "running"
    return str(wanted)
