"""A worker: claims jobs of its queues, runs them, settles them, under a lease; comes back under a new id when that is lost.

start resources ─▶ register ─▶ claim ─▶ run … settle ─▶ claim … ── drain ─▶ hand back ─▶ retire ─▶ stop resources
                      ▲                                   │
                      └── runs stopped, old id retired ◀──┘ lease lost
"""

import asyncio
import gc
import os
import signal
from collections.abc import Sequence
from contextlib import AsyncExitStack
from functools import partial

import structlog

from jobs_core import Connection, Database, Jobs, Resource, db
from jobs_core.declare import declare_types
from jobs_core.leases import register, retire
from jobs_core.resource import started
from jobs_core.settings import CoreSettings
from jobs_core.tasks import cancel, first
from jobs_core.upkeep import put_back_stopped
from jobs_core.wake import Listener, Ready
from workers import metrics
from workers.cancels import deal_with_cancels
from workers.guard_link import GuardLink
from workers.lease import DEADLINE_SHARE, Lease, end_process
from workers.process_tree import boottime_s, kill_descendants
from workers.settings import WorkerSettings
from workers.shift import Shift
from workers.upkeep import Upkeep

log = structlog.get_logger()

_POLL_WITHOUT_LISTEN_S = 1.0
_AWAY_S = 0.5


def open_database(core: CoreSettings, settings: WorkerSettings, *, name: str = "jobs worker") -> Database:
    """The pool of a worker process: one that froze inside a transaction holds its rows no longer than its lease."""
    return Database(
        core.database_url,
        name=name,
        max_connections=core.database_connections,
        idle_in_transaction_s=DEADLINE_SHARE * settings.lease_s,
        direct_dsn=core.database_direct_url,
    )


