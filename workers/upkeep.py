"""Upkeep: what every worker does each second for all of them; whoever comes first has the work. (Hourly: housekeeping.)

look (one statement) ─▶ bury ─▶ rescue ─▶ end pauses ─▶ see to suspects ─▶ cancel ─▶ promote ─▶ age ─▶ sleep, ≤ upkeep_s ─┐
  ▲──────────────────────────────────────────────────────────────────────────────────────────────────────────────┘
"""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Sequence

import structlog

from jobs_core import Connection, Jobs, db, metrics
from jobs_core.ageing import age, step_s
from jobs_core.pauses import end_due
from jobs_core.tasks import wait_at_most
from jobs_core.upkeep import Seen, bury, look, promote_due, rescue, unsuspect
from workers.guard_link import GuardLink
from workers.metrics import buried, upkeep_failures, upkeep_rounds

log = structlog.get_logger()

_SHORTEST_S = 0.02  # between two batches of due jobs: 50,000 a second, and no spinning on rows that another has locked


class Upkeep:
    """The loop; `run_once` is one round of it.

    `queues` are those whose suspects it looks for, to tell the guard, who starts alone runners for them; those of types of
    which nobody is suspected were put back by a worker that does not know the type, and run here. `on_limited` hears of each
    round that saw jobs with limits stand ready; `on_cancels` deals with requests to cancel, where a round saw any.
    """

    def __init__(
        self,
        jobs: Jobs,
        upkeep_s: float,
        *,
        queues: Sequence[str] = (),
        link: GuardLink | None = None,
        on_limited: Callable[[], object] | None = None,
        on_cancels: Callable[[Connection], Awaitable[object]] | None = None,
    ) -> None:
        self._jobs = jobs
        self._upkeep_s = upkeep_s
        self._queues = list(queues)
        self._link = link
        self._on_limited = on_limited
        self._on_cancels = on_cancels
        types = [jobs.table.job_type(name) for name in jobs.table.runnable]
        self._ageing = {job_type.name: job_type.ageing for job_type in types if job_type.ageing}
        self._unsuspected = [job_type.name for job_type in types if not job_type.suspected]
        self._age_at = 0.0
        self._now = asyncio.Event()
        self._suspects = 0
        self._takes_over_from_s = 0.0

    def take_over_nothing_for(self, seconds: float) -> None:
        """After an outage: every lease ran out in it, and the workers behind them come back to what they stopped themselves."""
        self._takes_over_from_s = time.monotonic() + seconds

    async def run(self) -> None:
        """Go on until cancelled; a round that fails is tried again at the next."""
        while True:
            try:
                wait_s = await self.run_once()
                upkeep_rounds.inc()
            except Exception as error:  # noqa: BLE001 - the next round may do; without rounds nobody rescues
                upkeep_failures.inc()
                log.warning("upkeep.failed", error=db.describe(error))
                wait_s = self._upkeep_s
            await wait_at_most(self._now, wait_s * random.uniform(0.9, 1.05))  # noqa: S311 - keeps workers out of step
            self._now.clear()

    def hurry(self) -> None:
        """Have the next round now: somebody wants a run cancelled."""
        self._now.set()

    async def run_once(self) -> float:
        """Do what is to be done; returns how many seconds there is nothing to do."""
        async with self._jobs.database.connection() as conn:
            seen = await self._look(conn)
            if (seen.expired or seen.gone) and time.monotonic() >= self._takes_over_from_s:
                await self._take_over(conn, seen)
                seen = await self._look(conn)
            if seen.pause_over and await end_due(conn):
                self._jobs.notifier.wake_all()
                seen = await self._look(conn)
            if seen.suspects and self._unsuspected and await self._unsuspect(conn):
                seen = await self._look(conn)
            self._tell(seen.suspects)
            if seen.cancels and self._on_cancels:
                await self._on_cancels(conn)
            if seen.limited and self._on_limited:
                self._on_limited()
            due_in_s = seen.due_in_s
            if due_in_s is not None and due_in_s <= 0:
                due_in_s, ready = await promote_due(conn)
                self._jobs.notifier.wake(ready)
            if self._ageing and time.monotonic() >= self._age_at:
                if await age(conn, self._ageing, queues=self._queues):
                    return _SHORTEST_S
                self._age_at = time.monotonic() + step_s(self._ageing)
        return self._upkeep_s if due_in_s is None else min(self._upkeep_s, max(due_in_s, _SHORTEST_S))

    async def _look(self, conn: Connection) -> Seen:
        seen = await look(conn, queues=self._queues, job_types=self._jobs.table.runnable)
        metrics.ready_times.note(seen.drawn, seen.at)
        return seen

    async def _take_over(self, conn: Connection, seen: Seen) -> None:
        if seen.expired:
            for dead in await bury(conn):
                buried.inc()
                log.warning("worker.buried", worker_id=dead["id"], host=dead["host"], pid=dead["pid"])
        ids, ready = await rescue(
            conn, retentions=self._jobs.table.retentions, unsuspected=self._jobs.table.unsuspected
        )
        self._jobs.notifier.wake(ready)
        if ids:
            metrics.rescued.inc(len(ids))
            log.warning("jobs.rescued", jobs=len(ids))

    async def _unsuspect(self, conn: Connection) -> bool:
        ready = await unsuspect(conn, queues=self._queues, job_types=self._unsuspected)
        self._jobs.notifier.wake(ready)
        return bool(ready)

    def _tell(self, suspects: int) -> None:
        if suspects == self._suspects:
            return
        self._suspects = suspects
        if self._link:
            self._link.suspects(suspects)
        elif suspects:
            log.warning("suspects.left", jobs=suspects, meaning="only alone runners take them: start ./jobs worker")
