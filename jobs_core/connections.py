"""How one connection is made: alike everywhere, to a server itself or through a pooler in transaction mode (PgBouncer).

    connect ─▶ one statement: was it this backend that took the connection? ─ yes ─▶ our bounds are set, for good
                                                                            └─ no ──▶ a pooler: nothing outlives a transaction

Behind a pooler each transaction may have another backend. Nothing is prepared there, a transaction brings its bound along, and
nobody can LISTEN. Nothing of ours goes into the startup packet: PgBouncer refuses `options` there.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import asynccontextmanager
from typing import Any

import psycopg
from psycopg import AsyncConnection, AsyncTransaction, OperationalError, sql
from psycopg.conninfo import conninfo_to_dict
from psycopg.pq import TransactionStatus
from psycopg.rows import dict_row

from jobs_core.errors import DatabaseUnusable

CONNECT_TIMEOUT_S = 5
_TCP_USER_TIMEOUT_MS = 5_000  # keepalives alone left a half-open connection hanging for 25 s; this gave 5 s
_KEEPALIVES_IDLE_S, _KEEPALIVES_INTERVAL_S = 2, 1
"""Who has nothing under way but waits for an answer learns of it by unanswered keepalives; the timeout counts only then, too,
at 2 + 1 + 1 + 1 s. The interval's default is 75 s."""

_LASTING = {
    "timezone": "UTC",
    # The server's end of the same line: by default it holds a lost client's locks for two hours.
    "tcp_user_timeout": str(_TCP_USER_TIMEOUT_MS),
    "tcp_keepalives_idle": str(_KEEPALIVES_IDLE_S),
    "tcp_keepalives_interval": str(_KEEPALIVES_INTERVAL_S),
}
_SET_UP = """
SELECT pg_backend_pid() = %(backend_pid)s AS direct, count(set_config(name, value, false))
FROM jsonb_each_text(%(settings)s::jsonb) AS s(name, value)
WHERE pg_backend_pid() = %(backend_pid)s OR name = 'timezone'
"""
"""A pooler answers a new connection itself, under a number of its own. The time zone is set there, too: PgBouncer keeps it for
each client, whatever backend that gets. The others would stay with a backend, and somebody else would get them."""


class ServerConnection(AsyncConnection[Any]):
    """A connection that knows whether a pooler stands before its server, and does without what that breaks."""

    pooled = False
    """Whether each transaction may have another backend."""
    _bound = sql.SQL("").format()
    """What a transaction begins with there. No SELECT: the caller may still choose the isolation level after it."""
    made: frozenset[Any] = frozenset()
    """Where the transaction under way has made jobs ready, of which `on_commit` is told (wake.wake_after_commit)."""
    on_commit: Callable[[Collection[Any]], object] | None = None
    """Hears of these once they are committed."""

    async def set_up(self, idle_in_transaction_s: float) -> None:
        """Bound how long a peer that is gone, or a process frozen inside a transaction, can hold what others wait for.

        Raises OperationalError where no answer comes: a pooler takes connections to a server that is away.
        """
        idle_ms = round(idle_in_transaction_s * 1000)
        self._bound = sql.SQL("SET LOCAL idle_in_transaction_session_timeout = {}").format(sql.Literal(idle_ms))
        settings = {**_LASTING, "idle_in_transaction_session_timeout": str(idle_ms)}
        values = {"settings": json.dumps(settings), "backend_pid": self.info.backend_pid}
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                row = await (await self.execute(_SET_UP, values)).fetchone()
        except TimeoutError:
            raise OperationalError(f"the server said nothing for {CONNECT_TIMEOUT_S} s") from None
        assert row is not None
        self.pooled = not row["direct"]
        if self.pooled:
            self.prepare_threshold = None

    async def cancel_safe(self, *, timeout: float = 30.0) -> None:
        """psycopg's; being cancelled again does not cut it off at a pooler: PgBouncer 1.18 ends itself then."""
        asked = super().cancel_safe(timeout=timeout)
        await (asyncio.shield(asked) if self.pooled else asked)

    @asynccontextmanager
    async def transaction(
        self,
        savepoint_name: str | None = None,
        force_rollback: bool = False,  # noqa: FBT001, FBT002 - psycopg's signature
    ) -> AsyncIterator[AsyncTransaction]:
        """psycopg's; behind a pooler the outermost sets its own bound. After its commit `on_commit` hears what it made."""
        begins = self.info.transaction_status == TransactionStatus.IDLE
        if begins:
            self.made = frozenset()  # of one that was rolled back
        async with super().transaction(savepoint_name, force_rollback) as transaction:
            if self.pooled and begins:
                await self.execute(self._bound)
            yield transaction
        if begins and self.made and self.on_commit and not force_rollback:
            self.on_commit(self.made)


async def connect(dsn: str, *, name: str, idle_in_transaction_s: float = 60.0) -> ServerConnection:
    """One connection outside any pool: for LISTEN, for a lease, for migrations.

    `name` shows in pg_stat_activity. Raises OperationalError where the server cannot be reached.
    """
    conn = await ServerConnection.connect(**arguments(dsn, name))
    try:
        await conn.set_up(idle_in_transaction_s)
    except BaseException:
        await conn.close()
        raise
    return conn


def arguments(dsn: str, name: str) -> dict[str, Any]:
    """What psycopg is given to connect. Raises DatabaseUnusable, which never repeats the URL: it holds a password."""
    try:
        given: dict[str, Any] = dict(conninfo_to_dict(dsn))
    except psycopg.ProgrammingError:
        raise DatabaseUnusable(
            "DATABASE_URL is not a Postgres URL: it looks like postgresql://user:password@host:port/name"
        ) from None
    ours = {
        "connect_timeout": CONNECT_TIMEOUT_S,
        "tcp_user_timeout": _TCP_USER_TIMEOUT_MS,
        "keepalives_idle": _KEEPALIVES_IDLE_S,
        "keepalives_interval": _KEEPALIVES_INTERVAL_S,
    }
    return {**ours, **given, "application_name": name, "autocommit": True, "row_factory": dict_row}
