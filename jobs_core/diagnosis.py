"""Diagnosis: facts about the server and the queue by which an operator's check-up judges them (`cli.doctor`).

Each is one statement that locks nothing, and can be asked of a server in trouble.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from jobs_core import db
from jobs_core.statements import statement
from jobs_core.sticky import promote_next
from jobs_core.wake import Ready

SETTINGS = (
    "autovacuum",
    "default_transaction_isolation",
    "default_transaction_read_only",
    "fsync",
    "full_page_writes",
    "idle_in_transaction_session_timeout",
    "idle_session_timeout",
    "lock_timeout",
    "statement_timeout",
    "synchronous_commit",
    "tcp_user_timeout",
    "track_counts",
    "transaction_timeout",
)
"""Those that promises stand on. Timeouts are in milliseconds, 0: none."""
_MOST = 100


@dataclass(frozen=True, slots=True)
class Server:
    """A server, as its row in diagnosis/server.sql says."""

    version: int
    is_replica: bool
    by_socket: bool
    at: datetime
    given: dict[str, str]
    ours: dict[str, str]
    most: int
    free: int
    notify_usage: float


@dataclass(frozen=True, slots=True)
class Pin:
    """Something that keeps dead rows from being cleared away. pid, begun: of a session. for_s: None, nobody knows."""

    kind: Literal["session", "prepared", "slot"]
    name: str
    pid: int | None
    begun: datetime | None
    for_s: float | None


async def server(conn: db.Connection) -> Server:
    """How the server is set, and how full it is."""
    row = await db.fetch_one(conn, statement("jobs_core", "diagnosis/server"), {"names": list(SETTINGS)})
    assert row is not None
    return Server(**row)


async def pins(conn: db.Connection, *, longer_than_s: float) -> list[Pin]:
    """Transactions open and prepared for longer than that, and slots that nobody reads, the oldest first; 100 at most."""
    values = {"longer_than_s": longer_than_s, "most": _MOST}
    return [Pin(**row) for row in await db.fetch(conn, statement("jobs_core", "diagnosis/pins"), values)]


async def end_session(conn: db.Connection, pin: Pin) -> bool:
    """End a pin that is a session; False: its transaction has ended by itself."""
    values = {"pid": pin.pid, "begun": pin.begun}
    row = await db.fetch_one(conn, statement("jobs_core", "diagnosis/end_session"), values)
    return bool(row and row["ended"])


async def dead_rows(conn: db.Connection, *, dead: int, longer_than_s: float) -> list[db.Row]:
    """Our tables that vacuum has left behind, or is switched off for: table, dead, off; `dead` rows are what is borne."""
    values = {"dead": dead, "longer_than_s": longer_than_s}
    return await db.fetch(conn, statement("jobs_core", "diagnosis/dead_rows"), values)


async def stranded(conn: db.Connection) -> list[db.Row]:
    """Lanes that stand still though nobody holds them: lane, first_job; 100 at most. There should be none, ever."""
    return await db.fetch(conn, statement("jobs_core", "diagnosis/stranded"), {"most": _MOST})


async def promote(conn: db.Connection, lane: str) -> tuple[Ready, ...]:
    """Make the first job of a stranded lane its head; nothing where it is held or has one. Wake with what is returned.

    The connection is not in a transaction.
    """
    async with conn.transaction():
        await db.execute(conn, statement("jobs_core", "lane/lock"), {"lanes": [lane]})
        return await promote_next(conn, lane)


async def unserved(conn: db.Connection, *, longer_than_s: float) -> list[db.Row]:
    """Jobs that have stood ready for so long and no live worker serves: queue, job_type, jobs, heads, oldest_s."""
    return await db.fetch(conn, statement("jobs_core", "diagnosis/unserved"), {"longer_than_s": longer_than_s})


async def workers(conn: db.Connection, *, died_within_s: float) -> list[db.Row]:
    """Workers that live, are silent or died in that time: id, host, pid, job_types, slots, state."""
    return await db.fetch(conn, statement("jobs_core", "diagnosis/workers"), {"died_within_s": died_within_s})


async def listeners(conn: db.Connection) -> int:
    """How many workers have a session that listens."""
    row = await db.fetch_one(conn, statement("jobs_core", "diagnosis/listeners"))
    assert row is not None
    return int(row["listeners"])


async def privileges(conn: db.Connection) -> list[db.Row]:
    """What this role has too few rights on: name, lacks."""
    return await db.fetch(conn, statement("jobs_core", "diagnosis/privileges"))
