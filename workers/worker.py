"""A worker: claims jobs of its queues, runs them, settles them, under a lease; comes back under a new id when that is lost.

start resources ─▶ register ─▶ claim ─▶ run … settle ─▶ claim … ── drain ─▶ hand back ─▶ retire ─▶ stop resources
                      ▲                                   │
                      └── runs stopped, old id retired ◀──┘ lease lost
"""

import asyncio
import os
import random
import signal
from collections.abc import Coroutine, Iterable, Sequence
from functools import partial
from typing import Any

import structlog

from jobs_core import AnyJob, Connection, Database, Jobs, Resource, db, metrics
from jobs_core.claim import any_ready, claim
from jobs_core.leases import register, retire
from jobs_core.settings import CoreSettings
from jobs_core.upkeep import put_back_strays
from jobs_core.wake import Listener
from workers.executor import Executor
from workers.guard_link import GuardLink
from workers.lease import DEADLINE_SHARE, Lease, end_process
from workers.process_tree import boottime_s, kill_descendants
from workers.settings import WorkerSettings
from workers.upkeep import Upkeep

log = structlog.get_logger()

_POLL_WITHOUT_LISTEN_S = 1.0
_CONTENDED_S = 0.02
"""Until the next look when ready jobs were seen but locked by another's claim, which may leave them; then twice as long, …"""
_LONGEST_CONTENDED_S = 1.0
_AWAY_S = 0.5
_HAND_BACK_S = 10.0
"""For handlers to end once they were cancelled, and for their jobs to be put back."""


def open_database(core: CoreSettings, settings: WorkerSettings, *, name: str = "jobs worker") -> Database:
    """The pool of a worker process: one that froze inside a transaction holds its rows no longer than its lease."""
    return Database(
        core.database_url,
        name=name,
        max_connections=core.database_connections,
        idle_in_transaction_s=DEADLINE_SHARE * settings.lease_s,
    )


