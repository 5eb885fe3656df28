"""Connections to Postgres: the one place that knows psycopg.

Every connection is made alike: autocommit, so that a transaction is always asked for by name; UTC; and bounds on how long
a peer that is gone, or a process frozen inside a transaction, can hold what others wait for.
"""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Any, LiteralString, Self, TypeVar
from weakref import WeakKeyDictionary

import psycopg
from psycopg import AsyncConnection, OperationalError
from psycopg.conninfo import conninfo_to_dict
from psycopg.rows import DictRow, dict_row, tuple_row
from psycopg_pool import AsyncConnectionPool, PoolTimeout

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
UniqueViolation = psycopg.errors.UniqueViolation
SerializationFailure = psycopg.errors.SerializationFailure

_AWAY_CLASSES = ("08", "53", "57P", "25006")  # connection lost, out of something, shutting down or starting, read-only

OLDEST_SERVER = 15
_ATTEMPTS = 5  # of a transaction that Postgres rolled back whole
_TCP_USER_TIMEOUT_MS = 5_000  # keepalives alone left a half-open connection hanging for 25 s; this gave 5 s
_KEEPALIVES_IDLE_S, _KEEPALIVES_INTERVAL_S = 2, 1
"""Who has nothing under way but waits for an answer learns of it by unanswered keepalives; the timeout counts only then, too,
at 2 + 1 + 1 + 1 s. The interval's default is 75 s."""
_CONNECT_TIMEOUT_S = 5
_TRIED_AFTER_S = 10.0  # a connection that lay idle for longer is tried before it is handed out: 60 µs
_RECONNECT_S = 3.0  # of trying again after 0, 1 and 3 s; the next caller begins anew, so the pauses never grow longer


async def connect(dsn: str, *, name: str, idle_in_transaction_s: float = 60.0) -> Connection:
    """One connection outside any pool: for LISTEN, for a lease, for migrations.

    `name` shows in pg_stat_activity. Raises OperationalError where the server cannot be reached.
    """
    return await AsyncConnection.connect(**_arguments(dsn, name, idle_in_transaction_s))


def _arguments(dsn: str, name: str, idle_in_transaction_s: float) -> dict[str, Any]:
    try:
        arguments: dict[str, Any] = dict(conninfo_to_dict(dsn))
    except psycopg.ProgrammingError:  # whose text repeats the URL, password included
        raise DatabaseUnusable(
            "DATABASE_URL is not a Postgres URL: it looks like postgresql://user:password@host:port/name"
        ) from None
    options = {
        "idle_in_transaction_session_timeout": round(idle_in_transaction_s * 1000),
        "timezone": "UTC",
        # The server's end of the same line: by default it holds a lost client's locks for two hours.
        "tcp_user_timeout": _TCP_USER_TIMEOUT_MS,
        "tcp_keepalives_idle": _KEEPALIVES_IDLE_S,
        "tcp_keepalives_interval": _KEEPALIVES_INTERVAL_S,
    }
    ours = " ".join(f"-c {option}={value}" for option, value in options.items())
    arguments["options"] = f"{arguments.get('options', '')} {ours}".strip()
    arguments.setdefault("connect_timeout", _CONNECT_TIMEOUT_S)
    arguments.setdefault("tcp_user_timeout", _TCP_USER_TIMEOUT_MS)
    arguments.setdefault("keepalives_idle", _KEEPALIVES_IDLE_S)
    arguments.setdefault("keepalives_interval", _KEEPALIVES_INTERVAL_S)
    return {**arguments, "application_name": name, "autocommit": True, "row_factory": dict_row}


class Database:
    """A pool of connections to one database.

    Shared by everything in a process but what needs a connection of its own (LISTEN, the lease). No caller keeps a
    connection while a handler or a model works.
    """

    def __init__(self, dsn: str, *, name: str, max_connections: int = 8, idle_in_transaction_s: float = 60.0) -> None:
        self.dsn = dsn
        self.name = name
        self._idle_in_transaction_s = idle_in_transaction_s
        self._opened_by = 0
        self._used_at = WeakKeyDictionary[Connection, float]()
        self._pool: AsyncConnectionPool[Connection] = AsyncConnectionPool(
            kwargs=_arguments(dsn, name, idle_in_transaction_s),
            min_size=1,
            max_size=max_connections,
            timeout=_CONNECT_TIMEOUT_S,
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

    async def _check(self, conn: Connection) -> None:
        if time.monotonic() > self._used_at.get(conn, 0.0) + _TRIED_AFTER_S:
            await AsyncConnectionPool.check_connection(conn)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Connection]:
        """A connection inside one transaction, committed at the end and rolled back on a raise."""
        async with self.connection() as conn, conn.transaction():
            yield conn

    async def connect(self, purpose: str) -> Connection:
        """One more connection outside the pool, made like its connections."""
        return await connect(self.dsn, name=f"{self.name} {purpose}", idle_in_transaction_s=self._idle_in_transaction_s)


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
