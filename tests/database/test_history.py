"""History's days: made ahead, dropped when old, and never in a settle's way."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import date, timedelta

import pytest

from jobs_core import Complete, Connection, ConnectionFailed, Database, Jobs, Retry, execute, fetch, fetch_one, history
from jobs_core.db import UniqueViolation
from jobs_core.history import DAYS_AHEAD, TABLES, Day, days_ahead, drop_partitions, keep_house, make_partitions
from jobs_core.settings import HistorySettings
from jobs_core.settle import settle
from tests.database.conftest import ClaimAll
from tests.support.job_types import NOTE
from tests.support.mutants import mutated

SETTINGS = HistorySettings(history_short_days=2, history_standard_days=4, history_long_days=6)
MADE_BESIDE = """CREATE TABLE {partition} (LIKE {parent} INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING INDEXES);
ALTER TABLE {parent} ATTACH PARTITION {partition} FOR VALUES"""
MADE_IN_PLACE = (MADE_BESIDE, "CREATE TABLE {partition} PARTITION OF {parent} FOR VALUES")
INSERT = """
INSERT INTO jobs.history (id, job_type, queue, priority, state, input, retry_count, lost_count, created_at, retention, ended_at)
SELECT nextval('jobs.job_id_seq'), 'note', 'default', 2, 'complete', '{}', 0, 0, at, %(retention)s, at
FROM (SELECT ((clock_timestamp() AT TIME ZONE 'UTC')::date - %(days)s::integer)::timestamp AT TIME ZONE 'UTC') AS day (at),
     generate_series(1, %(n)s)
