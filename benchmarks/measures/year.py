"""A year of history: ended jobs, made by Postgres itself, a day's partition at a time."""

from datetime import date, timedelta

from psycopg import AsyncConnection, sql

from benchmarks.contenders.script import TEXT
from benchmarks.contenders.us import BRIEF
from benchmarks.server import plain, value

DAYS = 365
_DAY = """
CREATE TABLE jobs.{partition} (LIKE jobs.history_standard INCLUDING DEFAULTS INCLUDING CONSTRAINTS);
INSERT INTO jobs.{partition} (id, job_type, queue, priority, state, input, worker_id, token, retry_count, lost_count,
                              created_at, claimed_at, retention, ended_at)
SELECT n, {job_type}, 'default', 2, 'complete', jsonb_build_object('text', {text}::text, 'sent', 0), 1, n, 0, 0,
       at - interval '2 s', at - interval '1 s', 'standard', at
FROM generate_series({first_id}, {last_id}) AS n,
     LATERAL (SELECT {day}::timestamptz + (n - {first_id}) * interval '1 day' / {jobs}) AS ended (at);
ALTER TABLE jobs.history_standard ATTACH PARTITION jobs.{partition} FOR VALUES FROM ({day}) TO ({next_day})
"""
"""Filled first and attached then, which makes its indexes at once and not row by row."""


async def make_history(dsn: str, jobs: int, *, days: int) -> None:
    """Let so many jobs have ended, as many on each of the days before today; new ids go on after them."""
    each = max(1, jobs // days)
    async with plain(dsn) as conn:
        today = await value(conn, "SELECT (now() AT TIME ZONE 'UTC')::date")
        for number in range(days):
            await _make_day(conn, today - timedelta(days=days - number), number * each, each)
        await conn.execute("SELECT setval('jobs.job_id_seq', %s)", [days * each])
        await conn.execute("VACUUM (ANALYZE) jobs.history")


async def _make_day(conn: AsyncConnection[object], day: date, made: int, jobs: int) -> None:
    values: dict[str, str | int] = {
        "day": f"{day} 00:00+00",
        "next_day": f"{day + timedelta(days=1)} 00:00+00",
        "job_type": BRIEF.name,
    }
    values |= {"text": TEXT, "first_id": made + 1, "last_id": made + jobs, "jobs": jobs}
    literals = {name: sql.Literal(given) for name, given in values.items()}
    await conn.execute(sql.SQL(_DAY).format(partition=sql.Identifier(f"history_standard_{day:%Y%m%d}"), **literals))
