"""Keeps the budgets of a fleet, in every worker process: sets the defaults, and settles for runs that died.

start: caps of the settings ─▶ sweep ─▶ wait ─▶ sweep … (each also tells those who wait where there is money)
"""

import asyncio
import random
from collections.abc import Callable, Iterable
from datetime import timedelta
from decimal import Decimal

import structlog

from jobs_core import Connection, Database, db
from jobs_core.away import repeat_while_away
from jobs_core.tasks import end_task
from jobs_core.wake import Ready
from sessions.budgets import forget_accounts, sweep
from sessions.caps import set_defaults
from sessions.settings import CapUsd, SessionSettings

log = structlog.get_logger()

EVERY_S = 30.0
"""A run that died is settled by its turn's next one as a rule: this is for those that have none."""
_FORGET_EVERY = timedelta(hours=6) / timedelta(seconds=EVERY_S)


class BudgetKeeper:
    """A `jobs_core.Resource`; `run_once` is one sweep. `wake` hears where jobs go on."""

    def __init__(
        self, database: Database, settings: SessionSettings, wake: Callable[[Iterable[Ready]], object]
    ) -> None:
        self._database = database
        self._settings = settings
        self._wake = wake
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Set the caps that the settings name, so that no run begins without them, and begin to sweep."""

        async def defaults(conn: Connection) -> set[Ready]:
            daily, turn = _usd(self._settings.daily_cap_usd), _usd(self._settings.turn_cap_usd)
            async with conn.transaction():
                return await set_defaults(conn, daily_usd=daily, turn_usd=turn)

        self._wake(await repeat_while_away(self._database, defaults))
        self._task = asyncio.create_task(self._run(), name="budgets")

    async def lease_lost(self) -> None:
        """Nothing here is done for a worker's runs."""

    async def stop(self) -> None:
        """End, in the middle of a sweep, too: each of its transactions stands for itself."""
        if self._task:
            await end_task(self._task)

    async def run_once(self) -> None:
        """One sweep."""
        async with self._database.connection() as conn:
            self._wake(await sweep(conn))
            if random.random() < 1 / _FORGET_EVERY:  # noqa: S311 - now and then, whichever worker it is
                await forget_accounts(conn)

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(EVERY_S * random.uniform(0.5, 1.5))  # noqa: S311 - keeps workers out of step
            try:
                await self.run_once()
            except Exception as error:  # noqa: BLE001 - the next sweep may do
                log.warning("budgets.not_swept", error=db.describe(error))


def _usd(cap: CapUsd) -> Decimal | None:
    return None if cap == "none" else cap
