"""Settle: record how a run ended, fenced by its token, in one transaction with what the handler adds.

    begin ─▶ lock lane, parent ─▶ end, put back or wait (fenced) ─▶ also(conn) ─▶ lane's next, slots, parent's word ─▶ commit

A job without a lane or a limit, and an outcome without `also`, need no transaction: the fenced statement is one by itself.
Those of them that completed need no statement of their own either: `end_many` takes hundreds at once.
"""

from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, LiteralString

from jobs_core import db, gate
from jobs_core.children import tell_parent
from jobs_core.due import due_values
from jobs_core.errors import LeaseLost
from jobs_core.job import AnyJob, Claim
from jobs_core.job_types import JobType, Retention
from jobs_core.limits import free_slots
from jobs_core.outcomes import Also, Cancel, Complete, Fail, Outcome, Reason, Retry, Snooze, Wait
from jobs_core.pauses import pausing
from jobs_core.settled import Settled, lost
from jobs_core.statements import statement
from jobs_core.sticky import promote_next
from jobs_core.waits import wait
from jobs_core.wake import Ready


@dataclass(slots=True)
class Completed:
    """A run that completed and may be settled with others: no lane, no limit, no `also`. result: JSON text."""

    job: AnyJob
    result: str | None
    retention: Retention


async def settle(conn: db.Connection, job: AnyJob, outcome: Outcome, job_type: JobType[Any]) -> Settled:
    """Record the outcome. The connection is not in a transaction.

    Raises LeaseLost where the token is no longer the job's, InvalidInput for a result or a time that does not fit, and what
    `also` raises: nothing was written then.
    """
    if isinstance(outcome, Snooze):
        outcome = replace(outcome, also=pausing(job, outcome))
    match outcome:
        case Complete(result, also):
            text = result_text(result, job_type)
            return await end(conn, job, "complete", result=text, also=also, retention=job_type.retention)
        case Fail(text, also):
            return await _end_badly(conn, job, job_type, "failed", text, also, "error")
        case Cancel(text, also):
            return await _end_badly(conn, job, job_type, "cancelled", text, also, "cancelled")
        case Wait():
            try:
                return await wait(conn, job, outcome)
            except LeaseLost:  # or it need not wait, and its time to give up has come: this is fenced all the same
                gave_up = f"gave up {job_type.give_up_after} after its first claim: it waits for what has happened"
                return await _end_badly(conn, job, job_type, "failed", gave_up, outcome.also, "error")
        case Retry() | Snooze():
            return await _again(conn, job, outcome, job_type)


async def _again(conn: db.Connection, job: AnyJob, outcome: Retry | Snooze, job_type: JobType[Any]) -> Settled:
    policy = (outcome.policy if isinstance(outcome, Retry) else None) or job_type.retries
    match outcome:
        case Retry(text, _, also, because) if job.retry_count >= policy.max_retries:
            return await _end_badly(conn, job, job_type, "failed", text, also, because)
        case Retry():
            backoff = timedelta(seconds=policy.delay_s(job.retry_count + 1))
            due = backoff if outcome.after is None else outcome.after
            return await _put_back_or_give_up(conn, job, job_type, due, outcome, charge=1)
        case Snooze(until, text, also, "drained"):
            return await put_back(conn, job, until, because="drained", text=gate.clean_text(text), also=also)
        case Snooze():
            return await _put_back_or_give_up(conn, job, job_type, outcome.until, outcome, charge=0)


async def _end_badly(  # noqa: PLR0917 - what an outcome is made of
    conn: db.Connection,
    job: AnyJob,
    job_type: JobType[Any],
    state: Literal["failed", "cancelled"],
    text: str,
    also: Also | None,
    because: Reason,
) -> Settled:
    return await end(
        conn,
        job,
        state,
        error=gate.clean_text(text),
        because=because,
        also=also,
        retention=failed_as(job_type.retention),
        holds_lane=job_type.holds_lane and state == "failed",
    )


async def _put_back_or_give_up(
    conn: db.Connection,
    job: AnyJob,
    job_type: JobType[Any],
    due: datetime | timedelta,
    outcome: Retry | Snooze,
    *,
    charge: int,
) -> Settled:
    text, because = gate.clean_text(outcome.reason), outcome.because
    settled = await _try_put_back(
        conn, job, due, because=because, text=text, also=outcome.also, charge=charge, final=True
    )
    if settled:
        return settled
    # Lost, or Postgres' clock has passed its give_up_at: this is fenced all the same.
    gave_up = f"gave up {job_type.give_up_after} after its first claim: {text}"
    return await _end_badly(conn, job, job_type, "failed", gave_up, outcome.also, because)


