"""History's days: made a week ahead, and dropped when their class has kept them."""

import asyncio
from datetime import date, timedelta

import pytest

from jobs_core import Complete, Connection, Database, Jobs, Retry, execute, fetch, fetch_one, history
from jobs_core.history import DAYS_AHEAD, TABLES, Day, days_ahead, keep_house, make_partitions
from jobs_core.settings import HistorySettings
from jobs_core.settle import settle
from tests.database.conftest import ClaimAll
from tests.support.job_types import NOTE

SETTINGS = HistorySettings(history_short_days=2, history_standard_days=4, history_long_days=6)
INSERT = """
INSERT INTO jobs.history (id, job_type, queue, priority, state, input, retry_count, lost_count, created_at, retention, ended_at)
SELECT nextval('jobs.job_id_seq'), 'note', 'default', 2, 'complete', '{}', 0, 0, at, %(retention)s, at
FROM (SELECT ((clock_timestamp() AT TIME ZONE 'UTC')::date - %(days)s::integer)::timestamp AT TIME ZONE 'UTC') AS day (at),
     generate_series(1, %(n)s)
"""


@pytest.fixture
async def today(conn: Connection) -> date:
    return await history._today(conn)


async def tables_with_rows(conn: Connection, parent: str) -> list[str]:
    rows = await fetch(conn, f"SELECT DISTINCT tableoid::regclass::text AS name FROM jobs.{parent}")
    return sorted(row["name"].removeprefix("jobs.") for row in rows)


async def made_back_to(conn: Connection, day: date) -> None:
    """Make the days up to and including this one, as if it were still today."""
    for table in TABLES:
        for back in range((await history._today(conn) - day).days + 1):
            await history._make(conn, Day(table, day + timedelta(days=back)))


async def test_a_fresh_database_gets_today_and_a_week_ahead_once(conn: Connection, today: date) -> None:
    assert await days_ahead(conn) == -1
    house = await keep_house(conn, SETTINGS)
    wanted = {Day(table, today + timedelta(days=ahead)).name for table in TABLES for ahead in range(DAYS_AHEAD + 1)}
    assert (set(house.made), house.missing, house.dropped, house.old, house.swept) == (wanted, {}, [], {}, 0)
    assert await days_ahead(conn) == DAYS_AHEAD == 7
    assert await keep_house(conn, SETTINGS) == history.House()


async def test_what_ends_lies_in_the_day_of_its_class(
    conn: Connection, jobs: Jobs, claim_all: ClaimAll, today: date
) -> None:
    await keep_house(conn, SETTINGS)
    for outcome in (Complete(), Retry("not yet")):
        await jobs.create(NOTE, {})
        (job,) = await claim_all()
        await settle(conn, job, outcome, NOTE)
    assert await tables_with_rows(conn, "history") == [Day("history_standard", today).name]
    assert await tables_with_rows(conn, "attempts") == [Day("attempts", today).name]


async def test_a_day_begins_and_ends_at_midnight_in_utc(conn: Connection, today: date) -> None:
    """Also where the server, or this connection, lives in another zone."""
    await execute(conn, "SET timezone = 'Asia/Kolkata'")
    await make_partitions(conn)
    for name, moment in [("first", "00:00:00+00"), ("last", "23:59:59.999999+00")]:
        await execute(
            conn,
            "INSERT INTO jobs.attempts (job_id, token, reason, error, alone, ended_at)"
            " VALUES (1, 1, 'error', %(name)s, false, %(at)s::timestamptz)",
            {"name": name, "at": f"{today} {moment}"},
        )
    assert await tables_with_rows(conn, "attempts") == [Day("attempts", today).name]


async def test_processes_that_make_days_at_once_make_each_once(conn: Connection, database: Database) -> None:
    async def make() -> list[str]:
        made = []
        async with database.connection() as own:
            while True:  # a day is left for the next round where others hold its table's lock for long
                these, missing = await make_partitions(own)
                made += these
                if not missing:
                    return made

    made = [name for names in await asyncio.gather(*(make() for _ in range(4))) for name in names]
    assert len(made) == len(set(made)) == len(TABLES) * (DAYS_AHEAD + 1)


