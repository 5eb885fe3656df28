"""Rules of cancels: of what nobody holds, of what runs, and of what each has created; and upkeep's part in it."""

from tests.drills.walk.known import Known, Violation
from tests.drills.walk.walk import NotNow, Walk, rule
from workers.cancels import deal_with_cancels


@rule(2)
async def cancel(walk: Walk) -> str:
    """In whatever state: it ends, with all that it created, or its run is to be told."""
    return await _cancel(walk, walk.job(lambda job: walk.chance(0.5) or walk.model.children(job.id)))


@rule(10)
async def cancel_what_runs(walk: Walk) -> str:
    """Its run is to be told, and what it created with it."""
    return await _cancel(walk, walk.job(lambda job: job.held))


async def _cancel(walk: Walk, job: Known) -> str:
    got = await walk.jobs.cancel(job.id, reason="enough")
    ended, asked = walk.model.cancel(job.id)
    if got is None or (set(got.ended), set(got.asked)) != (set(ended), asked):
        raise Violation(f"S6: {ended} end at once, {asked} are to be told; it said {got}")
    return f"{ended}, to be told: {asked}"


@rule(2.4)
async def cancel_one_that_has_ended(walk: Walk) -> str:
    """It stays as it is."""
    job_id = walk.pick(walk.model.ended)
    if await walk.jobs.cancel(job_id) is not None:
        raise Violation(f"S9: job {job_id} has ended, and was cancelled")
    return f"job {job_id}"


@rule(41)
async def deal_with_requests(walk: Walk) -> str:
    """Upkeep: runs are told, jobs that nobody holds are ended, and no other request stays."""
    asked = sorted(walk.model.requests)
    if not asked:
        raise NotNow
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