class Worker:
    """One worker in this process and event loop; `run` returns when it has drained."""

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
        self._job_types = jobs.table.runnable
        self._executor = Executor(jobs, settings.slots, on_stuck=partial(end_process, link))
        self._runs: dict[int, asyncio.Task[object]] = {}
        self._sweep_at = 0.0
        self._contended_s = _CONTENDED_S
        self._wake = asyncio.Event()
        self._slot_freed = asyncio.Event()
        self._lost = asyncio.Event()
        self._draining = asyncio.Event()
        self._forced = asyncio.Event()
        self._listener = Listener(jobs.database, self._on_wake)

    def drain(self) -> None:
        """Stop claiming, let runs end within drain_s, hand back the rest; called again: hand back at once."""
        if self._draining.is_set():
            self._forced.set()
        self._draining.set()

    async def run(self) -> None:
        """Work until drained. Raises what a resource's `start` raised."""
        if self._link is None:
            log.warning("worker.unguarded", meaning="no supervisor kills what this worker leaves if it dies")
        upkeep = Upkeep(self._jobs, self._settings.upkeep_s, queues=self._queues, link=self._link)
        background: list[asyncio.Task[None]] = []
        started: list[Resource] = []
        try:
            for resource in self._resources:
                await resource.start()
                started.append(resource)
            background = [asyncio.create_task(self._listener.run()), asyncio.create_task(upkeep.run())]
            while not self._draining.is_set():
                await self._live()
        finally:
            await _cancel(background)
            for resource in reversed(started):
                await resource.stop()

    async def run_process(self) -> None:
        """`run`, with SIGTERM and SIGINT of this process bound to `drain`."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.drain)
        await self.run()

    async def _live(self) -> None:
        """One id's life, from register to retire."""
        registered = await self._register()
        if registered is None:
            return
        worker_id, sent_at = registered
        self._lost.clear()
        loop = asyncio.get_running_loop()
        lease = Lease(
            self._jobs.database,
            worker_id,
            self._settings,
            sent_at=sent_at,
            on_lost=partial(loop.call_soon_threadsafe, self._lost.set),
            link=self._link,
        )
        lease.start()
        log.info("worker.registered", worker_id=worker_id, queues=self._queues, slots=self._settings.slots)
        claiming = asyncio.create_task(self._claim_for(worker_id))
        try:
            await _first(self._lost.wait(), self._draining.wait())
            await _cancel([claiming])
            if not self._lost.is_set():
                await self._finish_runs(worker_id)
        finally:
            await _cancel([claiming])
            if self._lost.is_set() or not self._draining.is_set():
                await self._drop_runs()
            lease.stop()
        await self._retire(worker_id)

    async def _register(self) -> tuple[int, float] | None:
        """A new id, and when it was asked for (boottime); None where a drain was asked for while the database was away."""
        while not self._draining.is_set():
            try:
                async with self._jobs.database.connection() as conn:
                    sent_at = boottime_s()
                    worker_id = await register(
                        conn,
                        queues=self._queues,
                        job_types=self._job_types,
                        slots=self._settings.slots,
                        lease_s=self._settings.lease_s,
                    )
                return worker_id, sent_at
            except Exception as error:  # noqa: BLE001 - a worker without an id can but ask again
                log.warning("database.away", error=db.describe(error))
                await _first(asyncio.sleep(_AWAY_S), self._draining.wait())
        return None

    async def _claim_for(self, worker_id: int) -> None:
        """Claim until cancelled, never more than there are free slots."""
        while True:
            self._slot_freed.clear()
            self._wake.clear()
            free = self._settings.slots - len(self._runs)
            try:
                wait_s = await self._claim_once(worker_id, free)
            except Exception as error:  # noqa: BLE001 - a worker that claims no more would live on for nothing
                log.warning("claim.failed", error=db.describe(error))
                self._sweep_at = 0.0
                wait_s = _AWAY_S
            if wait_s:
                await _first((self._wake if free else self._slot_freed).wait(), asyncio.sleep(wait_s))

    async def _claim_once(self, worker_id: int, free: int) -> float:
        """Claim and start runs; returns how long to wait for a wake-up, or a free slot, before the next look."""
        if not free and boottime_s() < self._sweep_at:
            return self._settings.lease_s
        async with self._jobs.database.connection() as conn:
            await self._sweep(conn, worker_id)
            if not free:
                return self._settings.lease_s
            jobs = await claim(conn, worker_id=worker_id, queues=self._queues, job_types=self._job_types, slots=free)
            for job in jobs:
                self._start(job)
            if jobs:
                self._contended_s = _CONTENDED_S
            if len(jobs) == free:
                return 0.0
            contended = await any_ready(conn, queues=self._queues, job_types=self._job_types)
        if contended:
            wait_s, self._contended_s = self._contended_s, min(self._contended_s * 2, _LONGEST_CONTENDED_S)
            return wait_s
        poll_s = self._settings.poll_s if self._listener.listening else _POLL_WITHOUT_LISTEN_S
        return min(poll_s, self._settings.poll_s) * random.uniform(0.9, 1.0)  # noqa: S311 - keeps workers out of step

    async def _sweep(self, conn: Connection, worker_id: int) -> None:
        """Put back what this id holds and no run of ours has, once a lease and after a claim that got no answer."""
        if boottime_s() < self._sweep_at:
            return
        queues = await put_back_strays(conn, worker_id, list(self._runs))
        self._sweep_at = boottime_s() + self._settings.lease_s
        if queues:
            log.warning("strays.put_back", queues=sorted(queues))
            self._jobs.notifier.wake(queues)

    def _start(self, job: AnyJob) -> None:
        metrics.claimed.labels(job.job_type).inc()
        metrics.wait_seconds.labels(job.job_type).observe((job.claimed_at - job.created_at).total_seconds())
        run = asyncio.create_task(self._executor.run(job), name=f"run {job.id}")
        self._runs[job.id] = run
        run.add_done_callback(partial(self._on_run_end, job.id))

    def _on_run_end(self, job_id: int, run: asyncio.Task[object]) -> None:
        del self._runs[job_id]
        self._slot_freed.set()
        if not run.cancelled() and (error := run.exception()):
            log.error("run.broke", job_id=job_id, exc_info=error)
            self._sweep_at = 0.0

    def _on_wake(self, queue: str | None) -> None:
        if queue is None or queue in self._queues:
            self._wake.set()

    async def _finish_runs(self, worker_id: int) -> None:
        """Drain: let runs end, then hand back the rest; cut short where the lease is lost or a second drain is asked for."""
        log.info("worker.draining", runs=len(self._runs), drain_s=self._settings.drain_s)
        self._sweep_at = 0.0  # the claim that was cut off may have taken jobs
        try:
            async with self._jobs.database.connection() as conn:
                await self._sweep(conn, worker_id)
        except Exception as error:  # noqa: BLE001 - retiring frees them as well, only later
            log.warning("database.away", error=db.describe(error))
        await _first(self._all_ended(), asyncio.sleep(self._settings.drain_s), self._forced.wait(), self._lost.wait())
        if self._runs and not self._lost.is_set():
            self._executor.hand_back()
            await _first(self._all_ended(), asyncio.sleep(_HAND_BACK_S), self._lost.wait())

    async def _drop_runs(self) -> None:
        """The lease is lost: stop every run, and what it has started, and write nothing."""
        stopping = asyncio.gather(*(_cancel([run]) for run in self._runs.values()))
        for resource in self._resources:
            await resource.lease_lost()
        if self._link:
            kill_descendants(os.getpid())
        await stopping

    async def _all_ended(self) -> None:
        while self._runs:
            await asyncio.wait(self._runs.values())

    async def _retire(self, worker_id: int) -> None:
        """Free what this id still holds, at once. Where a handler did not stop the process ends instead, its lease runs out."""
        if self._executor.in_threads or self._runs:
            log.error(
                "worker.ended", worker_id=worker_id, why="a handler that runs in a thread, or will not end, was running"
            )
            end_process(self._link)
        try:
            async with self._jobs.database.connection() as conn:
                await retire(conn, worker_id)
        except Exception as error:  # noqa: BLE001 - then it is buried
            meaning = "its lease runs out instead"
            log.warning("worker.not_retired", worker_id=worker_id, error=db.describe(error), meaning=meaning)


async def _cancel(tasks: Iterable[asyncio.Task[Any]]) -> None:
    tasks = list(tasks)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def _first(*waits: Coroutine[Any, Any, object]) -> None:
    """Return when the first of these does; the others are cancelled."""
    tasks = [asyncio.create_task(wait) for wait in waits]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        await _cancel(tasks)
