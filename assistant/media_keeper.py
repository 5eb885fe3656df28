"""Drops the bytes of files that are too old, in every worker process, about once an hour.

wait ─▶ forget ─▶ wait … (whoever comes first does it; the others find nothing)
"""

import asyncio
import random

import structlog

from assistant.media import forget
from assistant.settings import MediaSettings
from jobs_core import Database, db
from jobs_core.tasks import end_task

log = structlog.get_logger()

EVERY_S = 3600.0


class MediaKeeper:
    """A `jobs_core.Resource`; `run_once` is one round."""

    def __init__(self, database: Database, settings: MediaSettings) -> None:
        self._database = database
        self._settings = settings
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin."""
        self._task = asyncio.create_task(self._run(), name="media")

    async def lease_lost(self) -> None:
        """Nothing here is done for a worker's runs."""

    async def stop(self) -> None:
        """End, in the middle of a round, too: each of its statements stands for itself."""
        if self._task:
            await end_task(self._task)

    async def run_once(self) -> None:
        """Drop what is too old; what fails is logged, and tried again."""
        try:
            async with self._database.connection() as conn:
                if forgotten := await forget(conn, self._settings):
                    log.info("media.forgotten", files=forgotten)
        except Exception as error:  # noqa: BLE001 - the next round may do
            log.warning("media.not_forgotten", error=db.describe(error))

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(EVERY_S * random.uniform(0.5, 1.5))  # noqa: S311 - keeps workers out of step
            await self.run_once()
