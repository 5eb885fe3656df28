"""How a command gets to the database: which one, and whether it can be used."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

from cli.folder import Folder
from cli.known_errors import first_line
from cli.printing import warn
from cli.rooms import ROOMS
from cli.settings import CliSettings
from jobs_core import (
    ConfigurationError,
    Connection,
    ConnectionFailed,
    Database,
    DatabaseUnusable,
    HandlerTable,
    db,
)
from jobs_core.connections import ServerConnection
from jobs_core.declare import declare_types
from jobs_core.history import make_partitions
from jobs_core.migrations import WAIT_S, Migration, migrate, require_migrated
from jobs_core.settings import CoreSettings

T = TypeVar("T")


def choose_database(settings: CliSettings) -> str:
    """DATABASE_URL, else the database of the `up` that runs in the folder. Raises ConfigurationError where there is neither."""
    if given := CoreSettings.read().database_url:
        return given
    folder = Folder(settings.data)
    if found := folder.joins():
        return found["DATABASE_URL"]
    raise ConfigurationError(
        f"There is no database: no ./jobs up runs in {folder.path} and DATABASE_URL is not set. Start one, or set it."
    )


@asynccontextmanager
async def connected(dsn: str, variable: str = "DATABASE_URL") -> AsyncIterator[ServerConnection]:
    """One connection. Raises DatabaseUnusable, which names the variable and never repeats the URL: it holds a password."""
    try:
        conn = await db.connect(dsn, name="jobs command")
    except ConnectionFailed as error:
        raise DatabaseUnusable(
            f"The database cannot be reached ({first_line(error)}): see that it runs and that {variable} is right"
        ) from error
    except Exception:  # noqa: BLE001 - psycopg's word for a text it cannot parse, which that word repeats
        raise DatabaseUnusable(
            f"{variable} is not a Postgres URL: write postgresql://user:password@host:5432/database"
        ) from None
    async with conn:
        yield conn


@asynccontextmanager
async def opened(settings: CliSettings) -> AsyncIterator[Database]:
    """A small pool on the database, once it is known to fit this code.

    Raises ConfigurationError: none is named, it cannot be used, or its schema is older or newer than the code.
    """
    dsn = choose_database(settings)
    await require_usable(dsn)
    async with Database(dsn, name="jobs command", max_connections=2) as database:
        yield database


def ask(question: Callable[[Connection], Coroutine[Any, Any, T]], data: Path | None) -> T:
    """What the database answers; `data` is the command's option. Raises as `opened`."""

    async def answer() -> T:
        async with opened(CliSettings.read(data=data)) as database, database.connection() as conn:
            return await question(conn)

    return asyncio.run(answer())


async def bring_up_to_date(conn: Connection, table: HandlerTable, *, wait_s: float = WAIT_S) -> list[Migration]:
    """Apply what is pending, make history's partitions of today and the days ahead, and the table's types known to SQL.

    wait_s: as of `migrate`. Returns what was applied.
    A partition that cannot be made is told on stderr: workers try again, and its rows are kept without it. Raises
    ConfigurationError as `migrate` does.
    """
    applied = await migrate(conn, ROOMS, wait_s=wait_s)
    await declare_types(conn, table.job_types)
    _, missing = await make_partitions(conn)
    for name, reason in missing.items():
        warn(f"history's partition {name} was not made ({reason}); rows of its day go to the default partition")
    return applied


async def check_way_of_workers(core: CoreSettings, dsn: str) -> None:
    """Say what is weaker where workers reach this database through a pooler.

    Raises DatabaseUnusable where the way past it that is set is none.
    """
    async with connected(dsn) as conn:
        if core.database_direct_url:
            async with connected(core.database_direct_url, "DATABASE_DIRECT_URL") as direct:
                await db.check_direct(conn, direct)
        elif conn.pooled:
            warn(
                "DATABASE_URL leads through a pooler: LISTEN is off, and idle workers look for jobs every 1 s. "
                "Set DATABASE_DIRECT_URL to the server's own address to have them woken at once."
            )


async def require_usable(dsn: str) -> None:
    """Raise ConfigurationError unless this is a reachable server, new enough, with a schema of this code's version."""
    async with connected(dsn) as conn:
        await db.check_server(conn)
        await require_migrated(conn, ROOMS)
