"""Migrations are applied while others work: what stands in them may neither read nor rewrite a table that holds much.

A strong lock stops everybody for as long as the file's transaction goes on. So a file may lock strongly what it changes in the
catalogue only, which takes milliseconds whatever lies in the table; rows it leaves alone.
"""

import asyncio
import re
import time
from collections.abc import Iterator
from typing import LiteralString

import pytest

from cli.rooms import ROOMS
from jobs_core import Connection, db, execute, fetch
from jobs_core.migrations import _INDEX, Migration, migrations
from tests.support.database import fresh_database

RELEASED = 2
"""The last number of each room that has been released: applied in many places, and never edited."""
ROWS = 200_000
STRONG = ("ShareLock", "ShareRowExclusiveLock", "ExclusiveLock", "AccessExclusiveLock")
WITHIN_S = 1.0
"""About 20 ms are usual."""
NEWER = [migration for migration in migrations(ROOMS) if migration.number > RELEASED]

FILL: tuple[LiteralString, ...] = (
    """
    INSERT INTO jobs.jobs (job_type, queue, priority, state, input, scheduled_for)
    SELECT 'note', 'default', 2, 'pending', '{}', now() + interval '1 day' FROM generate_series(1, %(rows)s)
    """,
    """
    INSERT INTO jobs.history (id, job_type, queue, priority, state, input, retry_count, lost_count, created_at)
    SELECT n, 'note', 'default', 2, 'complete', '{}', 0, 0, now() FROM generate_series(1, %(rows)s) AS n
    """,
    """
    INSERT INTO jobs.attempts (job_id, token, reason, alone)
    SELECT n, 1, 'error', false FROM generate_series(1, %(rows)s) AS n
    """,
)
READ = (
    "SELECT relid::regclass::text AS name FROM pg_stat_xact_user_tables WHERE seq_tup_read + idx_tup_fetch >= %(rows)s"
)
FILES = """
SELECT c.oid::regclass::text AS name, pg_relation_filenode(c.oid) AS file
FROM pg_class AS c WHERE c.relnamespace = 'jobs'::regnamespace AND c.relkind IN ('r', 'i')
"""
BUILT = """
SELECT i.indexrelid::regclass::text AS name FROM pg_index AS i JOIN pg_class AS c ON c.oid = i.indexrelid
WHERE c.relnamespace = 'jobs'::regnamespace AND pg_relation_size(i.indrelid) > 1000000
"""
"""Indexes of tables with rows in them; a build's reading is counted nowhere."""
LOCKS = """
SELECT DISTINCT l.relation::regclass::text AS name FROM pg_locks AS l JOIN pg_class AS c ON c.oid = l.relation
WHERE l.pid = pg_backend_pid() AND l.granted AND l.mode = ANY(%(strong)s) AND c.relnamespace = 'jobs'::regnamespace
"""

UNFIT: dict[str, LiteralString] = {
    "an index that is built under the lock": "CREATE INDEX ON jobs.jobs (user_id)",
    "a column whose default differs from row to row": "ALTER TABLE jobs.jobs ADD COLUMN r float4 DEFAULT random()",
    "another type": "ALTER TABLE jobs.jobs ALTER COLUMN retry_count TYPE bigint",
    "a check of all rows": "ALTER TABLE jobs.jobs ADD CHECK (priority >= 0)",
    "a column that may be null no more": "ALTER TABLE jobs.jobs ALTER COLUMN scheduled_for SET NOT NULL",
    "new values in old rows": "UPDATE jobs.history SET error = ''",
}


@pytest.fixture(scope="module")
def released(server_dsn: str) -> Iterator[str]:
    """The DSN of a database with the schema as it was released, and rows."""

    async def fill(dsn: str) -> None:
        async with await db.connect(dsn, name="tests") as conn:
            await execute(conn, "CREATE SCHEMA jobs")
            for migration in migrations(ROOMS):
                if migration.number <= RELEASED:
                    await execute(conn, migration.sql)
            for sql in FILL:
                await execute(conn, sql, {"rows": ROWS})

    with fresh_database(server_dsn, template="template1") as dsn:
        asyncio.run(fill(dsn))
        yield dsn


async def faults(conn: Connection, sql: LiteralString) -> list[str]:
    """What a file does, in the open transaction of its own, that would stop others for long."""
    before = await fetch(conn, FILES)
    built = {row["name"] for row in await fetch(conn, BUILT)}
    began = time.monotonic()
    await execute(conn, sql)
    took_s = time.monotonic() - began
    after = {row["name"]: row["file"] for row in await fetch(conn, FILES)}
    locked = {row["name"] for row in await fetch(conn, LOCKS, {"strong": list(STRONG)})}
    return [
        *(f"rewrites {row['name']}" for row in before if after.get(row["name"], row["file"]) != row["file"]),
        *(f"builds {row['name']}" for row in await fetch(conn, BUILT) if row["name"] not in built),
        *(f"reads {row['name']}" for row in await fetch(conn, READ, {"rows": ROWS})),
        *([f"holds {', '.join(sorted(locked))} for {took_s:.2f} s"] if locked and took_s > WITHIN_S else []),
    ]


async def test_no_file_reads_or_rewrites_what_it_locks(released: str) -> None:
    """One after another, as they are applied, with 200,000 rows in jobs, history and attempts."""
    async with await db.connect(released, name="tests") as conn, conn.transaction(force_rollback=True):
        for migration in NEWER:
            if not migration.builds:
                async with conn.transaction():
                    assert await faults(conn, migration.sql) == [], migration


@pytest.mark.parametrize("why", UNFIT)
async def test_one_that_does_is_found(released: str, why: str) -> None:
    async with await db.connect(released, name="tests") as conn, conn.transaction(force_rollback=True):
        assert await faults(conn, UNFIT[why])


@pytest.mark.parametrize("migration", [one for one in NEWER if one.builds], ids=str)
def test_a_file_outside_a_transaction_builds_indexes_and_does_nothing_else(migration: Migration) -> None:
    bare = re.sub(r"--.*", "", migration.sql)
    assert _INDEX.findall(bare)
    assert _INDEX.sub("", bare).replace(";", "").strip() == ""


@pytest.mark.parametrize("migration", NEWER, ids=str)
def test_jobs_are_locked_before_history_as_a_settle_does(migration: Migration) -> None:
    """The other way round, a migration and a settle wait for one another."""
    altered = re.findall(r"ALTER TABLE (?:ONLY )?\S+?\.\"?(\w+)", migration.sql)
    assert "jobs" not in altered[altered.index("history") :] if "history" in altered else True
