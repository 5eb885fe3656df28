"""Waits: a job that holds no slot, no connection and no process until an event, its children or a time lets it go on.

    Wait ─▶ lock the event's row (or the job's own, for children) ─▶ happened? ─ yes ─▶ ready ─▶ the handler starts at its top
                                                                        └─ no ──▶ waiting ─ emit, last child, until ─▶ ready

Who waits and who emits both lock the event's row before they look at the other, so that two in flight never miss each other.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

from jobs_core import db, gate
from jobs_core.children import CHILDREN, has_children
from jobs_core.due import due_values
from jobs_core.errors import InvalidInput
from jobs_core.job import AnyJob
from jobs_core.limits import free_slots
from jobs_core.outcomes import Wait
from jobs_core.settled import Settled, lost
from jobs_core.statements import statement
from jobs_core.wake import Ready

FORGET_BATCH = 1_000
KEEP_S = 30 * 24 * 3600.0
"""How long an event, and what the runs of an ended job came to, are kept."""


class Emitted(NamedTuple):
    """first: this emit was the one that counts. ready: where jobs go on now; wake them after the commit."""

    first: bool
    ready: Sequence[Ready]


async def emit(conn: db.Connection, event: str, payload: Any = None) -> Emitted:
    """Tell an event, once for all time: the first wins. Every job that waits for it, or ever will, gets that payload.

    payload: plain JSON, or a model, of 256 KiB at most. Raises InvalidInput.
    """
    text = gate.to_json(payload, field="payload", max_bytes=gate.MAX_INPUT_BYTES)
    values = {"event": event_name(event), "payload": text}
    row = await db.fetch_one(conn, statement("jobs_core", "event/emit"), values)
    assert row is not None
    return Emitted(row["first"], [Ready(*place) for place in row["woken"]])


async def emitted(conn: db.Connection, event: str) -> tuple[Any] | None:
    """The payload of an event that was emitted, in a tuple; None where it was not."""
    row = await db.fetch_one(conn, statement("jobs_core", "event/find"), {"event": event})
    return (row["payload"],) if row else None


async def awaited(conn: db.Connection, events: Sequence[str]) -> set[str]:
    """Those of these events that a job waits for now."""
    rows = await db.fetch(conn, statement("jobs_core", "event/awaited"), {"events": list(events)})
    return {row["event"] for row in rows}


async def wait(conn: db.Connection, job: AnyJob, outcome: Wait) -> Settled:
    """Let the job wait; it is ready at once where what it waits for has happened. Raises LeaseLost, InvalidInput."""
    due = {"time": None, "delay_s": None} if outcome.until is None else due_values(outcome.until)
    if outcome.event is None and outcome.until is None:
        raise InvalidInput("Wait: names neither an event nor a time; the job would wait for ever", field="event")
    async with conn.transaction():
        over = await _has_happened(conn, job, outcome.event)
        values = {"id": job.id, "token": job.token, "over": over, "event": outcome.event, **due}
        row = await db.fetch_one(conn, statement("jobs_core", "job/wait"), values)
        if row is None:
            raise lost(job)
        made_ready = await outcome.also(conn) if outcome.also else None
        freed_for = await free_slots(conn, [job.id]) if job.limited else frozenset()
    others = (*freed_for, *(made_ready or ()))
    if row["ready"]:
        return Settled("pending", (Ready(job.queue, job.job_type), *others))
    return Settled("waiting", others)


async def go_on(conn: db.Connection, *, batch: int) -> list[Ready]:
    """Make waiting jobs ready whose time is over, at most `batch`; returns where."""
    return [Ready(**row) for row in await db.fetch(conn, statement("jobs_core", "job/go_on"), {"batch": batch})]


async def forget(conn: db.Connection) -> None:
    """Delete events that nobody waits for, and steps of ended jobs, when they are old enough."""
    values = {"keep_s": KEEP_S, "batch": FORGET_BATCH}
    for what in ("event/forget", "step/forget"):
        while await db.execute(conn, statement("jobs_core", what), values) == FORGET_BATCH:
            pass


def event_name(event: str) -> str:
    """The name itself, if it is one. Raises InvalidInput."""
    gate.check_text(event, field="event", max_chars=gate.MAX_NAME_CHARS)
    if not event or event.startswith("jobs:"):
        raise InvalidInput(
            f"event: {event!r} is no name for an event: it is empty, or begins with jobs:", field="event"
        )
    return event


async def _has_happened(conn: db.Connection, job: AnyJob, event: str | None) -> bool:
    """Whether it need not wait; that stays so until the transaction ends."""
    if event is None:
        return False
    if event == CHILDREN:
        await db.execute(conn, statement("jobs_core", "job/lock"), {"id": job.id})
        return not await has_children(conn, job.id)
    row = await db.fetch_one(conn, statement("jobs_core", "event/lock"), {"event": event_name(event)})
    return row is not None and bool(row["emitted"])
