"""Plans of the evaluator's statements: 30,000 schedules cost a look nothing, whatever the planner was told.

Half of them are of a type that this evaluator does not know, and due. Statistics are stale (of the empty tables) or fresh; a
statement is new to its connection, or prepared and run so often that Postgres may know no values.
"""

import asyncio
from collections.abc import Iterator
from typing import LiteralString

import pytest

from jobs_core import db
from tests.support.database import fresh_database
from tests.support.plans import Plans, explain_all

FILL: tuple[LiteralString, ...] = (
    "ALTER TABLE jobs.schedules SET (autovacuum_enabled = off)",
    "ALTER TABLE jobs.schedule_ticks SET (autovacuum_enabled = off)",
    "ANALYZE jobs.schedules, jobs.schedule_ticks",
    """
    INSERT INTO jobs.schedules (name, job_type, input, zone, cron, jitter_s, missed, missed_max, overlap, source, seen_until,
                                next_at)
    SELECT 's' || n, CASE n % 2 WHEN 0 THEN 'note' ELSE 'unknown' END, '{}', 'UTC', '* * * * *', 0, 'once', 10, 'skip', 'test',
           now() - interval '1 hour', now() + CASE n % 2 WHEN 0 THEN n ELSE -n END * interval '1 s'
    FROM generate_series(1, 30000) AS n
    """,
    """
    INSERT INTO jobs.schedule_ticks (schedule_id, slot, due_at, job_id, outcome)
    SELECT 1 + n % 30000, n::text, now(), n, CASE WHEN n > 30000 THEN 'complete' END FROM generate_series(1, 90000) AS n
    """,
)
IDS = f"{{{','.join(map(str, range(1, 251)))}}}"
SLOTS = f"{{{','.join(map(str, range(250)))}}}"
TIMES = f"{{{','.join(['2030-01-01'] * 250)}}}"
STATEMENTS: dict[str, dict[str, str | None]] = {
    "schedule/next": {"job_types": "{note,brief_note}"},
    "schedule/due": {"job_types": "{note,brief_note}", "now": None, "batch": "250"},
    "tick/open": {"schedule_ids": IDS, "batch": "100"},
    "tick/known": {"schedule_ids": IDS, "slots": SLOTS},
    "tick/end": {"schedule_ids": IDS, "slots": SLOTS, "outcomes": SLOTS},
    "schedule/advance": {
        "ids": IDS,
        "seen_untils": TIMES,
        "next_ats": TIMES,
        "failures": SLOTS,
        "paused_whys": SLOTS,
    },
    "schedule/get": {"name": "s7", "id": None},
}


@pytest.fixture(scope="module")
def plans(server_dsn: str) -> Iterator[Plans]:
    async def explained(dsn: str) -> Plans:
        async with await db.connect(dsn, name="tests") as conn:
            tables = "jobs.schedules, jobs.schedule_ticks"
            return await explain_all(conn, STATEMENTS, fill=FILL, tables=tables, room="schedules")

    with fresh_database(server_dsn) as dsn:
        yield asyncio.run(explained(dsn))


@pytest.mark.parametrize("name", STATEMENTS)
def test_no_statement_of_an_evaluator_reads_a_whole_table(plans: Plans, name: str) -> None:
    for (statistics, run, of), plan in plans.items():
        if of == name:
            assert "Seq Scan" not in str(plan), (statistics, run, plan)
