"""Housekeeping on a real Postgres: what nobody needs any more goes, and no duty keeps from the others."""

import asyncio

import pytest
import structlog.testing

from jobs_core import Connection, Database, execute, fetch, fetch_one
from jobs_core.settings import HistorySettings
from workers import housekeeping
from workers.housekeeping import Housekeeping


async def leave_things(conn: Connection) -> None:
    """A worker long dead, 1,001 keys that are over and one that is not; no partition of any day."""
    await execute(
        conn,
        "INSERT INTO jobs.workers (host, pid, queues, job_types, slots, lease_s, expires_at, dead_at) "
        "VALUES ('here', 1, '{}', '{}', 1, 1, now(), now() - interval '2 days')",
    )
    await execute(
        conn,
        "INSERT INTO jobs.job_keys (job_type, key, job_id, input_hash, expires_at) "
        "SELECT 'note', n::text, n, '', now() + CASE n WHEN 1 THEN interval '1 h' ELSE interval '-1 s' END "
        "FROM generate_series(1, 1002) AS n",
    )


async def left(conn: Connection) -> tuple[int, list[str], int]:
    """Workers, keys and partitions of days that are there."""
    workers = await fetch(conn, "SELECT id FROM jobs.workers")
    keys = await fetch(conn, "SELECT key FROM jobs.job_keys")
    days = await fetch(conn, "SELECT FROM pg_class WHERE relname ~ '^history_standard_[0-9]{8}$'")
    return len(workers), [row["key"] for row in keys], len(days)


async def test_a_round_takes_away_what_is_over_and_makes_historys_days(database: Database, conn: Connection) -> None:
    await leave_things(conn)
    assert (await left(conn))[2] == 0
    await Housekeeping(database, HistorySettings()).run_once()
    assert await left(conn) == (0, ["1"], 8)


async def test_a_duty_that_fails_keeps_from_no_other(
    database: Database, conn: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def forget_workers(_: Connection) -> None:
        raise RuntimeError("broken")

    async def of_a_higher_room(_: Connection) -> None:
        done.append("of a higher room")

    done: list[str] = []
    monkeypatch.setattr(housekeeping, "forget_workers", forget_workers)
    await leave_things(conn)
    with structlog.testing.capture_logs() as logs:
        await Housekeeping(database, HistorySettings(), also=[of_a_higher_room]).run_once()
    assert await left(conn) == (1, ["1"], 8)
    assert done == ["of a higher room"]
    assert [(log["event"], log["duty"]) for log in logs if log["log_level"] == "warning"] == [
        ("housekeeping.failed", "forget_workers")
    ]


async def test_it_begins_with_the_worker_and_ends_with_it(
    database: Database, conn: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(housekeeping, "_FIRST_S", 0.0)
    await leave_things(conn)
    keeping = Housekeeping(database, HistorySettings())
    await keeping.start()
    async with asyncio.timeout(15):
        while await fetch_one(conn, "SELECT id FROM jobs.workers"):
            await asyncio.sleep(0.01)
    await keeping.stop()
    assert "housekeeping" not in {task.get_name() for task in asyncio.all_tasks()}
