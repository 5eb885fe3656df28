"""A Postgres of a drill's own, which it may hurt, is made ready here."""

from cli.rooms import ROOMS
from jobs_core import db
from jobs_core.migrations import migrate
from tests.drills import load


async def make_ready(dsn: str) -> None:
    """Migrate a new database and make the tables of the record."""
    async with await db.connect(dsn, name="drill") as conn:
        await migrate(conn, ROOMS)
        await load.prepare(conn)
