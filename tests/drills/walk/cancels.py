"""Rules of cancels: of what nobody holds, of what runs, and of what each has created; and upkeep's part in it."""

from tests.drills.walk.known import Violation
from tests.drills.walk.runs import a_run, cancelled
from tests.drills.walk.walk import Walk, rule
from workers.cancels import deal_with_cancels


@rule()
async def cancel(walk: Walk) -> str:
    """In whatever state: it ends, with all that it created, or its run is to be told."""
    return await cancelled(walk, walk.job(lambda job: walk.chance(0.5) or walk.model.children(job.id)))


@rule(1.3)
async def cancel_what_runs(walk: Walk) -> str:
    """Its run is to be told, and what it created with it."""
    _, job = await a_run(walk)
    return await cancelled(walk, job)


@rule()
async def cancel_one_that_has_ended(walk: Walk) -> str:
    """It stays as it is."""
    job_id = walk.pick(walk.model.ended)
    if await walk.jobs.cancel(job_id) is not None:
        raise Violation(f"S9: job {job_id} has ended, and was cancelled")
    return f"job {job_id}"


@rule(1.2)
async def deal_with_requests(walk: Walk) -> str:
    """Upkeep: runs are told, jobs that nobody holds are ended, and no other request stays."""
    if not walk.model.requests:
        walk.tell(await cancel_what_runs(walk))
    asked = sorted(walk.model.requests)
    worker, told = walk.worker(alone=None), list[int]()
    await deal_with_cancels(walk.conn, walk.jobs, worker, lambda job_id, _: told.append(job_id))
    for job_id in asked:
        if job_id not in walk.model.jobs:
            walk.model.requests.discard(job_id)
        elif (job := walk.model.jobs[job_id]).worker == worker:
            job.told = True
        else:
            walk.model.cancel_unheld(job_id)
    if set(told) != {
        job_id for job_id in asked if job_id in walk.model.jobs and walk.model.jobs[job_id].worker == worker
    }:
        raise Violation(f"worker {worker} told {told}")
    return f"worker {worker}: {asked}, told {told}"
