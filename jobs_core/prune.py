"""Prune: history that goes before its time. Whole days go as partitions, all else in batches; settles go on meanwhile.

    preview   count partition by partition
    prune     rows, a batch at a time, with what is kept about them elsewhere ─▶ whole days, one at a time ─▶ expired keys

What lives is never touched. A day is dropped within the bounds that `history` sets to DDL, or left for later.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import partial
from typing import Any, LiteralString

from psycopg import errors, sql
from psycopg.rows import dict_row

from jobs_core import db
from jobs_core.history import BATCH, Day, Table, drop_day, midnight, partitions
from jobs_core.keys import EXPIRE_BATCH, expire_keys
from jobs_core.statements import schema, statement

CLASSES = ("short", "standard", "long")
"""Retention classes that leave history."""
_TABLES: dict[str, Table] = {"short": "history_short", "standard": "history_standard", "long": "history_long"}
_TRIES, _PAUSE_S = 5, 1.0
"""How often a drop is tried that others keep from being done, and how long settles have between two tries."""
_SLACK = timedelta(hours=1)  # a job's last attempt is written with its end, but the clock is read once for each


@dataclass(frozen=True, slots=True)
class Chosen:
    """Which ended jobs: of these retention classes, ended before that time, and of that type and state where one is given."""

    before: datetime
    classes: tuple[str, ...] = CLASSES
    job_type: str | None = None
    state: str | None = None


@dataclass(frozen=True, slots=True)
class Part:
    """A partition of history, and what of it goes. day: None, it is the class' default one. whole: it is dropped."""

    table: Table
    day: date | None
    whole: bool

    @property
    def name(self) -> str:
        """Its own name as a table."""
        return f"{self.table}_default" if self.day is None else Day(self.table, self.day).name


@dataclass(frozen=True, slots=True)
class Counted:
    """A part, its rows that go, and about how many bytes they take: of a whole day exactly, and the system gets them back."""

    part: Part
    rows: int
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Pruned:
    """One step of a prune: rows gone from a part, and attempts with them, or keys that had expired.

    dropped: the part went as a whole. why_not: what kept it from being dropped; that ends the prune.
    """

    part: Part | None = None
    rows: int = 0
    attempts: int = 0
    keys: int = 0
    dropped: bool = False
    why_not: str | None = None


async def preview(conn: db.Connection, chosen: Chosen) -> tuple[list[Counted], int]:
    """What a prune would take: the parts that hold something, and how many idempotency keys have expired. Nothing is locked."""
    counted = [await _count(conn, chosen, part) for part in await _parts(conn, chosen)]
    keys = await db.fetch_one(conn, statement("jobs_core", "key/count_expired"))
    assert keys is not None
    return [one for one in counted if one.rows or one.part.whole], keys["n"]


async def prune(conn: db.Connection, chosen: Chosen) -> AsyncIterator[Pruned]:
    """Delete the ended jobs that are meant, and tell each step when it is committed.

    The connection is not in a transaction. A caller who stops early, or is killed, goes on by calling it again. Attempts of
    these jobs go with them; idempotency keys stay until their time is over. Raises one of db.Retryable as `db.retried` does.
    """
    for part in sorted(await _parts(conn, chosen), key=lambda part: part.whole):
        after: int | None = 0
        while after is not None:
            step, after = await db.retried(partial(_delete, conn, chosen, part, after))
            yield step
        if part.whole:
            dropped = await _drop(conn, chosen, part)
            yield dropped
            if dropped.why_not is not None:
                return
    keys = EXPIRE_BATCH
    while keys == EXPIRE_BATCH:
        keys = await expire_keys(conn)
        yield Pruned(keys=keys)


async def _parts(conn: db.Connection, chosen: Chosen) -> list[Part]:
    """Where such jobs may lie. A day is only dropped when it is over: settles write to today's."""
    tables = [_TABLES[name] for name in chosen.classes]
    whole_days = chosen.job_type is None and chosen.state is None
    return [Part(table, None, whole=False) for table in tables] + [
        Part(day.table, day.day, whole_days and over and midnight(day.day + timedelta(days=1)) <= chosen.before)
        for day, over in (await partitions(conn, tables)).items()
        if midnight(day.day) < chosen.before
    ]


async def _count(conn: db.Connection, chosen: Chosen, part: Part) -> Counted:
    for row in await _fetch(conn, "prune/count", part, _matching(chosen)):
        share = 1.0 if part.whole else row["rows"] / max(row["rows"], row["known"], 1)
        return Counted(part, row["rows"], round(row["bytes"] * share))
    return Counted(part, 0, 0)


async def _delete(conn: db.Connection, chosen: Chosen, part: Part, after: int) -> tuple[Pruned, int | None]:
    """Delete what is kept about the part's next jobs, and they themselves, unless their whole day is dropped after.

    Returns the id to go on behind, too; None: there are no more.
    """
    async with conn.transaction():
        page = await _fetch(conn, "prune/page", part, {**_matching(chosen), "after": after, "batch": BATCH})
        if not page:
            return Pruned(part), None
        ids = [row["id"] for row in page]
        first, last = min(row["created_at"] for row in page), max(row["ended_at"] for row in page)
        values = {"ids": ids, "first": first - _SLACK, "last": last + _SLACK}
        (gone,) = await db.fetch(conn, statement("jobs_core", "prune/forget"), values, prepare=False)
        rows = 0
        if not part.whole:
            rows = (await conn.execute(_filled_in("prune/delete", part), {"ids": ids})).rowcount
    return Pruned(part, rows, gone["attempts"]), ids[-1]


async def _drop(conn: db.Connection, chosen: Chosen, part: Part) -> Pruned:
    assert part.day is not None
    rows, why_not = (await _count(conn, chosen, part)).rows, None
    for number in range(_TRIES):
        await asyncio.sleep(_PAUSE_S if number else 0)
        why_not = await drop_day(conn, Day(part.table, part.day))
        if why_not is None:
            return Pruned(part, rows, dropped=True)
    return Pruned(part, why_not=why_not)


def _matching(chosen: Chosen) -> dict[str, Any]:
    return {"job_type": chosen.job_type, "state": chosen.state, "before": chosen.before}


async def _fetch(conn: db.Connection, name: LiteralString, part: Part, values: Mapping[str, Any]) -> list[db.Row]:
    """Rows of a statement on one partition; none where others dropped it since."""
    async with conn.cursor(row_factory=dict_row) as cursor:
        try:
            await cursor.execute(_filled_in(name, part), values)
        except errors.UndefinedTable:
            return []
        return await cursor.fetchall()


def _filled_in(name: LiteralString, part: Part) -> sql.Composed:
    return sql.SQL(statement("jobs_core", name)).format(partition=sql.Identifier(schema(), part.name))
