"""An alone runner: a process that runs suspects (jobs_core.suspects), one after another, each as the only job in it.

    start resources ─▶ register ─▶ claim one ─▶ run … settle ─┐
                                     ▲                        │
                                     └────────────────────────┘
    none for the length of a lease, a drain, or processes left by the run (killed) ─▶ retire ─▶ stop resources ─▶ exit

A run that leaves processes behind may have left more: a pool of them, say, that the next job in this process would find dead.

Its supervisor starts it for suspects, and again when it dies. So it gives up where a worker would go on: a lost lease ends the
process, and so does a database that is away between two runs. What it may have claimed then is put back uncharged when its
lease runs out.
"""

import asyncio
import os
import signal
from collections.abc import Coroutine, Sequence
from contextlib import AsyncExitStack, suppress
from functools import partial
from typing import Any

import structlog

from jobs_core import AnyJob, Jobs, Resource, db, metrics
from jobs_core.leases import register, retire
from jobs_core.resource import started
from jobs_core.suspects import claim_alone
from jobs_core.tasks import end_task
from workers.cancels import deal_with_cancels
from workers.executor import Executor
from workers.guard_link import GuardLink
from workers.lease import Lease, end_process
from workers.process_tree import boottime_s, kill_descendants
from workers.settings import WorkerSettings

log = structlog.get_logger()

_POLL_S = 0.2
"""Work goes on within lease + one upkeep + 0.5 s after a death, and the rescue may use up all but the last."""
_HAND_BACK_S = 10.0
_CANCELS_S = 0.5
"""Between two looks for somebody who wants the run cancelled."""


class AloneRunner:
    """One alone runner in this process and event loop; `run` returns when there was nothing for a while, or it has drained."""

    def __init__(
        self,
        jobs: Jobs,
        *,
        queues: Sequence[str],
        settings: WorkerSettings,
        resources: Sequence[Resource] = (),
        link: GuardLink | None = None,
    ) -> None:
        self._jobs = jobs
        self._queues = list(queues)
        self._settings = settings
        self._resources = resources
        self._link = link
        self._executor = Executor(jobs, 1, on_stuck=partial(end_process, link))
        self._draining = asyncio.Event()
        self._forced = asyncio.Event()

    def drain(self) -> None:
        """Claim no more, let the run end within drain_s, then hand it back; called again: hand back at once."""
        if self._draining.is_set():
            self._forced.set()
        self._draining.set()

    async def run_process(self) -> None:
        """`run`, with SIGTERM and SIGINT of this process bound to `drain`."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.drain)
        await self.run()

    async def run(self) -> None:
        """Run suspects until there are none. Raises what a resource's `start` raised, or the database between two runs."""
        async with AsyncExitStack() as stack:
            for resource in self._resources:
                if not await started(resource, self._draining):
                    return
                stack.push_async_callback(resource.stop)
            worker_id, lease = await self._register()
            stack.callback(lease.stop)
            clean = True
            while clean and (job := await self._next(worker_id)) is not None:
                clean = await self._run(job, worker_id)
            lease.stop()  # first: a renewal of what is retired would be refused
            async with self._jobs.database.connection() as conn:
                await retire(conn, worker_id)

    async def _register(self) -> tuple[int, Lease]:
        async with self._jobs.database.connection() as conn:
            sent_at = boottime_s()
            worker_id = await register(
                conn,
                queues=self._queues,
                job_types=self._jobs.table.runnable,
                slots=1,
                lease_s=self._settings.lease_s,
            )
        lease = Lease(
            self._jobs.database,
            worker_id,
            self._settings,
            sent_at=sent_at,
            on_lost=partial(end_process, self._link),
            link=self._link,
        )
        lease.start()
        log.info("worker.registered", worker_id=worker_id, queues=self._queues, alone=True)
        return worker_id, lease

    async def _next(self, worker_id: int) -> AnyJob | None:
        """The next suspect; None where none came for the length of a lease, or a drain was asked for.

        That long, because runners start when a worker has been silent for half its lease, before its jobs are rescued.
        """
        until_s = boottime_s() + self._settings.lease_s
        while not self._draining.is_set() and boottime_s() < until_s:
            async with self._jobs.database.connection() as conn:
                job = await claim_alone(
                    conn, worker_id=worker_id, queues=self._queues, job_types=self._jobs.table.runnable
                )
            if job is not None:
                return job
            await _first(self._draining.wait(), _POLL_S)
        return None

    async def _run(self, job: AnyJob, worker_id: int) -> bool:
        """Run it to its end, or as far as a drain lets it; False: it left processes behind, which are killed now."""
        metrics.count_claims([job])
        if self._link:
            self._link.busy(True)
        run = asyncio.create_task(self._executor.run(job), name=f"run {job.id}")
        cancels = asyncio.create_task(self._keep_looking_for_cancels(worker_id))
        try:
            return await self._ran(job, run)
        finally:
            await end_task(cancels)

    async def _ran(self, job: AnyJob, run: asyncio.Task[Any]) -> bool:
        await _first(self._draining.wait(), None, run)
        await _first(self._forced.wait(), self._settings.drain_s, run)
        if not run.done():
            self._executor.hand_back()
            await asyncio.wait({run}, timeout=_HAND_BACK_S)
        if not run.done() or self._executor.in_threads:
            log.error("worker.ended", why="a handler that runs in a thread, or will not end, was running")
            end_process(self._link)
        if await run is None:
            return False  # lost, or so its handler says: whoever rescues the job must not find this worker alive
        if self._link:
            if left := kill_descendants(os.getpid()):  # no other job runs here that could have started them
                log.warning("agents.killed", why="their run has ended", job_id=job.id, pids=left)
                return False
            self._link.busy(False)
        return True

    async def _keep_looking_for_cancels(self, worker_id: int) -> None:
        while True:
            await asyncio.sleep(_CANCELS_S)
            try:
                async with self._jobs.database.connection() as conn:
                    await deal_with_cancels(conn, self._jobs, worker_id, self._executor.cancel)
            except Exception as error:  # noqa: BLE001 - the next look may do; the lease says how long a run may go on
                log.warning("database.away", error=db.describe(error))


async def _first(wait: Coroutine[Any, Any, object], within_s: float | None, *tasks: asyncio.Task[object]) -> None:
    """Return when one of these is done, or the time is over; only `wait` is cancelled then."""
    waiting = asyncio.create_task(wait)
    try:
        await asyncio.wait({waiting, *tasks}, timeout=within_s, return_when=asyncio.FIRST_COMPLETED)
    finally:
        waiting.cancel()
        with suppress(asyncio.CancelledError):
            await waiting
