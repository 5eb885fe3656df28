"""Settle: record how a run ended, fenced by its token, in one transaction with what the handler adds.

    begin ─▶ lock the lane ─▶ end or put back (fenced) ─▶ also(conn) ─▶ promote the lane's next ─▶ commit

A job without a lane and an outcome without `also` need no transaction: the fenced statement is one by itself.
"""

from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from jobs_core import db, gate
from jobs_core.errors import LeaseLost
from jobs_core.job import AnyJob, Claim
from jobs_core.job_types import JobType
from jobs_core.outcomes import Also, Complete, Fail, Outcome, Retry, Snooze
from jobs_core.statements import statement


@dataclass(frozen=True, slots=True)
class Settled:
    """What became of the job: its new state, and the queues where a job stands ready now (to wake them)."""

    state: str
    wakes: tuple[str, ...] = ()


async def settle(conn: db.Connection, job: AnyJob, outcome: Outcome, job_type: JobType[Any]) -> Settled:
    """Record the outcome. The connection is not in a transaction.

    Raises LeaseLost where the token is no longer the job's, InvalidInput for a result that does not fit its type, and what
    `also` raises: nothing was written then.
    """
    match outcome:
        case Complete(result, also):
            return await end(conn, job, "complete", result=_result(result, job_type), also=also)
        case Fail(reason, also):
            return await end(conn, job, "failed", error=gate.clean_text(reason), also=also)
        case Retry(reason, _, also) if job.retry_count >= job_type.retries.max_retries:
            return await end(conn, job, "failed", error=gate.clean_text(reason), also=also)
        case Retry(reason, after, also):
            due = after or timedelta(seconds=job_type.retries.delay_s(job.retry_count + 1))
            return await put_back(conn, job, due, charge=1, reason=gate.clean_text(reason), also=also)
        case Snooze(until, reason, also):
            return await put_back(conn, job, until, reason=gate.clean_text(reason), also=also)


async def end(
    conn: db.Connection,
    claim: Claim,
    state: str,
    *,
    result: str | None = None,
    error: str | None = None,
    also: Also | None = None,
) -> Settled:
    """Move the job to history as `complete` or `failed` (result: JSON text) and promote its lane. Raises LeaseLost."""
    values = {"id": claim.id, "token": claim.token, "state": state, "result": result, "error": error}
    async with _transaction(conn, needed=bool(claim.lane or also)):
        if claim.lane:
            await db.execute(conn, statement("jobs_core", "lane/lock"), {"lanes": [claim.lane]})
        if await db.fetch_one(conn, statement("jobs_core", "job/end"), values) is None:
            raise _lost(claim)
        if also:
            await also(conn)
        promoted = None
        if claim.lane:
            promoted = await db.fetch_one(conn, statement("jobs_core", "lane/promote"), {"lane": claim.lane})
    return Settled(state, (promoted["queue"],) if promoted else ())


async def put_back(
    conn: db.Connection,
    job: AnyJob,
    due: datetime | timedelta,
    *,
    charge: int = 0,
    reason: str | None = None,
    also: Also | None = None,
) -> Settled:
    """Make the job pending again, ready when due (a time, or a span from now); charge 1 spends a retry. Raises LeaseLost."""
    values = {"id": job.id, "token": job.token, "charge": charge, "error": reason, **due_values(due)}
    async with _transaction(conn, needed=bool(also)):
        row = await db.fetch_one(conn, statement("jobs_core", "job/put_back"), values)
        if row is None:
            raise _lost(job)
        if also:
            await also(conn)
    return Settled("pending", (job.queue,) if row["ready"] else ())


def due_values(due: datetime | timedelta | None) -> dict[str, Any]:
    """`time` and `delay_s` as the statements take them: spans are added to Postgres' clock, never to ours."""
    if isinstance(due, timedelta):
        return {"time": None, "delay_s": due.total_seconds()}
    return {"time": due, "delay_s": None}


async def was_settled(conn: db.Connection, job: AnyJob) -> bool:
    """Whether this claim ended the job: asked when a settle's commit got no answer and its repetition met no row."""
    return (
        await db.fetch_one(conn, statement("jobs_core", "job/settled"), {"id": job.id, "token": job.token}) is not None
    )


def _transaction(conn: db.Connection, *, needed: bool) -> AbstractAsyncContextManager[Any]:
    return conn.transaction() if needed else nullcontext()


def _result(result: Any, job_type: JobType[Any]) -> str | None:
    if result is None:
        return None
    if job_type.Result is not None:
        result = gate.fit(job_type.Result, result, field="result")
    return gate.to_json(result, field="result", max_bytes=gate.MAX_RESULT_BYTES)


def _lost(claim: Claim) -> LeaseLost:
    return LeaseLost(f"job {claim.id}: token {claim.token} is no longer the job's; its outcome was not written")
