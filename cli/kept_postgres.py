"""The database of `./jobs up`: the one that DATABASE_URL names, or an embedded Postgres whose keeper is kept alive."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import structlog

from cli.embedded_postgres import EmbeddedPostgres
from cli.errors import PostgresFailed
from cli.folder import Folder
from cli.printing import note
from cli.run import in_thread
from jobs_core.settings import CoreSettings

log = structlog.get_logger()

_LOOK_S = 0.5


@asynccontextmanager
async def database_of(folder: Folder) -> AsyncIterator[tuple[EmbeddedPostgres | None, str]]:
    """The server, where it is ours, and its URL, until the end of the block. Raises PostgresFailed."""
    if given := CoreSettings.read().database_url:
        note("Using the database that DATABASE_URL names.")
        yield None, given
        return
    first = not folder.postgres.exists()
    note(f"{'Making a database' if first else 'Starting Postgres'} in {folder.postgres}.")
    postgres = EmbeddedPostgres(folder.postgres)
    try:
        yield postgres, await in_thread(postgres.start)
    finally:
        await in_thread(postgres.stop)


async def keep_postgres(postgres: EmbeddedPostgres | None, on_move: Callable[[str], None]) -> None:
    """Start the server's keeper again whenever it died, until cancelled; `on_move(url)` if its URL is another then.

    The keeper itself does so for Postgres.
    """
    while postgres:
        await asyncio.sleep(_LOOK_S)
        if postgres.running:
            continue
        was = postgres.dsn
        log.error("process.died", process="postgres keeper")
        try:
            url = await in_thread(postgres.start)
        except PostgresFailed as error:
            log.error("postgres.failed", error=str(error))  # noqa: TRY400 - its text says all; it is tried again
            continue
        if url != was:
            log.warning("postgres.moved")
            on_move(url)
