"""History's days: a partition for each is made a week ahead, and dropped when its class has kept it long enough.

    history ─┬─ history_short ────┬─ history_short_20301231 …      attempts ─┬─ attempts_20301231 …      notes ─ likewise
             ├─ history_standard ─┼─ …                                       └─ attempts_default
             └─ history_long      └─ history_short_default

A row whose day is missing goes to its default partition: a settle never fails for it. That day cannot be made any more, its
rows are deleted when they are old enough, and whoever keeps house is told. Days are UTC days of Postgres' clock.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import Literal, get_args

import psycopg
from psycopg import sql

from jobs_core import db
from jobs_core.settings import HistorySettings
from jobs_core.statements import schema, statement

Table = Literal["history_short", "history_standard", "history_long", "attempts", "notes"]
TABLES: tuple[Table, ...] = get_args(Table)
"""What is partitioned by day."""

DAYS_AHEAD = 7
LOCK_MS = 100
"""What DDL waits for a lock: settles stand behind it for so long at most."""
STATEMENT_MS = 1_000
"""What a statement of DDL takes at most: it reads the default partition, which others cannot meanwhile."""
BATCH = 1_000
_MOST_BATCHES = 100  # of rows deleted in one round, from each table: the rest is for the next


@dataclass(frozen=True, slots=True, order=True)
class Day:
    """The partition of one table for one UTC day."""

    table: Table
    day: date

    @property
    def name(self) -> str:
        """Its own name as a table."""
        return f"{self.table}_{self.day:%Y%m%d}"


@dataclass(slots=True)
class House:
    """What a round of `keep_house` came to.

    made, dropped: names of partitions. missing: those of today and the week ahead that could not be made, and old: those that
    could not be dropped, with the reason. swept: rows deleted from default partitions.
    """

    made: list[str] = field(default_factory=list)
    missing: dict[str, str] = field(default_factory=dict)
    dropped: list[str] = field(default_factory=list)
    old: dict[str, str] = field(default_factory=dict)
    swept: int = 0


async def keep_house(conn: db.Connection, settings: HistorySettings) -> House:
    """Make the days ahead, drop those that were kept long enough, and delete what is as old elsewhere.

    The connection is not in a transaction. What cannot be done now is told in the House, and done in a later round.
    """
    house = House()
    house.made, house.missing = await make_partitions(conn)
    house.dropped, house.old = await drop_partitions(conn, settings)
    house.swept = await _sweep(conn, settings)
    today = await _today(conn)
    before = today - timedelta(days=settings.history_standard_days)
    await db.execute(conn, statement("jobs_core", "history/forget_counts"), {"before": before})
    longest = max(_kept_days(table, settings) for table in TABLES)
    await db.execute(
        conn, statement("jobs_core", "redrive/forget"), {"before": midnight(today - timedelta(days=longest))}
    )
    return house


async def make_partitions(conn: db.Connection) -> tuple[list[str], dict[str, str]]:
    """Make today's partitions and those of the week ahead where there is none; settles go on meanwhile.

    The connection is not in a transaction. Returns the names of those made by this call, and of those still missing, with the
    reason: rows of the day lie in the default partition, or a reader held its lock (a later round will do).
    """
    today, there = await _today(conn), await _days(conn)
    made, missing = list[str](), dict[str, str]()
    for partition in _wanted(today):
        if partition in there:
            continue
        try:
            if await _make(conn, partition):
                made.append(partition.name)
        except psycopg.Error as error:
            missing[partition.name] = _reason(conn, error)
    return made, missing


async def drop_partitions(conn: db.Connection, settings: HistorySettings) -> tuple[list[str], dict[str, str]]:
    """Drop the partitions whose class has kept them for its days. The first that cannot be dropped ends the round.

    The connection is not in a transaction. Settles wait while a drop does: LOCK_MS at most. Returns the names of those dropped
    by this call, and of the one that was not, with the reason.
    """
    today = await _today(conn)
    dropped = list[str]()
    for partition in sorted(await _days(conn)):
        if partition.day < today - timedelta(days=_kept_days(partition.table, settings)):
            try:
                if await _drop(conn, partition):
                    dropped.append(partition.name)
            except psycopg.Error as error:
                return dropped, {partition.name: _reason(conn, error)}
    return dropped, {}


async def drop_day(conn: db.Connection, partition: Day) -> str | None:
    """Drop one day, whether or not its class has kept it long enough; returns the reason where it could not be done now.

    The connection is not in a transaction. Settles wait while the drop does: LOCK_MS at most.
    """
    try:
        await _drop(conn, partition)
    except psycopg.Error as error:
        return _reason(conn, error)
    return None


async def partitions(conn: db.Connection, tables: Collection[Table]) -> dict[Day, bool]:
    """The days of these tables that have a partition, sorted, each with whether it is over: nothing will be written to it."""
    today = await _today(conn)
    return {partition: partition.day < today for partition in sorted(await _days(conn)) if partition.table in tables}


async def days_ahead(conn: db.Connection) -> int:
    """How many days after today have all their partitions, without a gap; -1: today's own is missing."""
    today, there = await _today(conn), await _days(conn)
    day = today
    while all(Day(table, day) in there for table in TABLES):
        day += timedelta(days=1)
    return (day - today).days - 1