"""

Settle = Callable[[], Awaitable[None]]


@pytest.fixture
async def today(conn: Connection) -> date:
    return await history._today(conn)


@pytest.fixture
async def other(database: Database) -> AsyncIterator[Connection]:
    """A connection of somebody else."""
    async with await database.connect("other") as connection:
        yield connection


@pytest.fixture
async def keeper(database: Database) -> AsyncIterator[Connection]:
    """A connection of whoever keeps house."""
    async with await database.connect("keeper") as connection:
        yield connection


@pytest.fixture
def unbounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """DDL waits as long as it has to."""
    monkeypatch.setattr(history, "LOCK_MS", 0)
    monkeypatch.setattr(history, "STATEMENT_MS", 0)


@pytest.fixture
async def settle_one(jobs: Jobs, claim_all: ClaimAll, database: Database) -> Settle:
    """Creates, claims and completes a job."""

    async def settle_a_note() -> None:
        await jobs.create(NOTE, {})
        (job,) = await claim_all()
        async with database.connection() as conn:
            await settle(conn, job, Complete(), NOTE)

    return settle_a_note


async def tables_with_rows(conn: Connection, parent: str) -> list[str]:
    rows = await fetch(conn, f"SELECT DISTINCT tableoid::regclass::text AS name FROM jobs.{parent}")
    return sorted(row["name"].removeprefix("jobs.") for row in rows)


async def made_back_to(conn: Connection, day: date) -> None:
    """Make the days up to and including this one, as if it were still today."""
    for table in TABLES:
        for back in range((await history._today(conn) - day).days + 1):
            await history._make(conn, Day(table, day + timedelta(days=back)))


@asynccontextmanager
async def reading_history(conn: Connection) -> AsyncIterator[None]:
    """Someone has a transaction open that has read all of history and the attempts."""
    async with conn.transaction():
        await fetch(conn, "SELECT FROM jobs.history UNION ALL SELECT FROM jobs.attempts")
        yield


async def waits_for_a_lock(conn: Connection, what: str) -> None:
    """Return when a statement that begins like this, in its file, waits for a lock."""
    sql = """SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()
             AND ltrim(query) LIKE %(what)s || '%%' AND pid <> pg_backend_pid()"""
    async with asyncio.timeout(30):
        while not await fetch(conn, sql, {"what": what}):
            await asyncio.sleep(0.01)


async def test_a_fresh_database_gets_today_and_a_week_ahead_once(conn: Connection, today: date) -> None:
    assert await days_ahead(conn) == -1
    house = await keep_house(conn, SETTINGS)
    wanted = {Day(table, today + timedelta(days=ahead)).name for table in TABLES for ahead in range(DAYS_AHEAD + 1)}
    assert (set(house.made), house.missing, house.dropped, house.old, house.swept) == (wanted, {}, [], {}, 0)
    assert await days_ahead(conn) == DAYS_AHEAD == 7
    assert await keep_house(conn, SETTINGS) == history.House()


async def test_what_ends_lies_in_the_day_of_its_class(
    conn: Connection, jobs: Jobs, claim_all: ClaimAll, settle_one: Settle, today: date
) -> None:
    await keep_house(conn, SETTINGS)
    await settle_one()
    await jobs.create(NOTE, {})
    (job,) = await claim_all()
    await settle(conn, job, Retry("not yet"), NOTE)
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
        async with database.connection() as own:
            made, missing = await make_partitions(own)
            assert missing == {}
            return made

    made = [name for names in await asyncio.gather(*(make() for _ in range(4))) for name in names]
    assert len(made) == len(set(made)) == len(TABLES) * (DAYS_AHEAD + 1)


@pytest.mark.usefixtures("unbounded")
async def test_without_turns_they_would_make_a_day_twice(
    keeper: Connection, other: Connection, conn: Connection, today: date
) -> None:
    """The mutant: no lock is taken, so that both find the day missing."""
    day = Day("attempts", today)
    with mutated(("pg_advisory_xact_lock(hashtextextended('{schema}.history', 0))", "1")):
        async with keeper.transaction():
            assert await history._make(keeper, day)
            second = asyncio.create_task(history._make(other, day))
            await waits_for_a_lock(conn, "-- Takes partition, parent")
        with pytest.raises(UniqueViolation):
            await second


async def test_a_day_with_rows_in_the_default_partition_is_told_and_the_others_are_made(
    conn: Connection, settle_one: Settle, today: date
) -> None:
    await settle_one()
    lost = Day("history_standard", today).name
    house = await keep_house(conn, SETTINGS)
    assert house.missing == {
        lost: "rows of that day lie in the default partition: they stay there until they are old enough"
    }
    assert len(house.made) == len(TABLES) * (DAYS_AHEAD + 1) - 1
    assert await days_ahead(conn) == -1
    await settle_one()
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
        for table, most in zip(TABLES, (2, 4, 6, 4), strict=True)
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
            "INSERT INTO jobs.ended_counts VALUES (%(day)s, 'note', 'complete', 1, 7)",
            {"day": today - timedelta(days=days)},
        )
    assert (await keep_house(conn, SETTINGS)).swept == 6
    for table, kept in [("history", 5), ("attempts", 1), ("ended_counts", 1)]:
        row = await fetch_one(conn, f"SELECT count(*) AS n FROM jobs.{table}")
        assert row == {"n": kept}, table


async def test_a_round_deletes_no_more_than_its_batches(conn: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "BATCH", 2)
    monkeypatch.setattr(history, "_MOST_BATCHES", 2)
    await execute(conn, INSERT, {"retention": "short", "days": 9, "n": 5})
    assert [(await keep_house(conn, SETTINGS)).swept for _ in range(3)] == [4, 1, 0]


@pytest.mark.usefixtures("unbounded")
async def test_settles_go_on_while_a_day_waits_to_be_made(
    keeper: Connection,
    other: Connection,
    database: Database,
    settle_one: Settle,
    today: date,
) -> None:
    """For as long as the reader likes: here nothing bounds the wait."""
    await make_partitions(keeper)
    async with reading_history(other):
        making = asyncio.create_task(history._make(keeper, Day("history_standard", today + timedelta(days=9))))
        async with database.connection() as watching:
            await waits_for_a_lock(watching, "-- Takes partition, parent")
            await settle_one()
            assert not making.done()
    assert await making


@pytest.mark.usefixtures("unbounded")
async def test_made_in_place_a_day_would_stop_them(
    keeper: Connection,
    other: Connection,
    database: Database,
    settle_one: Settle,
    today: date,
) -> None:
    """The mutant: CREATE TABLE … PARTITION OF locks the parent against all."""
    await make_partitions(keeper)
    with mutated(MADE_IN_PLACE):
        async with reading_history(other):
            making = asyncio.create_task(history._make(keeper, Day("history_standard", today + timedelta(days=9))))
            async with database.connection() as watching:
                await waits_for_a_lock(watching, "-- Takes partition, parent")
                settling = asyncio.create_task(settle_one())
                await waits_for_a_lock(watching, "-- Takes id, token, state")
                assert not settling.done()
        assert await making
        await settling


async def test_a_drop_behind_a_reader_gives_up_so_that_settles_go_on_and_is_done_in_a_later_round(
    keeper: Connection, other: Connection, settle_one: Settle, today: date
) -> None:
    await made_back_to(keeper, today - timedelta(days=6))
    old = [Day(table, today - timedelta(days=5)).name for table in ("attempts", "history_standard")]
    async with reading_history(other):
        settling = asyncio.create_task(settle_one())
        dropped, left = await drop_partitions(keeper, SETTINGS)
        assert (dropped, list(left.values())) == ([], ["others held the lock: tried again in the next round"])
        await settling
        await settle_one()
    dropped, left = await drop_partitions(keeper, SETTINGS)
    assert (set(old) <= set(dropped), left) == (True, {})


@pytest.mark.usefixtures("unbounded")
async def test_a_drop_without_a_bound_would_stop_them(
    keeper: Connection,
    other: Connection,
    database: Database,
    settle_one: Settle,
    today: date,
) -> None:
    """The mutant: it waits as long as the reader reads, and settles wait behind it."""
    await make_partitions(keeper)
    old = Day("history_standard", today - timedelta(days=5))
    await history._make(keeper, old)
    async with reading_history(other):
        dropping = asyncio.create_task(drop_partitions(keeper, SETTINGS))
        async with database.connection() as watching:
            await waits_for_a_lock(watching, "-- Takes partition (its name filled in). Locks")
            settling = asyncio.create_task(settle_one())
            await waits_for_a_lock(watching, "-- Takes id, token, state")
            assert not settling.done()
    assert await dropping == ([old.name], {})
    await settling


async def test_a_day_that_a_reader_keeps_from_being_made_is_told_and_made_in_a_later_round(
    conn: Connection, other: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history, "DAYS_AHEAD", 1)
    async with reading_history(other):
        made, missing = await make_partitions(conn)
        assert made == []
        assert set(missing.values()) == {"others held the lock: tried again in the next round"}
    made, missing = await make_partitions(conn)
    assert (len(made), missing) == (len(TABLES) * 2, {})


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


@pytest.mark.usefixtures("unbounded")
async def test_a_connection_that_is_lost_meanwhile_is_raised(
    database: Database, keeper: Connection, other: Connection
) -> None:
    async with database.connection() as watching, reading_history(other):
        making = asyncio.create_task(make_partitions(keeper))
        await waits_for_a_lock(watching, "-- Takes partition, parent")
        await execute(watching, "SELECT pg_terminate_backend(%(pid)s)", {"pid": keeper.info.backend_pid})
        with pytest.raises(ConnectionFailed):
            await making
