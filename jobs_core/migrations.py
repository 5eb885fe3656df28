"""Migrations: each room has a numbered line of SQL files, `<room>/sql/migrations/NNNN_what.sql`, applied in order.

A file runs in one transaction with the row that records it; two processes that migrate at once take turns. Files that
were applied are never edited: what changed is written as the next number.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from typing import LiteralString

from psycopg.errors import UndefinedTable

from jobs_core import db
from jobs_core.errors import SchemaMismatch
from jobs_core.statements import fill_in, statement

_FILE = re.compile(r"(\d{4})_(\w+)\.sql")


@dataclass(frozen=True, slots=True)
class Migration:
    """One file of a room's line."""

    room: str
    number: int
    name: str
    sql: LiteralString

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


async def migrate(conn: db.Connection, rooms: Sequence[str]) -> list[Migration]:
    """Apply what is pending, each file in its own transaction; returns what was applied by this call.

    Raises SchemaMismatch as `pending` does, before anything is written.
    """
    await db.check_server(conn)
    applied: list[Migration] = []
    if not await pending(conn, rooms):
        return applied
    async with conn.transaction():
        await db.execute(conn, statement("jobs_core", "migration/take_turns"))
        await db.execute(conn, statement("jobs_core", "migration/prepare"))
    for migration in await pending(conn, rooms):
        async with conn.transaction():
            await db.execute(conn, statement("jobs_core", "migration/take_turns"))
            recorded = await db.execute(
                conn,
                statement("jobs_core", "migration/record"),
                {"room": migration.room, "number": migration.number, "name": migration.name},
            )
            if recorded:
                await db.execute(conn, migration.sql)
                applied.append(migration)
    return applied


async def require_migrated(conn: db.Connection, rooms: Sequence[str]) -> None:
    """Raise SchemaMismatch where the database has not been migrated to this code."""
    missing = await pending(conn, rooms)
    if missing:
        raise SchemaMismatch(
            f"The database lacks {len(missing)} migration(s), first {missing[0]}: run ./jobs migrate (as a library: `migrate`)"
        )
