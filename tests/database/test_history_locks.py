"""Making and dropping history's days while others settle, read, or do the same: who waits for whom, and how long."""

import asyncio
from collections.abc import AsyncIterator
from datetime import date, timedelta

import pytest

from jobs_core import Connection, ConnectionFailed, Database, execute, history
from jobs_core.db import UniqueViolation
from jobs_core.history import TABLES, Day, drop_partitions, make_partitions
from jobs_core.settings import HistorySettings
from tests.database.conftest import Settle
from tests.support.database import reading_history, until_blocked
from tests.support.mutants import mutated

SETTINGS = HistorySettings()
MADE_BESIDE = """CREATE TABLE {partition} (LIKE {parent} INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING INDEXES);
ALTER TABLE {parent} ATTACH PARTITION {partition} FOR VALUES"""
MADE_IN_PLACE = (MADE_BESIDE, "CREATE TABLE {partition} PARTITION OF {parent} FOR VALUES")


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
            await until_blocked(conn, "-- Takes partition, parent")
        with pytest.raises(UniqueViolation):
            await second


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
            await until_blocked(watching, "-- Takes partition, parent")
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
                await until_blocked(watching, "-- Takes partition, parent")
                settling = asyncio.create_task(settle_one())
                await until_blocked(watching, "-- Takes id, token, state")
                assert not settling.done()
        assert await making
        await settling


async def test_a_drop_behind_a_reader_gives_up_so_that_settles_go_on_and_is_done_in_a_later_round(
    keeper: Connection, other: Connection, settle_one: Settle, today: date
) -> None:
    await make_partitions(keeper)
    old = [Day("attempts", today - timedelta(days=40)), Day("history_standard", today - timedelta(days=40))]
    for day in old:
        await history._make(keeper, day)
    async with reading_history(other):
        settling = asyncio.create_task(settle_one())
        dropped, left = await drop_partitions(keeper, SETTINGS)
        assert (dropped, list(left.values())) == ([], ["others held the lock: tried again in the next round"])
        await settling
        await settle_one()
    assert await drop_partitions(keeper, SETTINGS) == ([day.name for day in old], {})


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
    old = Day("history_standard", today - timedelta(days=40))
    await history._make(keeper, old)
    async with reading_history(other):
        dropping = asyncio.create_task(drop_partitions(keeper, SETTINGS))
        async with database.connection() as watching:
            await until_blocked(watching, "-- Takes partition (its name filled in). Locks")
            settling = asyncio.create_task(settle_one())
            await until_blocked(watching, "-- Takes id, token, state")
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


@pytest.mark.usefixtures("unbounded")
async def test_a_connection_that_is_lost_meanwhile_is_raised(
    database: Database, keeper: Connection, other: Connection
) -> None:
    async with database.connection() as watching, reading_history(other):
        making = asyncio.create_task(make_partitions(keeper))
        pid = await until_blocked(watching, "-- Takes partition, parent")
        await execute(watching, "SELECT pg_terminate_backend(%(pid)s)", {"pid": pid})
        with pytest.raises(ConnectionFailed):
            await making