async def test_a_day_with_rows_in_the_default_partition_is_told_and_the_others_are_made(
    conn: Connection, today: date
) -> None:
    await execute(conn, INSERT, {"retention": "standard", "days": 0, "n": 1})
    lost = Day("history_standard", today).name
    house = await keep_house(conn, SETTINGS)
    assert house.missing == {
        lost: "rows of that day lie in the default partition: they stay there until they are old enough"
    }
    assert len(house.made) == len(TABLES) * (DAYS_AHEAD + 1) - 1
    assert await days_ahead(conn) == -1
    await execute(conn, INSERT, {"retention": "standard", "days": 0, "n": 1})
    assert await tables_with_rows(conn, "history") == ["history_standard_default"]


async def test_days_are_dropped_when_their_class_has_kept_them(conn: Connection, today: date) -> None:
    oldest = today - timedelta(days=7)
    await made_back_to(conn, oldest)
    for retention in ("short", "standard", "long"):
        for days in range(8):
            await execute(conn, INSERT, {"retention": retention, "days": days, "n": 1})
    house = await keep_house(conn, SETTINGS)
    assert (house.old, house.swept) == ({}, 0)
    kept = {"short": 2, "standard": 4, "long": 6}
    assert set(house.dropped) == {
        Day(table, today - timedelta(days=days)).name
        for table, most in zip(TABLES, (2, 4, 6, 4, 4), strict=True)
        for days in range(most + 1, 8)
    }
    rows = await fetch(conn, "SELECT retention, count(*) AS n FROM jobs.history GROUP BY 1")
    assert {row["retention"]: row["n"] for row in rows} == {name: days + 1 for name, days in kept.items()}


async def test_what_is_as_old_leaves_the_default_partitions_and_the_counts_in_batches(
    conn: Connection, today: date, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history, "BATCH", 2)
    for days in (4, 5):
        await execute(conn, INSERT, {"retention": "standard", "days": days, "n": 5})
        await execute(
            conn,
            "INSERT INTO jobs.attempts (job_id, token, reason, alone, ended_at)"
            " VALUES (1, 1, 'error', false, %(day)s::timestamp AT TIME ZONE 'UTC')",
            {"day": today - timedelta(days=days)},
        )
        await execute(
            conn,
            "INSERT INTO jobs.notes (job_id, kind, n, token, said_at)"
            " VALUES (1, 'log', %(days)s, 1, %(day)s::timestamp AT TIME ZONE 'UTC')",
            {"days": days, "day": today - timedelta(days=days)},
        )
        await execute(
            conn,
            "INSERT INTO jobs.ended_counts VALUES (%(day)s, 'note', 'complete', 1, 7)",
            {"day": today - timedelta(days=days)},
        )
    assert (await keep_house(conn, SETTINGS)).swept == 7
    for table, kept in [("history", 5), ("attempts", 1), ("notes", 1), ("ended_counts", 1)]:
        row = await fetch_one(conn, f"SELECT count(*) AS n FROM jobs.{table}")
        assert row == {"n": kept}, table


async def test_a_round_deletes_no_more_than_its_batches(conn: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "BATCH", 2)
    monkeypatch.setattr(history, "_MOST_BATCHES", 2)
    await execute(conn, INSERT, {"retention": "short", "days": 9, "n": 5})
    assert [(await keep_house(conn, SETTINGS)).swept for _ in range(3)] == [4, 1, 0]


@pytest.mark.direct("sets what lasts a session")
async def test_a_role_that_may_not_make_tables_is_told_and_nothing_is_raised(conn: Connection) -> None:
    await execute(conn, "CREATE ROLE plain_of_history_test")
    try:
        await execute(conn, "GRANT USAGE ON SCHEMA jobs TO plain_of_history_test")
        await execute(conn, "SET ROLE plain_of_history_test")
        made, missing = await make_partitions(conn)
        await execute(conn, "RESET ROLE")
        assert (made, set(missing.values())) == ([], {"InsufficientPrivilege 42501"})
    finally:
        await execute(conn, "DROP OWNED BY plain_of_history_test; DROP ROLE plain_of_history_test")
