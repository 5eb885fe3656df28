"""Callbacks: other programs that are told of events, for whoever looks after them."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Annotated

from fastapi import Path, Request
from pydantic import BaseModel, ConfigDict, Field, StrictStr

from assistant.callbacks import (
    LONGEST_OVERLAP,
    Callback,
    Definition,
    find_callback,
    list_callbacks,
    remove_callback,
)
from gateways.web.body import read
from gateways.web.context import Here
from gateways.web.parameters import Name
from gateways.webhooks import callbacks

_A_DAY_S = 24 * 3600.0


class Add(Definition):
    """A callback to add."""

    name: StrictStr


class Change(Definition):
    """What is to be another; what is left out stays."""

    url: StrictStr = ""
    events: dict[str, dict[str, list[str]]] = Field(default_factory=dict)


class Rotate(BaseModel):
    """overlap_s: for how long the secrets before it sign, too."""

    model_config = ConfigDict(extra="forbid")

    overlap_s: float = Field(_A_DAY_S, ge=0, le=LONGEST_OVERLAP.total_seconds())


class Secret(BaseModel):
    """A callback's secret, which is not shown again."""

    callback: str
    secret: str


class Owed(BaseModel):
    """The delivery of an event that was made to try a callback."""

    delivery_id: int


async def listed(context: Here) -> dict[str, Sequence[Callback]]:
    """The callbacks, by name."""
    async with context.database.connection() as conn:
        return {"callbacks": await list_callbacks(conn)}


async def add(request: Request, context: Here) -> Secret:
    """Add a callback; its URL is looked at, but not called."""
    wanted = await read(request, Add)
    given = wanted.model_dump(exclude={"name"}, exclude_unset=True)
    async with context.database.connection() as conn:
        secret = await callbacks.add(conn, wanted.name, given, settings=context.callbacks)
    return Secret(callback=wanted.name, secret=secret)


async def one(context: Here, name: Annotated[Name, Path()]) -> Callback:
    """One callback, without its secrets."""
    async with context.database.connection() as conn:
        return await find_callback(conn, name)


async def change(request: Request, context: Here, name: Annotated[Name, Path()]) -> Callback:
    """Change what is given: events as a whole."""
    changes = (await read(request, Change)).model_dump(exclude_unset=True)
    async with context.database.connection() as conn:
        return await callbacks.change(conn, name, changes, settings=context.callbacks)


async def remove(context: Here, name: Annotated[Name, Path()]) -> dict[str, str]:
    """Remove a callback and its secrets; what it is owed fails."""
    async with context.database.connection() as conn:
        await remove_callback(conn, name)
    return {"removed": name}


async def rotated(request: Request, context: Here, name: Annotated[Name, Path()]) -> Secret:
    """Give a callback another secret."""
    wanted = await read(request, Rotate, if_empty=b"{}")
    async with context.database.connection() as conn:
        secret = await callbacks.rotate(conn, name, timedelta(seconds=wanted.overlap_s))
    return Secret(callback=name, secret=secret)


async def tried(context: Here, name: Annotated[Name, Path()]) -> Owed:
    """Owe a callback an event that tells nothing."""
    async with context.database.connection() as conn:
        owed = await callbacks.send_test(conn, name)
    context.jobs.notifier.wake(owed.ready)
    return Owed(delivery_id=owed.id)
