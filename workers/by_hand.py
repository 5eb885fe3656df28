"""A worker's loop, taken a step at a time: claim one job with its statements, run it with its executor. For tests of handlers.

Nothing renews, nothing goes on in the background. `workers.testing` is what tests use.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Any

from jobs_core import AnyJob, Connection, Jobs, JobType, Outcome
from jobs_core.claim import claim
from jobs_core.claim_limited import Found, claim_limited
from jobs_core.leases import register, retire
from jobs_core.settled import Settled
from jobs_core.sticky import claim_sticky
from jobs_core.suspects import claim_alone
from jobs_core.tasks import end_task
from workers.executor import Executor
from workers.upkeep import Upkeep

_LEASE_S = 3600.0
"""While a job runs by hand: a debugger may take its time."""


class WatchedExecutor(Executor):
    """An executor of one run, which keeps what it settled last, and the last exception of its handler or of the settle."""

    outcome: Outcome
    raised: Exception | None = None

    def __init__(self, jobs: Jobs) -> None:
        self._stuck = asyncio.Event()
        super().__init__(jobs, 1, on_stuck=self._stuck.set)

    async def run_watched(self, job: AnyJob) -> Settled | None:
        """`run` in a task of its own: who cancels this means the test, and what a cancel means to a handler its executor says.

        Raises AssertionError where the handler does not end after its timeout, and so would end a worker's process.
        """
        running = asyncio.create_task(self.run(job), name=f"run {job.id}")
        stuck = asyncio.create_task(self._stuck.wait())
        try:
            await asyncio.wait({running, stuck}, return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:
            self.drop()
            await end_task(running)
            raise
        finally:
            stuck.cancel()
        if not running.done():
            self.drop()
            running.cancel()
            raise AssertionError(
                f"the handler of job {job.id} ({job.job_type}) does not end though it was cancelled after its timeout: "
                "a worker's process would have ended here"
            )
        return running.result()

    async def _call(self, job: AnyJob) -> Any:
        with self._noting():
            return await super()._call(job)

    async def _settle_alone(self, job: AnyJob, outcome: Outcome, job_type: JobType[Any]) -> Settled:
        self.outcome = outcome
        with self._noting():
            return await super()._settle_alone(job, outcome, job_type)

    @contextmanager
    def _noting(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            self.raised = error
            raise


async def next_job(jobs: Jobs, worker_id: int, queues: Sequence[str]) -> AnyJob | None:
    """Claim the first ready job; where there is none, one that upkeep makes ready."""
    if job := await claim_one(jobs, worker_id, queues):
        return job
    await do_upkeep(jobs)
    return await claim_one(jobs, worker_id, queues)


async def claim_one(jobs: Jobs, worker_id: int, queues: Sequence[str]) -> AnyJob | None:
    """Claim the first ready job, as workers and alone runners do."""
    names = jobs.table.runnable
    after_s = {name: jobs.table.job_type(name).give_up_after.total_seconds() for name in names}
    async with jobs.database.connection() as conn:
        ready = await claim(conn, worker_id=worker_id, queues=queues, job_types=names, slots=1, give_up_after_s=after_s)
        ready = ready or await claim_sticky(conn, worker_id=worker_id, queues=queues, job_types=names, slots=1)
        ready = ready or await _claim_apart(conn, worker_id, queues, names, after_s)
        return ready[0] if ready else await claim_alone(conn, worker_id=worker_id, queues=queues, job_types=names)


async def _claim_apart(
    conn: Connection, worker_id: int, queues: Sequence[str], names: Sequence[str], after_s: dict[str, float]
) -> list[AnyJob]:
    """The first job that has its slots, or its turn; the first look may only make the keys that it finds missing."""
    found, again_in_s = Found([], 0.0), 0.0
    while not found.jobs and again_in_s == 0.0:
        found = await claim_limited(
            conn,
            worker_id=worker_id,
            queues=queues,
            job_types=names,
            slots=1,
            give_up_after_s=after_s,
            after=found.after,
        )
        again_in_s = 1.0 if found.again_in_s is None else found.again_in_s
    return found.jobs


async def do_upkeep(jobs: Jobs) -> None:
    """One round of what every worker does for all: rescue, and make ready what is due."""
    await Upkeep(jobs, upkeep_s=1.0).run_once()


@asynccontextmanager
async def registered(jobs: Jobs, queues: Sequence[str]) -> AsyncIterator[int]:
    """A worker's id meanwhile; what it still holds then can be taken at once."""
    async with jobs.database.connection() as conn:
        worker_id = await register_by_hand(conn, jobs, queues, _LEASE_S)
    try:
        yield worker_id
    finally:
        async with jobs.database.connection() as conn:
            await retire(conn, worker_id)


async def register_by_hand(conn: Connection, jobs: Jobs, queues: Sequence[str], lease_s: float) -> int:
    """A worker's id, whose lease nobody renews."""
    return await register(conn, queues=queues, job_types=jobs.table.runnable, slots=1, lease_s=lease_s)
