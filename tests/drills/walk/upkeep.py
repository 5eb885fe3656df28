"""Rules of what is done for all: workers that come, go and die, and times that come."""

from collections.abc import Sequence

from jobs_core import execute, fetch
from jobs_core.leases import renew, retire
from jobs_core.upkeep import bury, promote_due, put_back_stopped, put_back_strays, rescue
from jobs_core.waits import forget, go_on
from tests.drills.walk.known import Known, Violation
from tests.drills.walk.runs import a_run, begin, good_workers, ids_of, new_worker, set_lease
from tests.drills.walk.waits import a_waits_time_comes
from tests.drills.walk.walk import TYPES, NotNow, Walk, rule

MOST_WORKERS = 5
_ENDED = "SELECT id FROM jobs.history WHERE id = ANY(%(ids)s) ORDER BY ended_at, id"
_RETENTIONS = {name: job_type.retention for name, job_type in TYPES.items()}


@rule()
async def register_a_worker(walk: Walk) -> str:
    """Its lease runs for a day; one that runs suspects, or one that does not."""
    if sum(worker.good and not worker.dead for worker in walk.model.workers.values()) >= MOST_WORKERS:
        raise NotNow
    return f"worker {await new_worker(walk, alone=walk.chance(0.4))}"


def _busy(walk: Walk) -> int:
    """A worker that can claim, mostly one that holds a job, and often one that runs a suspect."""
    jobs = [job for job in walk.model.jobs.values() if job.held]
    suspects = [job for job in jobs if job.alone and job.state == "running"]
    busy = {job.worker for job in (suspects if suspects and walk.chance(0.8) else jobs)}
    workers = [id_ for id_, worker in walk.model.workers.items() if worker.good and not worker.dead]
    return walk.pick(workers if walk.chance(0.2) else [id_ for id_ in workers if id_ in busy])


@rule()
async def renew_a_lease(walk: Walk) -> str:
    """It goes on where it runs; one that ran out is lost for good."""
    worker = walk.pick(walk.model.workers)
    known = walk.model.workers[worker]
    good = await renew(walk.conn, worker)
    if good is not (known.good and not known.dead):
        raise Violation(f"worker {worker}: its renewal said {good}")
    if good:
        await set_lease(walk, worker, "1 day")
    return f"worker {worker}: {good}"


@rule(1.6)
async def a_lease_runs_out(walk: Walk) -> str:
    """Its worker is frozen, or cut off; what it runs goes on until somebody takes it."""
    worker = _busy(walk)
    await set_lease(walk, worker, "-1 second")
    walk.model.workers[worker].good = False
    return f"worker {worker}"


@rule(1.3)
async def bury_workers(walk: Walk) -> str:
    """Those whose lease ran out."""
    if not _late(walk):
        walk.tell(await a_lease_runs_out(walk))
    wanted = _late(walk)
    got = {row["id"] for row in await bury(walk.conn)}
    if got != wanted:
        raise Violation(f"{got} were buried; leases ran out of {wanted}")
    for worker in wanted:
        walk.model.workers[worker].dead = True
    return str(wanted)


def _late(walk: Walk) -> set[int]:
    return {id_ for id_, worker in walk.model.workers.items() if not worker.good and not worker.dead}


@rule(1.5)
async def retire_a_worker(walk: Walk) -> str:
    """It says so itself; what it holds can be taken at once."""
    return await _retire(walk, _busy(walk))


async def _retire(walk: Walk, worker: int | None) -> str:
    assert worker is not None
    await retire(walk.conn, worker)
    walk.model.workers[worker].dead = True
    return f"worker {worker} is gone"


def _lost(walk: Walk) -> list[Known]:
    gone = {id_ for id_, worker in walk.model.workers.items() if worker.dead}
    return [job for job in walk.model.jobs.values() if job.worker in gone]


@rule(1.3)
async def rescue_jobs(walk: Walk) -> str:
    """Of workers that are gone: put back, as suspects where a run had started; the third loss alone ends one."""
    if not _lost(walk):
        _, job = await a_run(walk)
        walk.tell(await _retire(walk, job.worker))
    lost = _lost(walk)
    ids, _ = await rescue(walk.conn, retentions=_RETENTIONS)
    ended = [row["id"] for row in await fetch(walk.conn, _ENDED, {"ids": ids_of(lost)})]  # in no order of ours
    for job in sorted(lost, key=lambda job: ended.index(job.id) if job.id in ended else -1):
        walk.model.take_back(job, rescue=True)
    if sorted(ids) != sorted(job.id for job in lost if job.state == "ready" and job.rescued):
        raise Violation(f"{ids} were rescued, of {[job.id for job in lost]}")
    return str([(job.id, job.state) for job in lost])


