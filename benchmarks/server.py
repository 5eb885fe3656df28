"""The Postgres that everybody is measured on, and fresh databases on it."""

import platform
import tempfile
import uuid
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass
from os import cpu_count
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from psycopg import AsyncConnection, sql
from psycopg.rows import tuple_row

from cli.embedded_postgres import EmbeddedPostgres
from cli.rooms import ROOMS
from jobs_core import db
from jobs_core.migrations import migrate

_SHOWN = ("fsync", "synchronous_commit", "full_page_writes", "shared_buffers", "max_wal_size", "autovacuum")


@dataclass(frozen=True, slots=True)
class Server:
    """A running server with a migrated template; `folder` is for logs and dies with the run."""

    dsn: str
    folder: Path
    template: str

    @asynccontextmanager
    async def fresh(self, *, migrated: bool = True) -> AsyncIterator[str]:
        """The DSN of a new database, dropped at the end with whoever is connected."""
        name = f"jobs_bench_{uuid.uuid4().hex[:8]}"
        template = sql.Identifier(self.template if migrated else "template1")
        await _run(self.dsn, sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(sql.Identifier(name), template))
        try:
            yield _with_database(self.dsn, name)
        finally:
            await _run(self.dsn, sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))

    async def transactions(self, dsn: str) -> int:
        """Transactions that Postgres has counted in that database, asked for from outside it."""
        name = urlsplit(dsn).path.lstrip("/")
        query = "SELECT xact_commit + xact_rollback FROM pg_stat_database WHERE datname = %s"
        async with plain(self.dsn) as conn:
            return int(await value(conn, query, name))

    async def machine(self) -> str:
        """One line that names what the figures were got on."""
        async with plain(self.dsn) as conn:
            version = await value(conn, "SHOW server_version")
            settings = [f"{name} {await value(conn, 'SELECT current_setting(%s)', name)}" for name in _SHOWN]
        return (
            f"{cpu_count()} cores ({platform.system()} {platform.machine()}), PostgreSQL {version} on the same machine "
            f"({', '.join(settings)}), Python {platform.python_version()}"
        )


@asynccontextmanager
async def running(database_url: str | None) -> AsyncIterator[Server]:
    """Our embedded server with its defaults, or the one given, which must allow CREATE DATABASE."""
    template = f"jobs_bench_{uuid.uuid4().hex[:8]}"
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="jobs-bench-")))
        dsn = database_url or stack.enter_context(EmbeddedPostgres(folder / "postgres")).dsn
        await _run(dsn, sql.SQL("CREATE DATABASE {}").format(sql.Identifier(template)))
        try:
            async with await db.connect(_with_database(dsn, template), name="jobs bench") as conn:
                await migrate(conn, ROOMS)
            yield Server(dsn, folder, template)
        finally:
            await _run(dsn, sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(template)))


@asynccontextmanager
async def plain(dsn: str) -> AsyncIterator[AsyncConnection[Any]]:
    """A connection as plain psycopg makes it, in autocommit."""
    async with await AsyncConnection.connect(dsn, autocommit=True, row_factory=tuple_row) as conn:
        yield conn


async def value(conn: AsyncConnection[Any], query: Any, *parameters: Any) -> Any:
    """The one value that a query returns."""
    row = await (await conn.execute(query, parameters)).fetchone()
    assert row is not None
    return row[0]


async def _run(dsn: str, statement: sql.Composed) -> None:
    async with plain(dsn) as conn:
        await conn.execute(statement)


def _with_database(dsn: str, name: str) -> str:
    return urlunsplit(urlsplit(dsn)._replace(path=f"/{name}"))
