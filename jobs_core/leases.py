"""A worker's row and its lease: one row and one renewal per worker. Only Postgres' clock decides who is alive."""

import os
import socket
from collections.abc import Sequence

from jobs_core import db
from jobs_core.statements import statement


async def register(
    conn: db.Connection, *, queues: Sequence[str], job_types: Sequence[str], slots: int, lease_s: float
) -> int:
    """Make a live worker row for this process, its lease running from now; returns its id, never used before."""
    row = await db.fetch_one(
        conn,
        statement("jobs_core", "worker/register"),
        {
            "host": socket.gethostname(),
            "pid": os.getpid(),
            "queues": list(queues),
            "job_types": list(job_types),
            "slots": slots,
            "lease_s": lease_s,
        },
    )
    assert row is not None
    return int(row["id"])


async def renew(conn: db.Connection, worker_id: int) -> bool:
    """Move the lease on; False: it is lost for good, and so is this id."""
    return bool(await db.execute(conn, statement("jobs_core", "worker/renew"), {"worker_id": worker_id}))


async def retire(conn: db.Connection, worker_id: int) -> None:
    """Say that this worker runs nothing any more, so that others need not wait for its lease to run out."""
    await db.execute(conn, statement("jobs_core", "worker/retire"), {"worker_id": worker_id})


async def live_workers(conn: db.Connection) -> list[db.Row]:
    """The live workers, oldest first: id, host, pid, queues, job_types, slots, started_at, expires_at."""
    return await db.fetch(conn, statement("jobs_core", "worker/live"))
