"""The lease of one worker id, kept from a thread with a connection and an event loop of its own.

    renew (every renew_s) ── accepted ──▶ deadline = when it was sent + 0.8 × lease ──▶ tell the guard ──┐
      ▲──────────────────────────────────────────────────────────────────────────────────────────────────┘
      └── refused, or the deadline passes unanswered ──▶ on_lost(); no answer to that in time ──▶ end the process

A thread of its own, so that a handler that keeps the event loop busy does not lose the lease. The deadline counts on a clock
that goes on while the machine sleeps.
"""

import asyncio
import os
import threading
from collections.abc import Callable
from typing import NoReturn

import structlog

from jobs_core import Connection, Database, db
from jobs_core.leases import renew
from workers import metrics
from workers.guard_link import GuardLink
from workers.process_tree import boottime_s, kill_descendants
from workers.settings import WorkerSettings

log = structlog.get_logger()

DEADLINE_SHARE = 0.8
"""Of the lease: everything stops here, so that nothing runs any more when others may take over, at 1.0."""
STOP_SHARE = 0.1
"""Of the lease: how long the event loop has, from the deadline, to stop its runs before the process is ended."""
EXIT_LEASE_LOST = 75
_RECONNECT_S = 0.2


class Lease:
    """Keeps one worker id alive until `stop`; calls `on_lost` (from its thread) at most once.

    `sent_at` is the boottime at which the registration was sent: the first deadline counts from it. Whoever gets `on_lost`
    stops everything that runs for this id and then calls `stop`, or the process is ended.
    """

    def __init__(
        self,
        database: Database,
        worker_id: int,
        settings: WorkerSettings,
        *,
        sent_at: float,
        on_lost: Callable[[], object],
        link: GuardLink | None,
    ) -> None:
        self._database = database
        self._worker_id = worker_id
        self._settings = settings
        self._on_lost = on_lost
        self._link = link
        self._conn: Connection | None = None
        self._unanswered = False
        self.lost_in_outage = False
        """Whether it was lost because Postgres did not answer, and not because this process was starved or frozen."""
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="lease", daemon=True)
        self._set_deadline(sent_at)

    def start(self) -> None:
        """Begin to renew."""
        self._thread.start()

    def stop(self) -> None:
        """Nothing runs for this id any more: no more renewals, and nothing to guard."""
        self._stopped.set()
        if self._link:
            self._link.no_lease()

    def _run(self) -> None:
        asyncio.run(self._keep())

    async def _keep(self) -> None:
        while not self._stopped.is_set():
            left_s = self._deadline - boottime_s()
            sent_at = boottime_s()
            renewal = asyncio.create_task(self._renew())
            # Not asyncio.timeout: a cancelled statement on a connection that stalls comes back only 10 s later.
            await asyncio.wait({renewal}, timeout=max(left_s, 0.0))
            if left_s <= 0 or not renewal.done():
                self._unanswered |= left_s > 0
                self._lose("its deadline passed")
                renewal.cancel()
                return
            renewed = renewal.result()
            if renewed is False:
                self._lose("it was refused")
                break
            self._unanswered = renewed is None
            if renewed:
                self._set_deadline(sent_at)
            pause_s = self._settings.renew_s if renewed else _RECONNECT_S
            self._stopped.wait(min(pause_s, max(self._deadline - boottime_s(), 0.0)))
        await self._disconnect()

    async def _renew(self) -> bool | None:
        """Whether the lease was renewed or refused; None: no telling, the database did not answer as it should."""
        try:
            if self._conn is None:
                self._conn = await self._database.connect("lease")
            return await renew(self._conn, self._worker_id)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is no renewal: the deadline decides
            log.warning("lease.not_renewed", worker_id=self._worker_id, error=db.describe(error))
            await self._disconnect()
            return None

    async def _disconnect(self) -> None:
        conn, self._conn = self._conn, None
        if conn is not None:
            await conn.close()

    def _set_deadline(self, sent_at: float) -> None:
        self._deadline = sent_at + DEADLINE_SHARE * self._settings.lease_s
        if self._link and not self._stopped.is_set():
            self._link.deadline(self._deadline)

    def _lose(self, why: str) -> None:
        if self._stopped.is_set():
            return
        self.lost_in_outage = self._unanswered
        metrics.leases_lost.labels("outage" if self.lost_in_outage else "starved").inc()
        log.error("lease.lost", worker_id=self._worker_id, why=why, postgres_was_away=self.lost_in_outage)
        self._on_lost()
        if not self._stopped.wait(STOP_SHARE * self._settings.lease_s):
            log.error("worker.ended", worker_id=self._worker_id, why="its runs did not stop in time")
            end_process(self._link)


def end_process(link: GuardLink | None) -> NoReturn:
    """End this process at once, and its children with it where it is a supervised one (else they are not ours to kill)."""
    if link:
        kill_descendants(os.getpid())
    os._exit(EXIT_LEASE_LOST)
