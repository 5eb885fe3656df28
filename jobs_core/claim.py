"""Claim and start: how a worker comes to hold a job."""

from collections.abc import Sequence

from jobs_core import db
from jobs_core.errors import LeaseLost
from jobs_core.job import AnyJob, Job
from jobs_core.statements import statement


async def claim(
    conn: db.Connection, *, worker_id: int, queues: Sequence[str], job_types: Sequence[str], slots: int
) -> list[AnyJob]:
    """Take up to `slots` ready jobs, the first in priority and readiness first; their input is still plain JSON.

    Empty where nothing is ready, and where the worker's lease is no longer good (its renewal will say so).
    """
    rows = await db.fetch(
        conn,
        statement("jobs_core", "job/claim"),
        {"worker_id": worker_id, "queues": list(queues), "job_types": list(job_types), "slots": slots},
    )
    rows.sort(key=lambda row: row.pop("nth"))
    return [Job(**row) for row in rows]


async def any_ready(conn: db.Connection, *, queues: Sequence[str], job_types: Sequence[str]) -> bool:
    """Whether a job stands ready for these: asked after a claim that came back short, which skips what is locked."""
    row = await db.fetch_one(
        conn, statement("jobs_core", "job/any_ready"), {"queues": list(queues), "job_types": list(job_types)}
    )
    return row is not None and bool(row["ready"])


async def start(conn: db.Connection, job: AnyJob) -> None:
    """Write `running`, so that a death from here on counts as a lost run. Raises LeaseLost."""
    if not await db.execute(conn, statement("jobs_core", "job/start"), {"id": job.id, "token": job.token}):
        raise LeaseLost(f"job {job.id}: token {job.token} is no longer the job's; it was not started")
