"""Migrations: each room has a numbered line of SQL files, `<room>/sql/migrations/NNNN_what.sql`, applied in order.

    pending? ─┬─ in a transaction: turn ─▶ record ─▶ its statements, each lock within 100 ms ─▶ commit
              │                 ▲                       └─ not got: roll back, let the others work ─┐
              │                 └───────────────────────────────────────────────────────────────────┘
              └─ outside one: each index that is not there ─▶ build it while others write ─▶ record

A file runs in one transaction with the row that records it; two processes that migrate at once take turns. Who waits for a
strong lock has all others wait behind it: behind one long reader, the whole queue. So it waits briefly, and tries again. A file
that begins with `-- Outside a transaction` builds indexes, and nothing else. Files that were applied are never edited: what
changed is written as the next number. What a file may do stands in docs/deploys.md; tests/contract/test_migrations.py holds it.
"""

import asyncio
import re
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib import resources
from typing import LiteralString

from psycopg import sql
from psycopg.errors import DuplicateTable, UndefinedTable, UniqueViolation

from jobs_core import db
from jobs_core.errors import DatabaseUnusable, SchemaMismatch
from jobs_core.statements import fill_in, schema, statement

WAIT_S = 60.0
LOCK_MS = 100
"""What a file waits for a lock: everybody else stands behind it for so long at most."""
_BETWEEN_TRIES_S = 0.5
"""Five times as long as they stood: so they work for most of the time, however long a reader keeps the lock."""
_FILE = re.compile(r"(\d{4})_(\w+)\.sql")
_OUTSIDE = "-- Outside a transaction"
_INDEX = re.compile(r"CREATE (?:UNIQUE )?INDEX CONCURRENTLY (?P<name>\w+) ON [^;]+")


@dataclass(frozen=True, slots=True)
class Migration:
    """One file of a room's line."""

    room: str
    number: int
    name: str
    sql: LiteralString

    @property
    def builds(self) -> bool:
        """Whether it builds indexes, outside a transaction."""
        return self.sql.startswith(_OUTSIDE)

    def __str__(self) -> str:
        return f"{self.room} {self.number:04} {self.name}"


def migrations(rooms: Sequence[str]) -> list[Migration]:
    """All files of these rooms, lower rooms first as given, each room's in order."""
    found = []
    for room in rooms:
        folder = resources.files(room) / "sql" / "migrations"
        files = sorted(((file.name, file) for file in folder.iterdir()), key=lambda pair: pair[0])
        for name, file in files:
            if match := _FILE.fullmatch(name):
                text = fill_in(file.read_text(encoding="utf-8"))
                found.append(Migration(room, int(match[1]), match[2], text))
    return found


async def pending(conn: db.Connection, rooms: Sequence[str]) -> list[Migration]:
    """What has not been applied yet.

    Raises SchemaMismatch where the database holds a number that this code does not have: it is newer than the code.
    """
    known = migrations(rooms)
    try:
        rows = await db.fetch(conn, statement("jobs_core", "migration/applied"))
    except UndefinedTable:
        return known
    applied = {(row["room"], row["number"]) for row in rows}
    unknown = applied - {(migration.room, migration.number) for migration in known}
    if unknown:
        room, number = max(unknown)
        raise SchemaMismatch(
            f"The database's schema is newer than this code ({room} {number:04} is not known here). "
            "Update the code, or point DATABASE_URL at another database."
        )
    return [migration for migration in known if (migration.room, migration.number) not in applied]


async def migrate(conn: db.Connection, rooms: Sequence[str], *, wait_s: float = WAIT_S) -> list[Migration]:
    """Apply what is pending while others work, each file at once; returns what was applied by this call.

    The connection is not in a transaction. wait_s: for how long a file is tried where others hold what it must lock; between
    two tries they go on. Raises SchemaMismatch as `pending` does, before anything is written, and DatabaseUnusable where that
    time was not enough, or the server will not do: what was applied by then stays, and a later call goes on.
    """
    await db.check_server(conn)
    if not await pending(conn, rooms):
        return []
    async with conn.transaction():
        await db.execute(conn, statement("jobs_core", "migration/take_turns"))
        await db.execute(conn, statement("jobs_core", "migration/prepare"))
    applied: list[Migration] = []
    for migration in await pending(conn, rooms):
        ours = await _build(conn, migration) if migration.builds else await _apply_patiently(conn, migration, wait_s)
        if ours:
            applied.append(migration)
    return applied


async def _apply_patiently(conn: db.Connection, migration: Migration, wait_s: float) -> bool:
    until = time.monotonic() + wait_s
    while True:
        try:
            return await _apply(conn, migration)
        except (db.LockNotAvailable, *db.Retryable):
            if time.monotonic() >= until:
                raise DatabaseUnusable(
                    f"{migration} was not applied: for {wait_s:g} s others held what it must lock{await _holders(conn)}. "
                    "Let them end, or end them, and migrate again."
                ) from None
        await asyncio.sleep(_BETWEEN_TRIES_S)


async def _apply(conn: db.Connection, migration: Migration) -> bool:
    """Apply it in one transaction; False: another process was faster. Raises LockNotAvailable, and has changed nothing."""
    async with conn.transaction():
        await db.execute(conn, statement("jobs_core", "migration/take_turns"))
        if not await _record(conn, migration):
            return False
        await db.execute(conn, statement("jobs_core", "migration/wait_briefly"), {"lock_ms": LOCK_MS})
        await db.execute(conn, migration.sql)
    return True


async def _build(conn: db.Connection, migration: Migration) -> bool:
    """Build its indexes, those that are not there; False: another process was faster.

    No lock makes such processes take turns: a build waits for all older snapshots, that of whoever waits for the lock too.
    """
    for index in _INDEX.finditer(migration.sql):
        while not await _built(conn, index["name"], index[0]):  # noqa: ASYNC110 - the condition lies in Postgres
            await asyncio.sleep(_BETWEEN_TRIES_S)
    return await _record(conn, migration)


async def _built(conn: db.Connection, name: str, create: LiteralString) -> bool:
    """Whether the index is there, now at the latest; False: look again, another process builds it."""
    there = await db.fetch_one(conn, statement("jobs_core", "migration/index"), {"name": name})
    if there is None:
        with suppress(DuplicateTable, UniqueViolation, *db.Retryable):
            await db.execute(conn, create)
            return True
        return False
    if not there["valid"] and not there["building"]:  # what a build leaves that was cut off
        await conn.execute(sql.SQL("DROP INDEX CONCURRENTLY IF EXISTS {}").format(sql.Identifier(schema(), name)))
    return bool(there["valid"])


async def _record(conn: db.Connection, migration: Migration) -> bool:
    values = {"room": migration.room, "number": migration.number, "name": migration.name}
    return bool(await db.execute(conn, statement("jobs_core", "migration/record"), values))


async def _holders(conn: db.Connection) -> str:
    """Who has had a transaction open on the queue's tables for a while, in words."""
    rows = await db.fetch(conn, statement("jobs_core", "migration/holders"))
    told = [f"pid {row['pid']} ({row['name'] or 'no name'}, {row['state']}, for {row['for_s']:.0f} s)" for row in rows]
    return f"; open transactions: {', '.join(told)}" if told else ""


async def require_migrated(conn: db.Connection, rooms: Sequence[str]) -> None:
    """Raise SchemaMismatch where the database has not been migrated to this code."""
    missing = await pending(conn, rooms)
    if missing:
        raise SchemaMismatch(
            f"The database lacks {len(missing)} migration(s), first {missing[0]}: run ./jobs migrate (as a library: `migrate`)"
        )
