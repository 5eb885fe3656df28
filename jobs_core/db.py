"""What is done with connections to Postgres: the pool, statements, and what their errors mean.

Every connection is made alike (`connections`), in autocommit, so that a transaction is always asked for by name.
"""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterable, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Any, LiteralString, Self, TypeVar
from weakref import WeakKeyDictionary

import psycopg
from psycopg import AsyncConnection, OperationalError
from psycopg.rows import DictRow, dict_row, tuple_row
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from jobs_core.connections import CONNECT_TIMEOUT_S, ServerConnection, arguments
from jobs_core.connections import connect as connect  # noqa: PLC0414 - `db.connect` is what callers say
from jobs_core.errors import DatabaseUnusable

Connection = AsyncConnection[Any]
"""What every verb takes first; the caller owns its transaction."""

Row = DictRow

T = TypeVar("T")

ConnectionFailed = (OperationalError, PoolTimeout)
"""What a call raises when the database cannot be reached, or went away; the outcome of a commit is then unknown."""

Retryable = (
    psycopg.errors.DeadlockDetected,
    psycopg.errors.SerializationFailure,
    psycopg.errors.IdleInTransactionSessionTimeout,
)
"""What a transaction may raise though nothing is wrong with it: run it again from its start (`retried`)."""

LockNotAvailable = psycopg.errors.LockNotAvailable
ReadOnly = psycopg.errors.ReadOnlySqlTransaction
"""What a write raises on a server that was a primary, or is not one yet."""
UniqueViolation = psycopg.errors.UniqueViolation
SerializationFailure = psycopg.errors.SerializationFailure

_AWAY_CLASSES = ("08", "53", "57P", "25006")  # connection lost, out of something, shutting down or starting, read-only

OLDEST_SERVER = 15
_ATTEMPTS = 5  # of a transaction that Postgres rolled back whole
_TRIED_AFTER_S = 10.0  # a connection that lay idle for longer is tried before it is handed out: 60 µs
_RECONNECT_S = 3.0  # of trying again after 0, 1 and 3 s; the next caller begins anew, so the pauses never grow longer


class Database:
    """A pool of connections to one database.

    Shared by everything in a process but what needs a connection of its own (LISTEN, the lease). No caller keeps a
    connection while a handler or a model works. Where `dsn` leads through a pooler, `direct_dsn` leads to the same database
    past it, for those connections of their own.
    """

    def __init__(
        self,
        dsn: str,
        *,
        name: str,
        max_connections: int = 8,
        idle_in_transaction_s: float = 60.0,
        direct_dsn: str = "",
    ) -> None:
        self.dsn = dsn
        self.name = name
        self._direct_dsn = direct_dsn or dsn
        self._idle_in_transaction_s = idle_in_transaction_s
        self._opened_by = 0
        self._used_at = WeakKeyDictionary[Connection, float]()
        self.on_commit: list[Callable[[Collection[Any]], object]] = []
        """The first hears where transactions have made jobs ready: of several notifiers one is enough."""
        self._pool: AsyncConnectionPool[ServerConnection] = AsyncConnectionPool(
            connection_class=ServerConnection,
            kwargs=arguments(dsn, name),
            configure=self._configure,
            min_size=1,
            max_size=max_connections,
            timeout=CONNECT_TIMEOUT_S,
            reconnect_timeout=_RECONNECT_S,
            check=self._check,
            open=False,
        )

    async def __aenter__(self) -> Self:
        self._opened_by = os.getpid()
        await self._pool.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._pool.close()

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        """A connection in autocommit.

        Raises one of ConnectionFailed where none can be had, DatabaseUnusable in a process forked from the one that opened it.
        """
        if os.getpid() != self._opened_by:
            raise DatabaseUnusable(
                f"the connections of {self.name} belong to process {self._opened_by}, from which this one was forked: "
                "open a Database of its own here"
            )
        task = asyncio.current_task()
        cancels = task.cancelling() if task else 0
        async with self._pool.connection() as conn:
            if task and task.cancelling() > cancels:
                # asyncio.wait_for, which the pool waits with, swallows a cancel that comes together with the connection
                # (Python 3.11); whoever cancelled would wait for ever.
                raise asyncio.CancelledError
            yield conn
            self._used_at[conn] = time.monotonic()

    async def _configure(self, conn: ServerConnection) -> None:
        await conn.set_up(self._idle_in_transaction_s)
        conn.on_commit = self._committed

    def _committed(self, made: Collection[Any]) -> None:
        for hear in self.on_commit[:1]:
            hear(made)

    async def _check(self, conn: ServerConnection) -> None:
        if time.monotonic() > self._used_at.get(conn, 0.0) + _TRIED_AFTER_S:
            await AsyncConnectionPool.check_connection(conn)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Connection]:
        """A connection inside one transaction, committed at the end and rolled back on a raise."""
        async with self.connection() as conn, conn.transaction():
            yield conn

    async def connect(self, purpose: str) -> ServerConnection:
        """One more connection outside the pool, made like its connections, and past a pooler where there is a way."""
        name = f"{self.name} {purpose}"
        return await connect(self._direct_dsn, name=name, idle_in_transaction_s=self._idle_in_transaction_s)


