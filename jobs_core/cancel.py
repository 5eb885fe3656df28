"""Cancel: a job that somebody wants ended, in whatever state, and all jobs that its runs have created.

    ask ─▶ a request each (parents first) ─┬─ no worker holds it ─▶ ended as cancelled
                                           └─ a worker does ─▶ it tells the run, whose outcome is then Cancel

The request stands until its job has ended: what is put back in between (by a rescue, a drain, a retry) is found by every
worker's upkeep (`asked`). A run that completes before it was told is complete.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from jobs_core import db, gate, metrics
from jobs_core.job import ClaimNumbers
from jobs_core.job_types import Retention
from jobs_core.settle import after_end, failed_as
from jobs_core.statements import statement
from jobs_core.wake import Ready

_REASON = "cancelled"


@dataclass(frozen=True, slots=True)
class Cancelled:
    """ended: ids of the jobs that are over now. asked: of those that a worker holds, whose runs will be told. ready: where jobs
    may go on; wake them after the commit, and tell the workers (`Notifier.tell_of_cancels`)."""

    ended: Sequence[int]
    asked: Sequence[int]
    ready: Sequence[Ready]


@dataclass(frozen=True, slots=True)
class Request:
    """One that stands. lives: its job has not ended. held: a worker has it. mine: the worker that asks does."""

    job_id: int
    reason: str | None
    lives: bool
    held: bool
    mine: bool


async def cancel(
    conn: db.Connection, job_id: int, *, reason: str | None = None, retentions: Mapping[str, Retention] | None = None
) -> Cancelled | None:
    """End a job and its descendants, those that run as soon as they hear; None where no such job lives.

    retentions: by job type, `standard` where one is not named. Outside a transaction each job is ended in one of its own.
    """
    text = gate.clean_text(reason) if reason else None
    rows = await db.fetch(conn, statement("jobs_core", "cancel/ask"), {"ids": [job_id], "reason": text})
    if not rows:
        return None
    ended, asked, ready = list[int](), list[int](), list[Ready]()
    for row in rows:
        over = await db.retried(partial(end_unheld, conn, row["job_id"], reason=text, retentions=retentions))
        (asked if over is None else ended).append(row["job_id"])
        ready += over or ()
    return Cancelled(ended, asked, ready)


async def ask(conn: db.Connection, job_ids: Sequence[int], *, reason: str) -> None:
    """Leave requests for these jobs and their descendants, in the caller's transaction, which need hold no lane's lock.

    `cancel` after its commit ends them at once; without it any worker's upkeep does.
    """
    text = gate.clean_text(reason)
    await db.execute(conn, statement("jobs_core", "cancel/ask"), {"ids": list(job_ids), "reason": text})


async def end_unheld(
    conn: db.Connection,
    job_id: int,
    *,
    reason: str | None,
    retentions: Mapping[str, Retention] | None = None,
    patient: bool = True,
) -> tuple[Ready, ...] | None:
    """End a job as cancelled that no worker holds; returns where jobs are ready now. None: one does, or it has ended."""
    async with conn.transaction():
        if not patient:
            await db.wait_briefly_for_locks(conn)
        claim = await _lock(conn, job_id)
        if claim is None:
            return None
        await db.execute(conn, statement("jobs_core", "job/lock"), {"id": job_id})
        # Again, under its lock: a run that had not been told may have spawned since the request.
        await db.execute(conn, statement("jobs_core", "cancel/ask"), {"ids": [job_id], "reason": reason})
        kept_as = failed_as((retentions or {}).get(claim.job_type, "standard"))
        values = {"id": job_id, "reason": reason or _REASON, "retention": kept_as}
        if await db.fetch_one(conn, statement("jobs_core", "cancel/end"), values) is None:
            return None
        numbers = ClaimNumbers(job_id, claim.token or 0, claim.lane, claim.parent_id, limited=False)
        ready = await after_end(conn, numbers, "cancelled", error=reason or _REASON)
    metrics.ended.labels(claim.job_type, "cancelled").inc()
    return ready


async def requests(conn: db.Connection, worker_id: int) -> list[Request]:
    """The requests that stand, parents before their children, a thousand at most."""
    rows = await db.fetch(conn, statement("jobs_core", "cancel/asked"), {"worker_id": worker_id})
    return [Request(**row) for row in rows]


async def forget(conn: db.Connection, job_id: int) -> None:
    """Delete the request of a job that has ended by itself."""
    await db.execute(conn, statement("jobs_core", "cancel/forget"), {"id": job_id})


@dataclass(frozen=True, slots=True)
class _Place:
    """What stands of a job that does not change while it lives, but for its token."""

    job_type: str
    token: int | None
    lane: str | None
    parent_id: int | None


async def _lock(conn: db.Connection, job_id: int) -> _Place | None:
    """Lock the job's lane and its parent, each in a statement of its own; None where no such job lives."""
    row = await db.fetch_one(conn, statement("jobs_core", "cancel/place"), {"id": job_id})
    if row is None:
        return None
    if row["lane"]:
        await db.execute(conn, statement("jobs_core", "lane/lock"), {"lanes": [row["lane"]]})
    if row["parent_id"]:
        await db.execute(conn, statement("jobs_core", "job/lock"), {"id": row["parent_id"]})
    return _Place(**row)