class Worker:
    """One worker in this process and event loop; `run` returns when it has drained.

    leaves_nothing: its runs start no processes, so that nobody need end them where this one dies.
    """

    def __init__(
        self,
        jobs: Jobs,
        *,
        queues: Sequence[str],
        settings: WorkerSettings,
        resources: Sequence[Resource] = (),
        link: GuardLink | None = None,
        leaves_nothing: bool = False,
    ) -> None:
        self._jobs = jobs
        self._leaves_nothing = leaves_nothing
        self._queues = list(queues)
        self._settings = settings
        self._resources = resources
        self._link = link
        self._shift: Shift | None = None
        self._upkeep = Upkeep(
            jobs,
            settings.upkeep_s,
            queues=self._queues,
            link=link,
            on_limited=self._on_limited,
            on_cancels=self._deal_with_cancels,
        )
        self._stopped = set[int]()
        self._declared = False
        self._lost = asyncio.Event()
        self._draining = asyncio.Event()
        self._forced = asyncio.Event()
        self._listener = Listener(jobs.database, self._on_wake, self._upkeep.hurry)
        jobs.notifier.on_wake = self._on_wake
        jobs.notifier.on_cancels = self._upkeep.hurry

    def drain(self) -> None:
        """Stop claiming, let runs end within drain_s, hand back the rest; called again: hand back at once."""
        if self._draining.is_set():
            self._forced.set()
        self._draining.set()

    async def run(self) -> None:
        """Work until drained. Raises what a resource's `start` raised."""
        if self._link is None and not self._leaves_nothing:
            log.warning("worker.unguarded", meaning="no supervisor kills what this worker leaves if it dies")
        async with AsyncExitStack() as stack:
            for resource in self._resources:
                if not await started(resource, self._draining):
                    return
                stack.push_async_callback(resource.stop)
            listening = asyncio.create_task(self._listener.run())
            stack.push_async_callback(cancel, [listening])
            while not self._draining.is_set():
                await self._live()

    async def run_process(self) -> None:
        """`run`, with SIGTERM and SIGINT of this process bound to `drain`."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.drain)
        gc.collect()
        gc.freeze()  # what is imported by now is never garbage: looking through it again and again took a sixth of brief runs
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
        shift = self._shift = Shift(
            self._jobs,
            worker_id,
            queues=self._queues,
            settings=self._settings,
            poll_s=self._poll_s,
            on_stuck=partial(end_process, self._link),
        )
        await self._work(shift, lease)
        self._end_if_stuck(shift)
        if lease.lost_in_outage:
            self._stopped.add(worker_id)
            self._upkeep.take_over_nothing_for(self._settings.lease_s)
        else:
            await self._retire(worker_id)

    async def _work(self, shift: Shift, lease: Lease) -> None:
        """Until the lease is lost or a drain has ended; nothing of the shift goes on after it."""
        upkeep = asyncio.create_task(self._upkeep.run())
        try:
            async with shift.working():
                await first(self._lost.wait(), self._draining.wait())
                if self._lost.is_set():  # at once: on a connection that stalls, claims take 10 s to end
                    upkeep.cancel()  # or it would rescue from its own old id, and suspect the runs that are stopped here
                    await self._drop(shift, stop_agents=True)
                    lease.stop()
            if not self._lost.is_set():
                with metrics.draining.track_inprogress():
                    await shift.finish(lost=self._lost, forced=self._forced)
            if not self._lost.is_set():
                self._end_if_stuck(shift)
        finally:
            upkeep.cancel()
            if not shift.dropped:
                await self._drop(shift, stop_agents=self._lost.is_set() or not self._draining.is_set())
            lease.stop()
            await cancel([upkeep])

    async def _register(self) -> tuple[int, float] | None:
        """A new id, and when it was asked for (boottime); None where a drain was asked for while the database was away."""
        while not self._draining.is_set():
            try:
                async with self._jobs.database.connection() as conn:
                    await self._put_back_stopped(conn)
                    if not self._declared:  # once: after an outage an old process would overrule a newer one
                        await declare_types(conn, self._jobs.table.job_types)
                        self._declared = True
                    sent_at = boottime_s()
                    worker_id = await register(
                        conn,
                        queues=self._queues,
                        job_types=self._jobs.table.runnable,
                        slots=self._settings.slots,
                        lease_s=self._settings.lease_s,
                    )
                return worker_id, sent_at
            except Exception as error:  # noqa: BLE001 - a worker without an id can but ask again
                log.warning("database.away", error=db.describe(error))
                await first(asyncio.sleep(_AWAY_S), self._draining.wait())
        return None

    def _on_wake(self, ready: Ready | None) -> None:
        if self._shift is None:
            return
        if ready is not None and ready.worker_id is not None:
            if ready.worker_id == self._shift.worker_id:
                self._shift.wake_sticky()
        elif ready is None or ready.queue in self._queues:
            self._shift.wake(ready and ready.job_type)

    async def _deal_with_cancels(self, conn: Connection) -> None:
        if self._shift:
            await deal_with_cancels(conn, self._jobs, self._shift.worker_id, self._shift.cancel)

    def _on_limited(self) -> None:
        if self._shift:
            self._shift.limited_seen()

    def _poll_s(self) -> float:
        poll_s = self._settings.poll_s
        return poll_s if self._listener.listening else min(poll_s, _POLL_WITHOUT_LISTEN_S)

    async def _drop(self, shift: Shift, *, stop_agents: bool) -> None:
        """End the shift; where the lease is lost: stop every run, and what it has started, and write nothing."""
        stopping = asyncio.ensure_future(shift.drop())
        if stop_agents:
            for resource in self._resources:
                await resource.lease_lost()
            if self._link:
                kill_descendants(os.getpid())
        await stopping

    def _end_if_stuck(self, shift: Shift) -> None:
        """Where a handler did not stop, the process ends with it; the lease runs out, and the job is taken over."""
        if shift.is_stuck:
            why = "a handler that runs in a thread, or will not end, was running"
            log.error("worker.ended", why=why)
            end_process(self._link)

    async def _put_back_stopped(self, conn: Connection) -> None:
        """Free what earlier ids held when they lost their leases in an outage; nobody is to be suspected for that."""
        for worker_id in list(self._stopped):
            self._jobs.notifier.wake(await put_back_stopped(conn, worker_id))
            await retire(conn, worker_id)
            self._stopped.discard(worker_id)

    async def _retire(self, worker_id: int) -> None:
        """Free what this id still holds, at once."""
        try:
            async with self._jobs.database.connection() as conn:
                await retire(conn, worker_id)
        except Exception as error:  # noqa: BLE001 - then it is buried
            meaning = "its lease runs out instead"
            log.warning("worker.not_retired", worker_id=worker_id, error=db.describe(error), meaning=meaning)
