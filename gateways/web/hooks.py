"""Webhook sources and what they sent, for whoever looks after them. (Events themselves come to /hooks/{source}.)"""

from collections.abc import Sequence
from datetime import timedelta
from typing import Annotated

from fastapi import Path, Query, Request
from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictStr

from gateways.web.body import read
from gateways.web.context import Here
from gateways.web.parameters import Id, Name, Page
from gateways.webhooks.events import (
    Received,
    ReceivedWhole,
    Replayed,
    Tried,
    find_event,
    list_events,
    replay,
    try_event,
)
from gateways.webhooks.sources import (
    LONGEST_OVERLAP,
    Definition,
    Source,
    add_source,
    change_source,
    define,
    find_source,
    list_sources,
    remove_source,
    rotate,
)
from gateways.webhooks.taking import Result

_A_DAY_S = 24 * 3600.0


class Add(Definition):
    """A source to make; secret: the sender's, where it makes one itself."""

    name: StrictStr
    secret: StrictStr | None = None


class Change(Definition):
    """What is to be another; what is left out stays."""

    job_type: Name = ""


class Rotate(BaseModel):
    """overlap_s: how long the old secret is good beside the new one. secret: the sender's, where it makes one itself."""

    model_config = ConfigDict(extra="forbid")

    overlap_s: float = Field(_A_DAY_S, ge=0, le=LONGEST_OVERLAP.total_seconds())
    secret: StrictStr | None = None


class Try(BaseModel):
    """An event that is not sent: its body, as text, and its headers."""

    model_config = ConfigDict(extra="forbid")

    body: StrictStr
    headers: dict[str, str] = Field(default_factory=dict)


class Again(BaseModel):
    """again: make another job, though the event has one."""

    model_config = ConfigDict(extra="forbid")

    again: StrictBool = False


class Secret(BaseModel):
    """Where a source takes events, and its secret, which is not shown again; None: the one that was given."""

    source: str
    path: str
    secret: str | None


class Matching(Page):
    """Which events: newest first, those that have what is given."""

    source: Name | None = None
    result: Result | None = None
    conflicts: bool = False


async def listed(context: Here) -> dict[str, Sequence[Source]]:
    """The sources, by name."""
    async with context.database.connection() as conn:
        return {"sources": await list_sources(conn)}


async def add(request: Request, context: Here) -> Secret:
    """Make a source."""
    wanted = await read(request, Add)
    context.jobs.table.job_type(wanted.job_type)
    definition = define(wanted.model_dump(exclude={"name", "secret"}, exclude_unset=True))
    async with context.database.connection() as conn:
        secret = await add_source(conn, wanted.name, definition, wanted.secret)
    return _shown_once(wanted.name, secret, wanted.secret)


async def one(context: Here, name: Annotated[Name, Path()]) -> Source:
    """One source, without its secrets."""
    async with context.database.connection() as conn:
        return await find_source(conn, name)


async def change(request: Request, context: Here, name: Annotated[Name, Path()]) -> Source:
    """Change what is given: a mapping as a whole."""
    changes = (await read(request, Change)).model_dump(exclude_unset=True)
    if "job_type" in changes:
        context.jobs.table.job_type(changes["job_type"])
    async with context.database.connection() as conn:
        return await change_source(conn, name, changes)


async def remove(context: Here, name: Annotated[Name, Path()]) -> dict[str, str]:
    """Remove a source and its secrets."""
    async with context.database.connection() as conn:
        await remove_source(conn, name)
    return {"removed": name}


async def rotated(request: Request, context: Here, name: Annotated[Name, Path()]) -> Secret:
    """Give a source another secret."""
    wanted = await read(request, Rotate, if_empty=b"{}")
    async with context.database.connection() as conn:
        secret = await rotate(conn, name, timedelta(seconds=wanted.overlap_s), wanted.secret)
    return _shown_once(name, secret, wanted.secret)


async def tried(request: Request, context: Here, name: Annotated[Name, Path()]) -> Tried:
    """What the source would make of an event; nothing is created."""
    wanted = await read(request, Try)
    async with context.database.connection() as conn:
        return await try_event(conn, context.jobs, name, wanted.body.encode(), wanted.headers)


async def events(context: Here, matching: Annotated[Matching, Query()]) -> dict[str, Sequence[Received]]:
    """What was received, without bodies."""
    async with context.database.connection() as conn:
        return {"deliveries": await list_events(conn, **matching.model_dump())}


async def event(context: Here, event_id: Annotated[Id, Path()]) -> ReceivedWhole:
    """One event that was received, whole."""
    async with context.database.connection() as conn:
        return await find_event(conn, event_id)


async def replayed(request: Request, context: Here, event_id: Annotated[Id, Path()]) -> Replayed:
    """Make an event's job by what its source says now."""
    wanted = await read(request, Again, if_empty=b"{}")
    return await replay(context.jobs, event_id, again=wanted.again)


def _shown_once(name: str, secret: str, given: str | None) -> Secret:
    return Secret(source=name, path=f"/hooks/{name}", secret=None if given else secret)
