"""What a check-up looks at: the settings, the folder, the database; and how much is borne before it is told."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from cli.database import choose_database, connected
from cli.folder import Folder
from cli.settings import CliSettings
from jobs_core import execute
from jobs_core.connections import ServerConnection
from jobs_core.settings import CoreSettings

_STATEMENT_MS = 20_000
"""More than a check may take: whatever becomes of us, Postgres ends a look that nobody waits for."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """What is borne. The figures leave room for a busy day: what passes them has not been cleared up by itself."""

    transaction_s: float = 300.0
    """A transaction that is open for longer keeps dead rows: 8 s of a full load's are what claims can pass over."""
    ready_s: float = 60.0
    """That a job stands ready and nobody serves it: a restart of workers takes less."""
    late_s: float = 60.0
    """That a job or a tick is due and nobody sees to it: upkeep and evaluators look each second."""
    died_s: float = 3600.0
    """That a worker's death is told."""
    dead_rows: int = 200_000
    """More than ten seconds' of a full load's, and autovacuum comes each minute."""
    vacuum_s: float = 900.0
    clock_s: float = 5.0
    """Webhooks and logs bear more."""
    free_bytes: int = 1 << 30
    """A day's history of a busy queue."""
    days_ahead: int = 5
    """Of the seven that upkeep makes each hour."""


@dataclass(frozen=True, slots=True)
class Place:
    """One installation, as the command that looks is set up."""

    settings: CliSettings
    bounds: Bounds = field(default_factory=Bounds)

    @property
    def core(self) -> CoreSettings:
        """Of the database. Raises ConfigurationError."""
        return CoreSettings.read()

    @property
    def folder(self) -> Folder:
        """Of `./jobs up`."""
        return Folder(self.settings.data)

    @asynccontextmanager
    async def look(self) -> AsyncIterator[ServerConnection]:
        """A connection that can only read, and not for long. Raises ConfigurationError where there is no database."""
        async with self.write() as conn, conn.transaction():
            await execute(conn, "SET TRANSACTION READ ONLY")
            await execute(conn, "SELECT set_config('statement_timeout', %(ms)s, true)", {"ms": str(_STATEMENT_MS)})
            yield conn

    @asynccontextmanager
    async def write(self) -> AsyncIterator[ServerConnection]:
        """A connection in autocommit. Raises as `look`."""
        async with connected(choose_database(self.settings)) as conn:
            yield conn
