"""Callbacks: other programs that are told of events, where, of which, and by which secrets they know that it is us.

    what happens ─▶ callback_events.tell ─▶ a delivery each, channel `webhook`, chat: the callback's name ─▶ its sender

Verbs take the connection first: the caller owns the transaction. Whether a URL may be called at all is the gateway's to say.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictStr

from assistant.callback_events import check_events
from assistant.errors import CallbackExists, NoSuchCallback
from assistant.notifications import notify
from jobs_core import Connection, InvalidInput, execute, fetch, fetch_one, gate, statement

LONGEST_OVERLAP = timedelta(days=90)
SWITCHED_OFF_AFTER = timedelta(days=3)
"""As long as a delivery is tried: from then on each that is owed would be given up, one every three days. The first
try of the next one decides."""
MAX_URL_CHARS = 2_000
_MOST_SECRETS = 5
_MAX_EVENTS_BYTES = 16 * 1024
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")


class Definition(BaseModel):
    """What a callback is, besides its name and secrets. events: by event, which of them: allowed values by field; {}: all."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    url: StrictStr = Field(min_length=1, max_length=MAX_URL_CHARS)
    events: dict[str, dict[str, list[str]]] = Field(min_length=1)
    enabled: StrictBool = True


@dataclass(frozen=True, slots=True)
class Secret:
    """When a secret was added, and until when it signs; None: until it is replaced. Itself it is never shown."""

    created_at: datetime
    valid_until: datetime | None


@dataclass(frozen=True, slots=True)
class Callback:
    """A callback, as it is shown. off_why: why we switched it off. failing_since: since when no try has arrived."""

    name: str
    url: str
    events: Mapping[str, Mapping[str, Sequence[str]]]
    enabled: bool
    off_why: str | None
    failing_since: datetime | None
    secrets: Sequence[Secret]
    created_at: datetime
    changed_at: datetime


@dataclass(frozen=True, slots=True)
class Target:
    """What a sender needs. secrets: those that sign, the newest first."""

    url: str
    enabled: bool
    off_why: str | None
    created_at: datetime
    secrets: Sequence[str] = field(repr=False)


def define(given: Mapping[str, Any]) -> Definition:
    """The definition, if it is one. Raises InvalidInput naming the place."""
    definition = _fitted(given)
    check_events(definition.events)
    return definition


async def add_callback(conn: Connection, name: str, definition: Definition, secret: str) -> None:
    """Add a callback with its first secret. Raises CallbackExists, InvalidInput."""
    if not _NAME.fullmatch(name):
        raise InvalidInput(
            "name: is no callback's name: a small letter or digit, then up to 62 of these, - and _", field="name"
        )
    async with conn.transaction():
        if not await execute(conn, statement("assistant", "callback/add"), _columns(name, definition)):
            raise CallbackExists(
                f"There is a callback {name} already: ./jobs callback change {name}, or take another name"
            )
        await execute(conn, statement("assistant", "callback/add_secret"), {"name": name, "secret": secret})


async def change_callback(conn: Connection, name: str, changes: Mapping[str, Any]) -> Callback:
    """Change what is named in `changes`, fields of Definition. Raises NoSuchCallback, InvalidInput.

    One that is on after that begins anew: what failed before is not held against it.
    """
    async with conn.transaction():
        definition = _fitted({**await _locked(conn, name), **changes})
        if "events" in changes:  # those of an older version may be refused now, and it can be switched off all the same
            check_events(definition.events)
        await execute(conn, statement("assistant", "callback/change"), _columns(name, definition))
    return await find_callback(conn, name)