async def end(
    conn: db.Connection,
    claim: Claim,
    state: str,
    *,
    result: str | None = None,
    error: str | None = None,
    because: Reason | None = None,
    also: Also | None = None,
    retention: Retention = "standard",
    holds_lane: bool = False,
) -> Settled:
    """End the job as `complete`, `failed` or `cancelled`, with all that its end brings about. Raises LeaseLost.

    result: JSON text. because: why the attempt did not complete. holds_lane: hold its lane, if it is in one.
    """
    values = {
        "id": claim.id,
        "token": claim.token,
        "state": state,
        "result": result,
        "error": error,
        "reason": because,
        "retention": retention,
    }
    needed = claim.lane or claim.limited or also or retention == "none" or claim.parent_id or state == "cancelled"
    async with _transaction(conn, needed=bool(needed)):
        if claim.lane:
            await db.execute(conn, statement("jobs_core", "lane/lock"), {"lanes": [claim.lane]})
        if claim.parent_id:
            await db.execute(conn, statement("jobs_core", "job/lock"), {"id": claim.parent_id})
        if state == "cancelled":  # before the job goes: its children are found by it
            await db.execute(conn, statement("jobs_core", "job/lock"), {"id": claim.id})
            await db.execute(conn, statement("jobs_core", "cancel/ask"), {"ids": [claim.id], "reason": error})
        ended = await db.fetch_one(conn, statement("jobs_core", "job/end"), values)
        if ended is None:
            raise lost(claim)
        made_ready = await also(conn) if also else None
        if claim.lane and holds_lane:
            failed = {"lane": claim.lane, "id": claim.id, "error": error}
            await db.execute(conn, statement("jobs_core", "lane/hold_failed"), failed)
        ready = await after_end(conn, claim, state, result=result, error=error)
        if retention == "none":  # last: collected settles wait for this row
            await db.execute(conn, statement("jobs_core", "job/count_ended"), {**ended, "state": state})
    return Settled(state, (*ready, *(made_ready or ())))


async def after_end(
    conn: db.Connection, claim: Claim, state: str, *, result: str | None = None, error: str | None = None
) -> tuple[Ready, ...]:
    """What an end brings about, in its transaction: lane's next, freed slots, parent's word; returns where jobs are ready."""
    ready = list[Ready]()
    if claim.lane:
        ready += await promote_next(conn, claim.lane)
    if claim.limited:
        ready += await free_slots(conn, [claim.id])
    if claim.parent_id:
        ready += await tell_parent(conn, claim.parent_id, claim, state, result=result, error=error)
    if state == "cancelled":
        await db.execute(conn, statement("jobs_core", "cancel/forget"), {"id": claim.id})
    return tuple(ready)


async def put_back(conn: db.Connection, job: AnyJob, due: datetime | timedelta, **how: Any) -> Settled:
    """Make the job pending again, ready when due (a time, or a span from now); `how` as `_try_put_back`. Raises LeaseLost."""
    settled = await _try_put_back(conn, job, due, **how)
    if settled is None:
        raise lost(job)
    return settled


async def _try_put_back(
    conn: db.Connection,
    job: AnyJob,
    due: datetime | timedelta,
    *,
    because: Reason,
    text: str | None = None,
    also: Also | None = None,
    charge: int = 0,
    final: bool = False,
) -> Settled | None:
    """None: the lease is lost, or, asked for with `final`, the job's time to give up has come. charge: 1 spends a retry."""
    values = {
        "id": job.id,
        "token": job.token,
        "charge": charge,
        "error": text,
        "reason": because,
        "final": final,
        **due_values(due),
    }
    async with _transaction(conn, needed=bool(also or job.limited)):
        row = await db.fetch_one(conn, statement("jobs_core", "job/put_back"), values)
        if row is None:
            return None
        made_ready = await also(conn) if also else None
        freed_for = await free_slots(conn, [job.id]) if job.limited else ()
    own = (Ready(job.queue, job.job_type),) if row["ready"] else ()
    return Settled("pending", (*own, *freed_for, *(made_ready or ())))


async def end_many(conn: db.Connection, runs: Sequence[Completed]) -> set[int]:
    """End runs that completed, in one statement for those that history keeps and one for those that are only counted.

    Returns the ids of the jobs ended; the lease of the others is lost, or an earlier call, whose answer was, ended them
    (`settled_earlier`). The connection is not in a transaction.
    """
    runs = sorted(runs, key=lambda run: run.job.id)  # the order in which jobs are locked
    kept = [run for run in runs if run.retention != "none"]
    counted = [run for run in runs if run.retention == "none"]
    ended = set[int]()
    if kept:
        values = {"results": [run.result for run in kept], "retentions": [run.retention for run in kept]}
        ended |= await _end_all(conn, "job/end_many", kept, values)
    if counted:
        ended |= await _end_all(conn, "job/end_many_counted", counted, {})
    return ended


async def _end_all(
    conn: db.Connection, name: LiteralString, runs: Sequence[Completed], values: Mapping[str, Any]
) -> set[int]:
    claims = {"ids": db.bigints(run.job.id for run in runs), "tokens": db.bigints(run.job.token for run in runs)}
    row = await db.fetch_one(conn, statement("jobs_core", name), {**claims, **values})
    return set(row["ids"] or ()) if row else set()


async def settled_earlier(conn: db.Connection, jobs: Sequence[AnyJob]) -> set[int]:
    """Ids of those that these claims ended: asked when a settle's commit got no answer and its repetition met no row.

    A job that history does not keep counts as ended when it is gone: had another taken it over since, it would most likely
    still be there.
    """
    since = datetime.now(UTC) - timedelta(days=1)  # a day is more than any clock is wrong by
    values = {"ids": [job.id for job in jobs], "tokens": [job.token for job in jobs], "since": since}
    rows = await db.fetch(conn, statement("jobs_core", "job/settled_earlier"), values, prepare=False)
    return {row["id"] for row in rows}


def failed_as(retention: Retention) -> Retention:
    """How a failed job of such a type is kept: always, somebody will ask for it."""
    return "short" if retention == "none" else retention


def result_text(result: Any, job_type: JobType[Any]) -> str | None:
    """A result as JSON text, fitted to its type. Raises InvalidInput."""
    if result is None:
        return None
    if job_type.Result is not None:
        result = gate.fit(job_type.Result, result, field="result")
    return gate.to_json(result, field="result", max_bytes=gate.MAX_RESULT_BYTES)


def _transaction(conn: db.Connection, *, needed: bool) -> AbstractAsyncContextManager[Any]:
    return conn.transaction() if needed else nullcontext()
