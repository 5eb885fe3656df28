"""How workers come to be, and jobs to be held: what rules of claims do, and what other rules need before they can be applied.

A rule that needs what seldom stands there makes it, by the same verbs and with the same checks, and tells so; else it would be
tried in vain a thousand times for each time that it can be applied, and no weight would make it fire as often as others.
"""

from collections.abc import Callable, Iterable, Sequence

from jobs_core import AnyJob, execute
from jobs_core.claim import claim, start
from jobs_core.leases import register
from jobs_core.sticky import remember
from tests.drills.walk.known import Known, Violation, Worker
from tests.drills.walk.new_jobs import New, created
from tests.drills.walk.tables import check
from tests.drills.walk.walk import MOST_JOBS, QUEUES, TYPES, NotNow, Walk

_A_NOTE = New()
_ROOM = 5
"""For so many jobs, and those that they create."""


async def done(walk: Walk, what: str) -> None:
    """This step has done what makes it possible: it is told, and checked as a step is, for the model to learn of readiness."""
    walk.tell(what)
    await check(walk.conn, walk.model, walk.fingerprints)


async def new_worker(walk: Walk, *, alone: bool) -> int:
    """A live worker's id."""
    slots = walk.dice.choice((1, 2, 5))
    worker = await register(walk.conn, queues=QUEUES, job_types=list(TYPES), slots=slots, lease_s=0.01)
    await set_lease(walk, worker, "1 day")
    walk.model.workers[worker] = Worker(alone, slots)
    return worker


async def set_lease(walk: Walk, worker: int, span: str) -> None:
    """It runs for that long from now. (The row's own span is short: nobody is buried in the server's first lease.)"""
    sql = "UPDATE jobs.workers SET expires_at = clock_timestamp() + %(span)s::interval WHERE id = %(id)s"
    await execute(walk.conn, sql, {"id": worker, "span": span})


def good_workers(walk: Walk) -> set[int]:
    """Those that can claim, but for the ones that run suspects."""
    return {id_ for id_, worker in walk.model.workers.items() if worker.good and not worker.dead and not worker.alone}


async def a_worker(walk: Walk, *, alone: bool = False) -> int:
    """One that can claim; where there is none, one comes."""
    try:
        return walk.worker(alone=alone)
    except NotNow:
        worker = await new_worker(walk, alone=alone)
        walk.tell(f"worker {worker} comes")
        return worker


def ready(
    walk: Walk, types: Sequence[str] = tuple(TYPES), *, alone: bool = False, limited: bool = False
) -> list[Known]:
    """What stands ready for a claim of that kind, in its order. limited: those that wait for slots, permits or turns."""
    found = [
        job
        for job in walk.model.jobs.values()
        if job.state == "ready" and job.alone is alone and job.apart is limited and job.job_type in types
    ]
    free = (job for job in found if not walk.model.pauses.keep_back(job))
    return walk.model.turns.order(sorted(free, key=lambda job: job.place))


def ids_of(jobs: Iterable[Known]) -> list[int]:
    """Their ids, in their order."""
    return [job.id for job in jobs]


async def claimed(walk: Walk, worker: int, runs: Sequence[AnyJob], wanted: list[int], *, start_part: float) -> str:
    """The model learns of a claim; as a worker does, about that part of the runs begins at once."""
    if [run.id for run in runs] != wanted:
        raise Violation(f"a claim took {[run.id for run in runs]}; first in priority and readiness are {wanted}")
    walk.took(runs, worker)
    return f"worker {worker} has {wanted}, started {await begin(walk, runs, start_part)}"


async def begin(walk: Walk, runs: Sequence[AnyJob], part: float) -> list[int]:
    """About that part of the runs begins; returns which."""
    begun = [run for run in runs if walk.chance(part)]
    for run in begun:
        await start(walk.conn, run)
        walk.model.jobs[run.id].state = "running"
        await remember_its_worker(walk, run)
    return [run.id for run in begun]


async def remember_its_worker(walk: Walk, run: AnyJob) -> None:
    """Its worker is the last one of its key, if it has one; a suspect's is not."""
    job = walk.model.jobs[run.id]
    if job.sticky:
        await remember(walk.conn, run)
        if not job.alone:
            walk.model.sticky.last[job.sticky] = job.worker or 0


def types_of_one(walk: Walk) -> list[str]:
    """All types, or those that some worker knows."""
    return list(TYPES) if walk.chance(0.7) else walk.dice.sample(list(TYPES), 5)


async def a_late_worker(walk: Walk) -> int:
    """One that was buried, or whose lease ran out; where there is none, one comes and is late."""
    try:
        return walk.worker(alone=None, good=False)
    except NotNow:
        worker = await new_worker(walk, alone=False)
        await set_lease(walk, worker, "-1 second")
        walk.model.workers[worker].good = False
        walk.tell(f"worker {worker} comes, and is late")
        return worker


async def cancelled(walk: Walk, job: Known) -> str:
    """Somebody wants it ended, with all that it created."""
    got = await walk.jobs.cancel(job.id, reason="enough")
    ended, asked = walk.model.cancel(job.id)
    if got is None or (set(got.ended), set(got.asked)) != (set(ended), asked):
        raise Violation(f"S6: {ended} end at once, {asked} are to be told; it said {got}")
    return f"{ended}, to be told: {asked}"


async def make_room(walk: Walk) -> None:
    """For more jobs: where many live, some that no worker holds are cancelled."""
    if len(walk.model.jobs) < MOST_JOBS:
        return
    while len(walk.model.jobs) > MOST_JOBS - _ROOM:
        walk.tell(await cancelled(walk, walk.job(lambda job: not job.held)))
    await done(walk, "there is room")


async def create_ready(walk: Walk, *wanted: New) -> None:
    """Create jobs that a claim may take at once. Raises NotNow where they would be paused."""
    await make_room(walk)
    if any(walk.model.pauses.keep_back(one.known(0)) for one in wanted):
        raise NotNow
    await done(walk, created(walk, list(wanted), await walk.jobs.create_many([one.job() for one in wanted])))


async def a_run(
    walk: Walk, fits: Callable[[Known], object] = lambda _: True, *, make: New | None = _A_NOTE
) -> tuple[AnyJob, Known]:
    """A run that holds its job, and that job; where none does, a worker claims as far as one that fits.

    make: what is created first where none that fits is ready either. Raises NotNow where that is not, or cannot be.
    """
    if not any(fits(job) for _, job in walk.current()):
        if make and not any(fits(job) for job in ready(walk)):
            await create_ready(walk, make)
        waiting = ready(walk)
        slots = 1 + walk.pick(nth for nth, job in enumerate(waiting) if fits(job))
        worker = await a_worker(walk)
        runs = await claim(walk.conn, worker_id=worker, queues=QUEUES, job_types=list(TYPES), slots=slots)
        walk.tell(await claimed(walk, worker, runs, ids_of(waiting[:slots]), start_part=0.4))
    return walk.run(fits)


def asked_to_end(walk: Walk, part: float) -> Callable[[Known], bool]:
    """Fits runs whose job is to be cancelled, in about that part of the steps in which there is one; else any."""
    asked = {job.id for _, job in walk.current() if job.id in walk.model.requests} if walk.chance(part) else set[int]()
    return lambda job: not asked or job.id in asked
