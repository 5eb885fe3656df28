"""Looking at jobs: those that live and those that ended, as one list."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from jobs_core import db
from jobs_core.statements import statement


@dataclass(frozen=True, slots=True)
class JobView:
    """A job as people see it, in whatever state. Times are UTC; `result` and `ended_at` are set when it has ended."""

    id: int
    job_type: str
    queue: str
    priority: int
    state: str
    input: Any
    result: Any
    error: str | None
    user_id: str | None
    task_id: int | None
    project_id: str | None
    lane: str | None
    scheduled_for: datetime | None
    worker_id: int | None
    token: int | None
    retry_count: int
    lost_count: int
    created_at: datetime
    claimed_at: datetime | None
    started_at: datetime | None
    ended_at: datetime | None


async def find(conn: db.Connection, job_id: int) -> JobView | None:
    """The job of that id, living or ended; None where there is none."""
    row = await db.fetch_one(conn, statement("jobs_core", "job/find"), {"id": job_id})
    return JobView(**row) if row else None


async def newest(
    conn: db.Connection,
    *,
    state: str | None = None,
    job_type: str | None = None,
    queue: str | None = None,
    limit: int = 50,
    before_id: int | None = None,
) -> list[JobView]:
    """The newest jobs, living and ended, that match what is given; page on with the last one's id as `before_id`."""
    values = {"state": state, "job_type": job_type, "queue": queue, "limit": limit, "before_id": before_id}
    return [JobView(**row) for row in await db.fetch(conn, statement("jobs_core", "job/newest"), values)]


async def counts(conn: db.Connection) -> list[db.Row]:
    """Living jobs by queue, job_type, state: n, and oldest_s, the age in seconds of the one that has waited longest."""
    return await db.fetch(conn, statement("jobs_core", "job/counts"))
