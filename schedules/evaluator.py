"""Evaluator: looks for schedules that are due, for as long as its process lives.

    look: when is the next one due? ─ now ─▶ a batch, again while there is more ─▶ look
               ▲                 └─ later ─▶ wait for it, a second at most ─┐
               └────────────────────────────────────────────────────────────┘

Any number of them run at once. What one has in hand when it dies is rolled back, and another's next look finds it.
"""

import asyncio
import time
from contextlib import suppress
from datetime import timedelta

import structlog

from jobs_core import Database, Jobs, db, execute, fetch_one, statement
from schedules import metrics
from schedules.book import database_now
from schedules.evaluate import BATCH, Evaluated, OnPaused, evaluate, follow_up

log = structlog.get_logger()

LOOK_S = 1.0
"""Between two looks while nothing is due: so soon is a schedule found that was put in meanwhile."""
_SHORTEST_S = 0.05
"""Between two looks while others hold what is due."""
_FORGET_EVERY_S = 3600.0
_FORGET_BATCH = 1_000
TICKS_KEPT, OPEN_TICKS_KEPT = timedelta(days=30), timedelta(days=400)
"""For how long ticks are on record: longer, where nobody has looked yet how the job ended, as one of a year's schedule."""


class Evaluator:
    """One of them; `run_once` is one round. on_paused: hears of schedules that paused themselves."""

    def __init__(
        self, database: Database, jobs: Jobs, *, on_paused: OnPaused | None = None, batch: int = BATCH
    ) -> None:
        self._database = database
        self._jobs = jobs
        self._on_paused = on_paused
        self._batch = batch
        self._draining = asyncio.Event()
        self._forget_at = time.monotonic() + _FORGET_EVERY_S

    def drain(self) -> None:
        """Have `run` return after the batch in hand."""
        self._draining.set()

    async def run(self) -> None:
        """Evaluate until drained. While the database is away it is tried again each second."""
        failing = False
        while not self._draining.is_set():
            try:
                wait_s = await self.run_once()
            except Exception as error:
                if not db.will_pass(error) and not isinstance(error, db.UniqueViolation):
                    raise
                wait_s = LOOK_S
                if not failing:
                    log.warning("schedules.not_evaluated", error=db.describe(error), again_in_s=wait_s)
                failing = True
            else:
                failing = False
            with suppress(TimeoutError):
                await asyncio.wait_for(self._draining.wait(), wait_s)

    async def run_once(self) -> float:
        """Evaluate all that is due; returns seconds to wait for the next look. Raises what the database raises."""
        if time.monotonic() > self._forget_at:
            self._forget_at += _FORGET_EVERY_S
            await self.forget_ticks()
        in_s = await self._due_in_s()
        if in_s > 0:
            return min(in_s, LOOK_S)
        while not self._draining.is_set() and (await self._evaluate()).more:
            pass
        return _SHORTEST_S

    async def forget_ticks(self) -> None:
        """Delete the record of ticks that are old."""
        async with self._database.connection() as conn:
            now = await database_now(conn)
            values = {"before": now - TICKS_KEPT, "open_before": now - OPEN_TICKS_KEPT, "batch": _FORGET_BATCH}
            while await execute(conn, statement("schedules", "tick/forget"), values) == _FORGET_BATCH:
                pass

    async def _evaluate(self) -> Evaluated:
        async def once() -> Evaluated:
            async with self._database.transaction() as conn:
                return await evaluate(conn, self._jobs, batch=self._batch, on_paused=self._on_paused)

        done = await db.retried(once)
        _count(done)
        await follow_up(self._jobs, done)
        if done.schedules:
            log.debug("schedules.evaluated", schedules=done.schedules, jobs=done.jobs, paused=len(done.paused))
        return done

    async def _due_in_s(self) -> float:
        async with self._database.connection() as conn:
            row = await fetch_one(conn, statement("schedules", "schedule/next"), {"job_types": self._jobs.table.names})
        return LOOK_S if row is None or row["in_s"] is None else float(row["in_s"])


def _count(done: Evaluated) -> None:
    """Once it is committed."""
    for result, n in (("created", done.jobs), ("refused", done.refused), ("overlapped", done.overlapped)):
        metrics.ticks.labels(result).inc(n)
    metrics.paused.inc(len(done.paused))