def will_pass(error: BaseException) -> bool:
    """Whether what raised this may do if it is only repeated: the database was away, full, in failover, or chose a victim.

    Not so where the statement itself is wrong (a value too large for its index is an OperationalError, too).
    """
    if isinstance(error, (PoolTimeout, psycopg.InterfaceError, *Retryable)):
        return True
    if not isinstance(error, psycopg.Error):
        return False
    if error.sqlstate is None:
        return isinstance(error, OperationalError)
    return error.sqlstate.startswith(_AWAY_CLASSES)


async def retried(verb: Callable[[], Awaitable[T]]) -> T:
    """What `verb` returns, which opens a transaction of its own: run up to five times where Postgres rolled it back whole.

    Raises the last one of Retryable.
    """
    for _ in range(_ATTEMPTS - 1):
        with suppress(*Retryable):
            return await verb()
    return await verb()


def describe(error: BaseException) -> str:
    """What a log may say of an error: its type, and Postgres' code. Its text may hold rows, and rows hold what people said."""
    sqlstate = getattr(error, "sqlstate", None)
    return f"{type(error).__name__} {sqlstate}" if sqlstate else type(error).__name__


async def execute(conn: Connection, sql: LiteralString, parameters: Mapping[str, Any] | None = None) -> int:
    """Run one statement and return how many rows it touched."""
    cursor = await conn.execute(sql, parameters)
    return cursor.rowcount


async def fetch(
    conn: Connection, sql: LiteralString, parameters: Mapping[str, Any] | None = None, *, prepare: bool | None = None
) -> list[Row]:
    """Run one statement and return its rows as dicts, whatever row factory the caller's connection has.

    prepare: False plans it anew for its values, however often this connection has run it.
    """
    async with conn.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(sql, parameters, prepare=prepare)
        return await cursor.fetchall()


async def fetch_tuples(
    conn: Connection, sql: LiteralString, parameters: Mapping[str, Any] | None = None
) -> list[tuple[Any, ...]]:
    """`fetch` for where rows are many: each as a tuple, in the order of the columns."""
    async with conn.cursor(row_factory=tuple_row) as cursor:
        await cursor.execute(sql, parameters)
        return await cursor.fetchall()


async def fetch_one(conn: Connection, sql: LiteralString, parameters: Mapping[str, Any] | None = None) -> Row | None:
    """Run one statement and return its first row, or None."""
    rows = await fetch(conn, sql, parameters)
    return rows[0] if rows else None


async def wait_briefly_for_locks(conn: Connection) -> None:
    """Until this transaction ends: for 20 ms, then raise LockNotAvailable."""
    await execute(conn, "SET LOCAL lock_timeout = '20ms'")


def bigints(numbers: Iterable[int]) -> str:
    """The numbers as Postgres writes a bigint[]: psycopg takes ten times as long to write a list of hundreds."""
    return f"{{{','.join(map(str, numbers))}}}"


async def check_direct(conn: Connection, direct: ServerConnection) -> None:
    """Refuse a way past the pooler of `conn` that leads through one, too, or elsewhere: leases would be lost there.

    Raises DatabaseUnusable with a line for the operator.
    """
    if direct.pooled:
        raise DatabaseUnusable("DATABASE_DIRECT_URL leads through a pooler, too: give it the server's own address")
    here = "SELECT pg_postmaster_start_time() AS since, oid FROM pg_database WHERE datname = current_database()"
    if await fetch_one(conn, here) != await fetch_one(direct, here):
        raise DatabaseUnusable(
            "DATABASE_DIRECT_URL and DATABASE_URL lead to different databases: give both the same server and name"
        )


async def check_server(conn: Connection) -> None:
    """Refuse a server that cannot keep the promises: older than 15, or one that acknowledges before it is durable.

    Raises DatabaseUnusable with a line for the operator.
    """
    version = conn.info.server_version // 10_000
    if version < OLDEST_SERVER:
        raise DatabaseUnusable(
            f"This is PostgreSQL {version}; Jobs needs {OLDEST_SERVER} or newer. Upgrade the server."
        )
    row = await fetch_one(conn, "SELECT current_setting('synchronous_commit') AS value")
    if row is not None and row["value"] == "off":
        raise DatabaseUnusable(
            "synchronous_commit is off: a crash would lose acknowledged jobs. "
            "Set it to on for this database (ALTER DATABASE … SET synchronous_commit = on)."
        )
