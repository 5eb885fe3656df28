"""Schedules: 100,000 of them, a thousand due in one second; and what an evaluator asks while none is.

Each has had a tick yesterday whose job failed, so that its end has to be looked up in history, as it would be.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from statistics import median

from benchmarks.contenders.us import known
from benchmarks.errors import BenchFailed
from benchmarks.server import Server, plain, value
from jobs_core import Database, Jobs
from jobs_core.history import make_partitions
from schedules.evaluator import Evaluator

SCHEDULES, DUE = 100_000, 1_000
_SOON_S = 2.0
"""The evaluator is up and idle by then."""
_WITHIN_S = 60.0
_LOOKS = 5
_QUIET_S = 2.0
"""Backends report their transactions once a second."""
_FILL = """
INSERT INTO jobs.schedules (name, job_type, input, zone, cron, jitter_s, missed, missed_max, overlap, source, seen_until,
                            next_at)
SELECT 's' || n, 'bench_brief', '{"text": "", "sent": 0.0}', 'Europe/Berlin', '30 9 * * *', 0, 'once', 10, 'skip', 'bench',
       now() - interval '1 day', now() + interval '1 hour' + n * interval '0.5 s'
FROM generate_series(1, %s) AS n
"""
_FAILED = """
WITH ticks AS (
    INSERT INTO jobs.schedule_ticks (schedule_id, slot, due_at, made_at, job_id)
    SELECT id, 'yesterday', now() - interval '1 day', now() - interval '1 day', nextval('jobs.job_id_seq') FROM jobs.schedules
    RETURNING job_id, made_at
)
INSERT INTO jobs.history (id, job_type, queue, priority, state, input, retry_count, lost_count, created_at, ended_at, retention)
SELECT job_id, 'bench_brief', 'default', 2, 'failed', '{}', 0, 0, made_at, made_at + interval '1 s', 'short' FROM ticks
"""
_DUE = """
WITH due AS (SELECT id, now() + make_interval(secs => %s + id %% 1000 / 1000.0) AS at FROM jobs.schedules WHERE id <= %s)
UPDATE jobs.schedules AS s SET cron = NULL, at = due.at, next_at = due.at FROM due WHERE s.id = due.id
"""


async def in_jobs(server: Server) -> float:
    """Seconds from the last of a thousand that fall due to the last of their jobs, by one evaluator. Raises BenchFailed."""
    async with _filled(server) as (dsn, evaluator), plain(dsn) as conn:
        await conn.execute(_DUE, [_SOON_S, DUE])
        running = asyncio.create_task(evaluator.run())
        try:
            async with asyncio.timeout(_WITHIN_S):
                while await value(conn, "SELECT count(*) FROM jobs.jobs") < DUE:  # noqa: ASYNC110 - it lies in Postgres
                    await asyncio.sleep(0.01)
            return float(
                await value(conn, "SELECT extract(epoch FROM clock_timestamp() - max(at)) FROM jobs.schedules")
            )
        except TimeoutError:
            raise BenchFailed(f"{DUE} due schedules had no jobs within {_WITHIN_S:.0f} s") from None
        finally:
            evaluator.drain()
            await running


async def idle(server: Server, seconds: float) -> float:
    """Transactions a second of one evaluator while none is due: the median of five looks, as autovacuum has some, too."""
    async with _filled(server) as (dsn, evaluator):
        running = asyncio.create_task(evaluator.run())
        await asyncio.sleep(_QUIET_S)
        rate = median([await _rate(server, dsn, seconds / _LOOKS) for _ in range(_LOOKS)])
        evaluator.drain()
        await running
    return rate


async def _rate(server: Server, dsn: str, seconds: float) -> float:
    began, counted = time.monotonic(), await server.transactions(dsn)
    await asyncio.sleep(seconds)
    return (await server.transactions(dsn) - counted) / (time.monotonic() - began)


@asynccontextmanager
async def _filled(server: Server) -> AsyncIterator[tuple[str, Evaluator]]:
    async with server.fresh() as dsn, Database(dsn, name="bench") as database, Jobs(database, known()) as jobs:
        async with database.connection() as conn:
            await make_partitions(conn)
        async with plain(dsn) as conn:
            await conn.execute(_FILL, [SCHEDULES])
            await conn.execute(_FAILED)
            await conn.execute("VACUUM ANALYZE jobs.schedules, jobs.schedule_ticks, jobs.history")
        yield dsn, Evaluator(database, jobs)