@rule(1.2)
async def it_was_lost_alone_twice_before(walk: Walk) -> str:
    """In a row, as times are: a walk is too short for three such losses of one job."""
    if not any(_newly_suspected(job) for job in walk.model.jobs.values()):
        run, job = await a_run(walk)
        walk.tell(f"started {await begin(walk, [run], 1.0)}; {await _retire(walk, job.worker)}")
        walk.tell(await rescue_jobs(walk))
    job = walk.job(_newly_suspected)
    await execute(walk.conn, "UPDATE jobs.jobs SET alone_lost_count = 2 WHERE id = %(id)s", {"id": job.id})
    job.alone_lost = 2
    return f"job {job.id}"


def _newly_suspected(job: Known) -> bool:
    return job.alone and job.alone_lost < 2


async def _in_a_good_worker(walk: Walk) -> tuple[int, list[Known]]:
    """A worker that can claim, of those that run no suspects, and what it holds."""
    good = good_workers(walk)
    _, job = await a_run(walk, lambda job: job.worker in {None, *good})
    assert job.worker is not None
    return job.worker, [other for other in walk.model.jobs.values() if other.worker == job.worker]


@rule(1.4)
async def put_strays_back(walk: Walk) -> str:
    """What a worker holds and does not run."""
    worker, held = await _in_a_good_worker(walk)
    known = [job.id for job in held[1:] if walk.chance(0.5)]
    strays = [job for job in held if job.id not in known]
    await put_back_strays(walk.conn, worker, known)
    for job in strays:
        walk.model.take_back(job, rescue=False)
    return f"worker {worker}: {[job.id for job in strays]}"


@rule(1.4)
async def put_stopped_back(walk: Walk) -> str:
    """What a worker stopped itself: nobody is suspected."""
    worker, held = await _in_a_good_worker(walk)
    await put_back_stopped(walk.conn, worker)
    for job in held:
        walk.model.take_back(job, rescue=False, suspected=False)
    return f"worker {worker}: {[job.id for job in held]}"


@rule(1.3)
async def some_jobs_times_come(walk: Walk) -> str:
    """They are due from now, in any order."""
    jobs = [job for job in walk.model.jobs.values() if job.state == "scheduled" and job.due is None]
    jobs = walk.dice.sample(jobs, min(len(jobs), 3))
    if not jobs:
        raise NotNow
    sql = "UPDATE jobs.jobs SET scheduled_for = clock_timestamp() - interval '1 second' WHERE id = %(id)s"
    for job in jobs:
        await execute(walk.conn, sql, {"id": job.id})
        walk.model.time_comes(job)
    return f"jobs {[job.id for job in jobs]}"


@rule()
async def promote(walk: Walk) -> str:
    """Waits that are over, due jobs, and those that join their lane, in the order in which they fell due."""
    over = walk.model.over()
    await promote_due(walk.conn)
    return promoted(walk, over)


def promoted(walk: Walk, over: Sequence[Known]) -> str:
    """The model learns that upkeep has looked at these."""
    for job in over:
        _let_go_on(walk, waiting=True, id_=job.id)
    for job in over:
        _let_go_on(walk, waiting=False, id_=job.id)
    return str([job.id for job in over])


@rule(1.1)
async def let_waits_go_on(walk: Walk) -> str:
    """Those alone whose time is over."""
    if not any(job.state == "waiting" for job in walk.model.over()):
        walk.tell(await a_waits_time_comes(walk))
    over = [job for job in walk.model.over() if job.state == "waiting"]
    await go_on(walk.conn, batch=1000)
    for job in over:
        _let_go_on(walk, waiting=True, id_=job.id)
    return str([job.id for job in over])


def _let_go_on(walk: Walk, *, waiting: bool, id_: int) -> None:
    job = walk.model.jobs[id_]
    if waiting and job.state == "waiting":
        walk.model.go_on(job)
    elif not waiting and job.state == "scheduled":
        walk.model.fall_due(job)


@rule()
async def forget_what_is_old(walk: Walk) -> str:
    """A month later: events that nobody waits for, and what the runs of ended jobs came to."""
    await execute(walk.conn, "UPDATE jobs.events SET made_at = made_at - interval '31 days'")
    await execute(walk.conn, "UPDATE jobs.steps SET at = at - interval '31 days'")
    await forget(walk.conn)
    awaited = {job.waits_for for job in walk.model.jobs.values()}
    for event in [event for event in walk.model.awaited if event not in awaited]:
        walk.model.awaited.discard(event)
        walk.model.events.pop(event, None)
    for place in [place for place in walk.model.steps if place[0] not in walk.model.jobs]:
        del walk.model.steps[place]
    return ""
