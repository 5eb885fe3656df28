"""One run of one job, as a pipeline of named steps.

    fit the input ─▶ start (write `running`) ─▶ handle ─▶ settle (fenced, repeated while Postgres is away)

Nothing is held while the handler works: no connection, no transaction. Whatever breaks here ends in a counted retry.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import Any, TypeVar

import structlog

from jobs_core import AnyJob, Complete, Connection, Jobs, JobType, LeaseLost, Outcome, db, gate, metrics
from jobs_core.claim import start
from jobs_core.job import current
from jobs_core.settle import Completed, Settled, result_text, settle, settled_earlier
from jobs_core.tasks import end_task
from workers.collector import FIRST_WAIT_S, LONGEST_WAIT_S, Collector
from workers.outcomes import CANCELLED_ITSELF, DRAINED, failure, raised, returned, timed_out, unfit

log = structlog.get_logger()

T = TypeVar("T")

STOP_S = 10.0
"""How long a handler that ran too long may take to end once it was cancelled; then the process ends."""


class Executor:
    """Runs claimed jobs; `run` is one task per job, and cancelling it means that the lease is lost: nothing is written.

    `on_stuck` is called for a handler that does not stop; it ends the process. With a collector, completed runs that have no
    lane and no `also` are settled together.
    """

    def __init__(
        self, jobs: Jobs, slots: int, *, on_stuck: Callable[[], object], collector: Collector | None = None
    ) -> None:
        self._jobs = jobs
        self._table = jobs.table
        self._on_stuck = on_stuck
        self._collector = collector
        self._threads = ThreadPoolExecutor(max_workers=slots, thread_name_prefix="handler")
        self._handling: dict[int, asyncio.Task[Any]] = {}
        self._in_thread = set[int]()
        self._handing_back = False

    @property
    def in_threads(self) -> int:
        """How many handlers run in threads, which nothing but the end of the process can stop."""
        return len(self._in_thread)

    def hand_back(self) -> None:
        """From now on: handlers that can be stopped are, or do not start; their jobs go back at no cost."""
        self._handing_back = True
        for job_id, task in self._handling.items():
            if job_id not in self._in_thread:
                task.cancel()

    async def run(self, job: AnyJob) -> Settled | None:
        """Run and settle one job; None: the lease was lost and nothing was written."""
        began = time.monotonic()
        job_type = self._table.job_type(job.job_type)
        current.set(job)
        try:
            settled = await self.settle(job, await self._outcome(job, job_type), job_type)
        except LeaseLost:
            metrics.leases_lost.labels(job.job_type).inc()
            log.warning("run.lost")
            return None
        spent_s = time.monotonic() - began
        metrics.run_seconds.labels(job.job_type).observe(spent_s)
        log.info("run.settled", state=settled.state, spent_s=round(spent_s, 3))
        return settled

    async def settle(self, job: AnyJob, outcome: Outcome, job_type: JobType[Any]) -> Settled:
        """Record the outcome; one that cannot be written counts as a failure of the run. Raises LeaseLost."""
        try:
            settled = await self._settle(job, outcome, job_type)
        except LeaseLost:
            raise
        except Exception as error:
            log.warning("run.not_written", exc_info=error)
            settled = await self._settle_alone(job, failure(error, job_type), job_type)
        self._jobs.notifier.wake(settled.wakes)
        return settled

    async def _outcome(self, job: AnyJob, job_type: JobType[Any]) -> Outcome:
        try:
            job.input = gate.fit_json(job_type.Input, job.input, field="input")
        except Exception as error:  # noqa: BLE001 - a type's own validators may raise anything
            return unfit(error)
        if not job_type.brief or job.rescued:
            await self._repeat_while_away(lambda conn: start(conn, job))
        return await self._handle(job, job_type)

    async def _handle(self, job: AnyJob, job_type: JobType[Any]) -> Outcome:
        if self._handing_back:
            return DRAINED
        task = asyncio.create_task(self._call(job), name=f"job {job.id}")
        self._handling[job.id] = task
        timeout_s = job_type.timeout.total_seconds() if self._table.is_async(job.job_type) else None
        try:
            await asyncio.wait({task}, timeout=timeout_s)
            if not task.done():
                assert timeout_s is not None
                await self._stop(task)
                return timed_out(timeout_s)
            return self._outcome_of(task, job_type)
        except asyncio.CancelledError:
            await end_task(task)
            raise
        finally:
            del self._handling[job.id]

    async def _call(self, job: AnyJob) -> Any:
        handler = self._table.handler(job.job_type)
        try:
            if self._table.is_async(job.job_type):
                return await handler(job)
            self._in_thread.add(job.id)
            thread = self._threads.submit(copy_context().run, handler, job)
            thread.add_done_callback(lambda _: self._in_thread.discard(job.id))
            return await asyncio.wrap_future(thread)
        except (SystemExit, KeyboardInterrupt) as error:  # they would end the whole worker
            raise RuntimeError(f"the handler raised {type(error).__name__}") from error

    async def _stop(self, task: asyncio.Task[Any]) -> None:
        task.cancel()
        await asyncio.wait({task}, timeout=STOP_S)
        if not task.done():
            log.error("run.stuck", meaning="the handler does not end though it was cancelled; the process does instead")
            self._on_stuck()

    def _outcome_of(self, task: asyncio.Task[Any], job_type: JobType[Any]) -> Outcome:
        if task.cancelled():
            return DRAINED if self._handing_back else CANCELLED_ITSELF
        error = task.exception()
        return returned(task.result()) if error is None else raised(error, job_type)

    async def _settle(self, job: AnyJob, outcome: Outcome, job_type: JobType[Any]) -> Settled:
        if self._collector and isinstance(outcome, Complete) and not outcome.also and not job.lane:
            run = Completed(job, result_text(outcome.result, job_type), job_type.retention)
            await self._collector.settle(run)
            return Settled("complete")
        return await self._settle_alone(job, outcome, job_type)

    async def _settle_alone(self, job: AnyJob, outcome: Outcome, job_type: JobType[Any]) -> Settled:
        unsure = False

        async def once(conn: Connection) -> Settled:
            nonlocal unsure
            if unsure and await settled_earlier(conn, [job]):
                return Settled("complete" if isinstance(outcome, Complete) else "failed")
            unsure = True
            return await settle(conn, job, outcome, job_type)

        settled = await self._repeat_while_away(once)
        metrics.settled.labels(job.job_type, settled.state).inc()
        return settled

    async def _repeat_while_away(self, verb: Callable[[Connection], Awaitable[T]]) -> T:
        wait_s = FIRST_WAIT_S
        while True:
            try:
                async with self._jobs.database.connection() as conn:
                    return await verb(conn)
            except Exception as error:
                if not db.will_pass(error):
                    raise
                log.warning("database.away", error=db.describe(error))
            await asyncio.sleep(wait_s)
            wait_s = min(wait_s * 2, LONGEST_WAIT_S)
