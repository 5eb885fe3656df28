"""A Postgres for tests: `DATABASE_URL` where it is set, else our embedded one; and fresh, migrated databases on it."""

import asyncio
import fcntl
import os
import shutil
import tempfile
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from cli.rooms import ROOMS
from jobs_core import db
from jobs_core.migrations import migrate

TEMPLATE = f"jobs_test_{uuid.uuid4().hex[:8]}"
_MEMORY = Path("/dev/shm")
_ROOM_BYTES = 4 << 30  # a whole run left 60 MB behind; a container's usual 64 MB will not do

CHECKS = """
ALTER TABLE jobs.jobs
    ADD CHECK (state IN ('pending', 'blocked', 'waiting', 'claimed', 'running')),
    ADD CHECK (lane_pos IS NULL OR lane IS NOT NULL),
    ADD CHECK (ready_seq IS NULL OR state = 'pending'),
    ADD CHECK ((worker_id IS NOT NULL) = (state IN ('claimed', 'running'))),
    ADD CHECK (unique_while IN ('unstarted', 'unfinished')),
    ADD CHECK ((unique_key IS NULL) = (unique_while IS NULL)),
    ADD CHECK ((waiting_since IS NOT NULL) = (state = 'waiting')),
    ADD CHECK ((wait_event IS NULL AND wait_until IS NULL) = (state <> 'waiting')),
    ADD CHECK (retry_of < id),
    ADD CHECK (limits IS NULL OR limit_group IS NOT NULL),
    ADD CHECK (limits IS NOT NULL OR limit_group IS NULL OR jsonb_typeof(limit_group::jsonb -> 0) = 'array'),
    ADD CHECK (first_priority > priority),
    ADD CHECK (debounce_until IS NULL OR unique_while = 'unstarted'),
    ADD CONSTRAINT longest_wait CHECK (token IS NOT NULL OR scheduled_for <= debounce_until),
    ADD CHECK (jsonb_typeof(limit_group::jsonb) = 'array'),
    ADD CHECK ((alone IS NULL) = (limit_group IS NOT NULL)),
    ADD CHECK ((limited_alone IS NULL) = (limit_group IS NULL)),
    ADD CHECK ((sticky_key IS NULL) = (sticky_s IS NULL)),
    ADD CHECK (preferred_worker IS NULL OR (state = 'pending' AND ready_seq IS NULL AND sticky_key IS NOT NULL))
;
ALTER TABLE jobs.lanes
    ADD CHECK ((held_at IS NOT NULL) = (head_pos IS NOT DISTINCT FROM 0)),
    ADD CHECK ((held_by IS NOT NULL) = (held_at IS NOT NULL)),
    ADD CHECK (held_at IS NOT NULL OR (held_reason IS NULL AND held_job IS NULL))
"""
"""What holds of every job and lane. Postgres would read these anew at each statement, so no migration has them."""


@contextmanager
def server(folder: Path) -> Iterator[str]:
    """The DSN of a running server, our own one stopped at the end."""
    if given := os.environ.get("DATABASE_URL"):
        yield given
        return
    from cli.embedded_postgres import EmbeddedPostgres

    with EmbeddedPostgres(folder) as postgres:
        yield postgres.dsn


def _lock(folder: Path) -> int:
    """A descriptor that holds the folder's lock. Raises BlockingIOError where somebody else does."""
    lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        raise
    return lock


@contextmanager
def quick_folder(otherwise: Path) -> Iterator[Path]:
    """A folder in memory where there is plenty, as a database is copied there in 20 ms instead of 120; else the given one.

    Every setting stays as it is: the machine's death is all that a folder in memory does not outlive. A run that was
    killed leaves its folder; the next one removes it, which the lock on it tells from a run that lives.
    """
    if not os.access(_MEMORY, os.W_OK) or shutil.disk_usage(_MEMORY).free < _ROOM_BYTES:
        yield otherwise
        return
    name = f"jobs-tests-{os.getuid()}"
    with (_MEMORY / f"{name}.lock").open("w") as turn:  # or another's folder would be removed before it is locked
        fcntl.flock(turn, fcntl.LOCK_EX)
        for left in _MEMORY.glob(f"{name}-*"):
            with suppress(BlockingIOError):
                os.close(_lock(left))
                shutil.rmtree(left)
        folder = Path(tempfile.mkdtemp(prefix=f"{name}-", dir=_MEMORY))
        lock = _lock(folder)
    try:
        yield folder
    finally:
        shutil.rmtree(folder)
        os.close(lock)


def with_database(dsn: str, name: str) -> str:
    """The DSN of another database on the same server."""
    return urlunsplit(urlsplit(dsn)._replace(path=f"/{name}"))


def by_way_of(entrance: str, dsn: str) -> str:
    """The DSN of the same database, entered as `entrance` is: through a pooler, perhaps."""
    return with_database(entrance, urlsplit(dsn).path.removeprefix("/"))


def run_sql(dsn: str, *statements: str) -> None:
    """Run statements one by one in autocommit, outside any event loop."""

    async def run() -> None:
        async with await db.connect(dsn, name="tests") as conn:
            for statement in statements:
                await conn.execute(statement)

    asyncio.run(run())


def rows_of(dsn: str, sql: str) -> list[db.Row]:
    """What a query finds, outside any event loop."""

    async def look() -> list[db.Row]:
        async with await db.connect(dsn, name="tests") as conn:
            return await db.fetch(conn, sql)

    return asyncio.run(look())


def make_template(server_dsn: str) -> None:
    """Make the migrated database that fresh ones are copied from."""

    async def run() -> None:
        async with await db.connect(with_database(server_dsn, TEMPLATE), name="tests") as conn:
            await migrate(conn, ROOMS)
            await conn.execute(CHECKS)

    run_sql(server_dsn, f"CREATE DATABASE {TEMPLATE}")
    asyncio.run(run())


@contextmanager
def fresh_database(server_dsn: str, *, template: str = TEMPLATE) -> Iterator[str]:
    """The DSN of a new migrated database, dropped at the end with whoever is connected."""
    name = f"{TEMPLATE}_{uuid.uuid4().hex[:8]}"
    run_sql(server_dsn, f"CREATE DATABASE {name} TEMPLATE {template}")
    try:
        yield with_database(server_dsn, name)
    finally:
        run_sql(server_dsn, f"DROP DATABASE {name} WITH (FORCE)")


class Undone(Exception):
    """Raised in a transaction that is to be rolled back."""


async def until_blocked(conn: db.Connection, statement: str = "") -> int:
    """Wait until somebody in this database waits for a lock, with a statement that begins, in its file, so; its pid."""
    sql = """SELECT pid FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()
             AND starts_with(ltrim(query, E' \\n'), %(statement)s)"""
    async with asyncio.timeout(30):
        while not (found := await db.fetch(conn, sql, {"statement": statement})):
            await asyncio.sleep(0.01)
    return int(found[0]["pid"])


@asynccontextmanager
async def reading_history(conn: db.Connection) -> AsyncIterator[None]:
    """Someone has a transaction open that has read all of history, the attempts and the notes."""
    async with conn.transaction():
        await db.fetch(
            conn, "SELECT FROM jobs.history UNION ALL SELECT FROM jobs.attempts UNION ALL SELECT FROM jobs.notes"
        )
        yield
