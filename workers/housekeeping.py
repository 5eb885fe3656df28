"""Housekeeping: what nobody needs any more goes, and history's days are made ahead; once an hour, in every worker process.

wait (a minute at most at first) ─▶ dead workers ─▶ keys ─▶ events, steps ─▶ limits, turns, times ─▶ history's days ─▶ wait ─┐
                                     ▲──────────────────────────────────────────────────────────────────── an hour ◀────────┘

Apart from upkeep: this may take minutes, and a rescue may not wait for it.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence

import structlog

from jobs_core import Connection, Database, db
from jobs_core.ageing import forget_ready_times
from jobs_core.history import keep_house
from jobs_core.keys import EXPIRE_BATCH, expire_keys
from jobs_core.limits import FORGET_BATCH, forget_limits, free_strays
from jobs_core.pauses import forget_paused_times
from jobs_core.settings import HistorySettings
from jobs_core.sticky import forget_sticky_keys
from jobs_core.tasks import end_task
from jobs_core.turns import forget_fair_keys
from jobs_core.upkeep import forget_workers
from jobs_core.waits import forget as forget_waits

log = structlog.get_logger()

Duty = Callable[[Connection], Awaitable[object]]

_FIRST_S, _EVERY_S = 60.0, 3600.0


class Housekeeping:
    """A Resource of a worker process; `run_once` is one round. also: what higher rooms have to forget."""

    def __init__(self, database: Database, history: HistorySettings, also: Sequence[Duty] = ()) -> None:
        self._database = database
        self._history = history
        self._also = also
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin."""
        self._task = asyncio.create_task(self._run(), name="housekeeping")

    async def lease_lost(self) -> None:
        """Nothing here is done for a worker's runs."""

    async def stop(self) -> None:
        """End, in the middle of a round, too: each of its statements stands for itself."""
        if self._task:
            await end_task(self._task)

    async def run_once(self) -> None:
        """Do all of it; what fails is logged, and tried again in an hour."""
        for duty in (
            forget_workers,
            _expire_keys,
            forget_waits,
            _forget_limits,
            free_strays,
            forget_fair_keys,
            forget_ready_times,
            forget_paused_times,
            forget_sticky_keys,
            self._keep_history,
            *self._also,
        ):
            try:
                async with self._database.connection() as conn:
                    await duty(conn)
            except Exception as error:  # noqa: BLE001 - one duty must not keep from the others
                log.warning("housekeeping.failed", duty=duty.__name__, error=db.describe(error))

    async def _run(self) -> None:
        wait_s = _FIRST_S
        while True:
            await asyncio.sleep(random.uniform(0.0, wait_s))  # noqa: S311 - keeps workers out of step
            await self.run_once()
            wait_s = 2 * _EVERY_S

    async def _keep_history(self, conn: Connection) -> None:
        house = await keep_house(conn, self._history)
        if house.made or house.dropped or house.swept:
            log.info("history.kept", made=house.made, dropped=house.dropped, swept=house.swept)
        for partition, why in house.missing.items():
            log.error(
                "history.day_missing", partition=partition, why=why, meaning="its rows go to the default partition"
            )
        for partition, why in house.old.items():
            log.warning("history.day_not_dropped", partition=partition, why=why)


async def _expire_keys(conn: Connection) -> None:
    while await expire_keys(conn) == EXPIRE_BATCH:
        pass


async def _forget_limits(conn: Connection) -> None:
    while await forget_limits(conn) == FORGET_BATCH:
        pass
