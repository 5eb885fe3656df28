"""Claim and start: how a worker comes to hold a job."""

from collections.abc import Mapping, Sequence
from operator import attrgetter

from jobs_core import db
from jobs_core.errors import LeaseLost
from jobs_core.job import AnyJob, Job
from jobs_core.job_types import GIVE_UP_AFTER, PRIORITIES
from jobs_core.statements import statement

FROM_THE_START = (0,) * len(PRIORITIES)
"""Floors of a full look."""

_in_order = attrgetter("priority", "ready_seq")


async def claim(
    conn: db.Connection,
    *,
    worker_id: int,
    queues: Sequence[str],
    job_types: Sequence[str],
    slots: int,
    give_up_after_s: Mapping[str, float] | None = None,
    floors: Sequence[int] = FROM_THE_START,
) -> list[AnyJob]:
    """Take up to `slots` ready jobs, the first in priority and readiness first; their input is still JSON text.

    give_up_after_s: by job type, 24 h where it is not named. floors: a `ready_seq` a priority class; jobs up to it are not
    looked at, which spares the walk over what was claimed before (claims.py says when that is safe).
    Empty where nothing is ready, and where the worker's lease is no longer good (its renewal will say so).
    """
    after_s = give_up_after_s or {}
    rows = await db.fetch_tuples(
        conn,
        statement("jobs_core", "job/claim"),
        {
            "worker_id": worker_id,
            "queues": list(queues),
            "job_types": list(job_types),
            "give_up_s": [after_s.get(name, GIVE_UP_AFTER.total_seconds()) for name in job_types],
            "floors": list(floors),
            "slots": slots,
        },
    )
    jobs = [Job(*row) for row in rows]
    jobs.sort(key=_in_order)
    return jobs


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


async def start_many(conn: db.Connection, jobs: Sequence[AnyJob]) -> set[int]:
    """`start` for several in one statement; returns the ids of those that run now. The lease of the others is lost."""
    jobs = sorted(jobs, key=attrgetter("id"))  # the order in which jobs are locked
    claims = {"ids": db.bigints(job.id for job in jobs), "tokens": db.bigints(job.token for job in jobs)}
    row = await db.fetch_one(conn, statement("jobs_core", "job/start_many"), claims)
    return set(row["ids"] or ()) if row else set()
