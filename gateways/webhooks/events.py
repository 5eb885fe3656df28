"""What was received: looked at, and replayed after its source's mapping was mended; and what would be made of an event (try).

Verbs take the connection first, but for `replay`, which has a transaction of its own.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from typing import Any, Literal

from gateways.webhooks.errors import NoSuchEvent, NotMapped, NotReplayed
from gateways.webhooks.making import kept, made_of, read_event
from gateways.webhooks.schemes import scheme_of
from gateways.webhooks.sources import definition_of, find_source
from gateways.webhooks.taking import KEPT_FOR, Result, error_of, result_of
from jobs_core import Connection, Created, InvalidInput, Jobs, NewJob, db, execute, fetch, fetch_one, statement

_TRIED = "tried"
"""Stands for the id of an event that was not sent."""


@dataclass(frozen=True, slots=True)
class Received:
    """An event. key: its sender's id, or its body's digest. error: why no job could be made of it. conflicts: how often its
    id came with another body, which was refused."""

    id: int
    source: str
    key: str
    result: Result
    error: str | None
    job_id: int | None
    conflicts: int
    body_bytes: int
    received_at: datetime
    replayed_at: datetime | None


@dataclass(frozen=True, slots=True)
class ReceivedWhole(Received):
    """An event with all that is kept of it. body: as text; bytes that are none stand as �."""

    headers: Mapping[str, str]
    body: str


@dataclass(frozen=True, slots=True)
class Replayed:
    """What became of an event that was replayed."""

    id: int
    result: Result
    job_id: int | None
    error: str | None


@dataclass(frozen=True, slots=True)
class Tried:
    """What would be made of an event. job: what a create would be given, and the lane it would stand in."""

    result: Literal["created", "ignored", "failed"]
    error: str | None = None
    job: Mapping[str, Any] | None = None


async def list_events(
    conn: Connection,
    *,
    source: str | None = None,
    result: Result | None = None,
    conflicts: bool = False,
    before_id: int | None = None,
    limit: int = 50,
) -> Sequence[Received]:
    """The newest events, newest first; page on with the last one's id as `before_id`. conflicts: only those that have some."""
    values = {"source": source, "result": result, "conflicts": conflicts, "before_id": before_id, "limit": limit}
    return [Received(**row) for row in await fetch(conn, statement("gateways", "webhook_event/list"), values)]


async def find_event(conn: Connection, event_id: int) -> ReceivedWhole:
    """The event. Raises NoSuchEvent."""
    row = await fetch_one(conn, statement("gateways", "webhook_event/find"), {"id": event_id})
    if row is None:
        raise _none(event_id)
    body = bytes(row.pop("body")).decode(errors="replace")
    return ReceivedWhole(**row, body=body)


async def replay(jobs: Jobs, event_id: int, *, again: bool = False) -> Replayed:
    """Make the job of an event that is kept, by what its source says now. again: of one that has a job, too, which it keeps
    where none is made now.

    Raises NoSuchEvent, NoSuchSource, NotReplayed.
    """

    async def once() -> tuple[Replayed, Created | None]:
        async with jobs.database.transaction() as conn:
            return await _replay(conn, jobs, event_id, again=again)

    replayed, created = await db.retried(once)
    if created:
        created.wake()
    return replayed


async def _replay(conn: Connection, jobs: Jobs, event_id: int, *, again: bool) -> tuple[Replayed, Created | None]:
    row = await fetch_one(conn, statement("gateways", "webhook_event/lock"), {"id": event_id})
    if row is None:
        raise _none(event_id)
    if row["job_id"] is not None and not again:
        raise NotReplayed(f"Event {event_id} has job {row['job_id']}: say that another one is wanted (--again)")
    definition = definition_of(await find_source(conn, row["source"]))
    made = made_of(jobs, definition, read_event(row["source"], row["key"], row["headers"], bytes(row["body"])))
    created = None
    if isinstance(made, NewJob):
        try:
            created = await jobs.create_many([made], conn=conn)
        except InvalidInput as error:  # the queue refuses it: its key stands for another input
            made = NotMapped(str(error))
    job_id = created.id if created else None
    result = result_of(made, job_id, created.met if created else frozenset())
    replayed = Replayed(event_id, result, job_id, error_of(made))
    if job_id is None and row["job_id"] is not None:  # without its job it would be replayed as one that failed
        return replayed, None
    await execute(conn, statement("gateways", "webhook_event/replayed"), asdict(replayed))
    return replayed, created


async def try_event(conn: Connection, jobs: Jobs, name: str, body: bytes, headers: Mapping[str, str]) -> Tried:
    """What a source would make of an event. Nothing is written, and no signature looked at.

    Raises NoSuchSource, and InvalidInput where the body is no event.
    """
    definition = definition_of(await find_source(conn, name))
    lower = {key.lower(): value for key, value in headers.items()}
    shown = kept(lower, scheme_of(definition.scheme, definition.settings).secret_headers)
    made = made_of(jobs, definition, read_event(name, _TRIED, shown, body))
    match made:
        case NotMapped():
            return Tried("failed", error=error_of(made))
        case None:
            return Tried("ignored")
    job = {field.name: value for field in fields(made) if (value := getattr(made, field.name)) is not None}
    return Tried("created", job=job | {"lane": jobs.lane_of(made)})


def _none(event_id: int) -> NoSuchEvent:
    return NoSuchEvent(
        f"There is no event {event_id}, or it is older than {KEPT_FOR.days} days: ./jobs hook deliveries"
    )