async def rotate(conn: Connection, name: str, overlap: timedelta, secret: str) -> None:
    """Sign with this secret, too, and no longer with those before it after `overlap`. Raises NoSuchCallback, InvalidInput."""
    if not timedelta(0) <= overlap <= LONGEST_OVERLAP:
        raise InvalidInput(f"overlap: is not between 0 and {LONGEST_OVERLAP.days} days", field="overlap")
    async with conn.transaction():
        await _locked(conn, name)
        values = {"name": name, "overlap_s": overlap.total_seconds()}
        await execute(conn, statement("assistant", "callback/end_secrets"), values)
        await execute(conn, statement("assistant", "callback/add_secret"), {"name": name, "secret": secret})
        if len((await find_callback(conn, name)).secrets) > _MOST_SECRETS:
            raise InvalidInput(
                f"overlap: {name} has {_MOST_SECRETS} valid secrets; let them go first, with an overlap of 0",
                field="overlap",
            )


async def remove_callback(conn: Connection, name: str) -> None:
    """Remove a callback and its secrets; what it is owed will fail. Raises NoSuchCallback."""
    if not await execute(conn, statement("assistant", "callback/remove"), {"name": name}):
        raise _none(name)


async def list_callbacks(conn: Connection) -> list[Callback]:
    """All callbacks, by name."""
    return [_callback(row) for row in await fetch(conn, statement("assistant", "callback/list"), {"name": None})]


async def find_callback(conn: Connection, name: str) -> Callback:
    """The callback. Raises NoSuchCallback."""
    row = await fetch_one(conn, statement("assistant", "callback/list"), {"name": name})
    if row is None:
        raise _none(name)
    return _callback(row)


async def target(conn: Connection, name: str) -> Target | None:
    """Where its sender sends; None: there is no such callback any more."""
    row = await fetch_one(conn, statement("assistant", "callback/target"), {"name": name})
    return Target(**row) if row else None


async def note_try(conn: Connection, name: str, *, arrived: bool, first: bool = True) -> None:
    """Note what a try came to; a callback at which none arrived for SWITCHED_OFF_AFTER is switched off.

    first: it was its delivery's first. Only such a one switches off: that one event is refused for days says nothing of those
    behind it.
    """
    if arrived:
        await execute(conn, statement("assistant", "callback/arrived"), {"name": name})
        return
    values = {"name": name, "most_s": SWITCHED_OFF_AFTER.total_seconds()}
    row = await fetch_one(conn, statement("assistant", "callback/failed"), values)
    if first and row and row["too_long"]:
        await switch_off(conn, name, f"no try has arrived for {SWITCHED_OFF_AFTER.days} days")


async def switch_off(conn: Connection, name: str, why: str) -> None:
    """Switch a callback off that is on, and tell the owner."""
    async with conn.transaction():
        if not await execute(conn, statement("assistant", "callback/switch_off"), {"name": name, "why": why}):
            return
        await notify(
            conn,
            user_id=None,
            title=f"The callback {name} was switched off: {why}",
            body=f"It is told of no more events, and what it is owed fails. Look: ./jobs callback show {name}. "
            f"When its receiver is mended: ./jobs callback change {name} --on",
            category="webhooks",
            severity="warning",
            metadata={"callback": name},
        )


def _fitted(given: Mapping[str, Any]) -> Definition:
    definition = gate.fit(Definition, dict(given), field="callback")
    assert isinstance(definition, Definition)
    gate.check_text(definition.url, field="url")
    return definition


def _callback(row: dict[str, Any]) -> Callback:
    times = zip(row.pop("secrets_since"), row.pop("secrets_until"), strict=True)
    return Callback(**row, secrets=[Secret(since, until) for since, until in times])


def _columns(name: str, definition: Definition) -> dict[str, Any]:
    events = gate.to_json(definition.events, field="events", max_bytes=_MAX_EVENTS_BYTES)
    return {"name": name, "url": definition.url, "events": events, "enabled": definition.enabled}


async def _locked(conn: Connection, name: str) -> dict[str, Any]:
    row = await fetch_one(conn, statement("assistant", "callback/lock"), {"name": name})
    if row is None:
        raise _none(name)
    return row


def _none(name: str) -> NoSuchCallback:
    return NoSuchCallback(
        f"There is no callback {gate.clean_text(name, max_chars=70)!r}: ./jobs callback ls lists them"
    )