async def oldest_day(conn: db.Connection) -> date | None:
    """The first day of history that has a partition; None where there is none."""
    return min((partition.day for partition in await _days(conn)), default=None)


def midnight(day: date) -> datetime:
    """When a UTC day begins."""
    return datetime.combine(day, time(), UTC)


def _kept_days(table: Table, settings: HistorySettings) -> int:
    match table:
        case "history_short":
            return settings.history_short_days
        case "history_long":
            return settings.history_long_days
        case "history_standard" | "attempts" | "notes":
            return settings.history_standard_days


def _wanted(today: date) -> Iterator[Day]:
    for ahead in range(DAYS_AHEAD + 1):
        for table in TABLES:
            yield Day(table, today + timedelta(days=ahead))


async def _today(conn: db.Connection) -> date:
    row = await db.fetch_one(conn, statement("jobs_core", "history/today"))
    assert row is not None
    today: date = row["today"]
    return today


async def _days(conn: db.Connection) -> set[Day]:
    """The days that have a partition."""
    rows = await db.fetch(conn, statement("jobs_core", "history/partitions"), {"tables": list(TABLES)})
    return {Day(**row) for row in rows}


async def _make(conn: db.Connection, partition: Day) -> bool:
    """Make it; False: another process was faster."""
    async with conn.transaction():
        await _take_turns(conn)
        if partition in await _days(conn):
            return False
        await conn.execute(
            sql.SQL(statement("jobs_core", "history/make")).format(
                partition=_identifier(partition.name),
                parent=_identifier(partition.table),
                first=sql.Literal(midnight(partition.day).isoformat()),
                next=sql.Literal(midnight(partition.day + timedelta(days=1)).isoformat()),
            )
        )
    return True


async def _drop(conn: db.Connection, partition: Day) -> bool:
    """Drop it; False: another process was faster."""
    async with conn.transaction():
        await _take_turns(conn)
        if partition not in await _days(conn):
            return False
        await conn.execute(
            sql.SQL(statement("jobs_core", "history/drop")).format(partition=_identifier(partition.name))
        )
    return True


async def _take_turns(conn: db.Connection) -> None:
    bounds = {"lock_ms": LOCK_MS, "statement_ms": STATEMENT_MS}
    await db.execute(conn, statement("jobs_core", "history/take_turns"), bounds)


async def _sweep(conn: db.Connection, settings: HistorySettings) -> int:
    """Delete rows that are old enough from the default partitions; returns how many."""
    today, swept = await _today(conn), 0
    for table in TABLES:
        delete = sql.SQL(statement("jobs_core", "history/sweep")).format(
            partition=_identifier(f"{table}_default"), at=sql.Identifier("said_at" if table == "notes" else "ended_at")
        )
        before = midnight(today - timedelta(days=_kept_days(table, settings)))
        for _ in range(_MOST_BATCHES):
            cursor = await conn.execute(delete, {"before": before, "batch": BATCH})
            swept += cursor.rowcount
            if cursor.rowcount < BATCH:
                break
    return swept


def _identifier(name: str) -> sql.Identifier:
    return sql.Identifier(schema(), name)


def _reason(conn: db.Connection, error: psycopg.Error) -> str:
    """What kept DDL from being done, as a log may say it. Raises the error where the connection itself is gone."""
    if conn.closed:
        raise error
    match error:
        case psycopg.errors.CheckViolation():
            return "rows of that day lie in the default partition: they stay there until they are old enough"
        case psycopg.errors.LockNotAvailable():
            return "others held the lock: tried again in the next round"
    return db.describe(error)
