"""Sources: who may send us events, by which secrets, and what job is made of them.

Verbs take the connection first: the caller owns the transaction. The door heeds a change within a second.
"""

import re
from collections.abc import Mapping as Dict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictInt

from gateways.webhooks.errors import NoSuchSource, SourceExists
from gateways.webhooks.mapping import Mapping, check_mapping
from gateways.webhooks.schemes import SchemeName, Settings, new_secret, scheme_of
from jobs_core import Connection, InvalidInput, execute, fetch, fetch_one, gate, statement

DEFAULT_CAP = 6_000
LONGEST_OVERLAP = timedelta(days=90)
_MOST_SECRETS = 5
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")


class Definition(BaseModel):
    """What a source is, besides its name and secrets.

    dedupe_by: what tells its events apart, the sender's id, where the scheme has one, or always the body.
    cap_per_minute: events taken in a minute of Postgres' clock, repeats among them; None: any number.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    scheme: SchemeName = "standard"
    settings: Settings = Settings()
    job_type: str = Field(min_length=1, max_length=gate.MAX_NAME_CHARS)
    mapping: Mapping = Mapping()
    dedupe_by: Literal["id", "body"] = "id"
    cap_per_minute: StrictInt | None = Field(DEFAULT_CAP, ge=1, le=2**31 - 1)
    enabled: StrictBool = True


@dataclass(frozen=True, slots=True)
class Secret:
    """When a secret was added, and until when it is good; None: until it is replaced. Itself it is never shown."""

    created_at: datetime
    valid_until: datetime | None


@dataclass(frozen=True, slots=True)
class Source:
    """A source, as it is shown. secrets: those that are valid, the oldest first."""

    name: str
    scheme: SchemeName
    settings: Dict[str, Any]
    job_type: str
    mapping: Dict[str, Any]
    dedupe_by: Literal["id", "body"]
    cap_per_minute: int | None
    enabled: bool
    secrets: Sequence[Secret]
    created_at: datetime
    changed_at: datetime


def check_name(name: str) -> str:
    """The name itself, if a source can have it. Raises InvalidInput."""
    if not _NAME.fullmatch(name):
        raise InvalidInput(
            "name: is no source's name: a small letter or digit, then up to 62 of these, - and _", field="name"
        )
    return name


def define(given: Dict[str, Any]) -> Definition:
    """The definition, if it is one. Raises InvalidInput naming the place."""
    if "mapping" in given:
        check_mapping(given["mapping"])
    definition = gate.fit(Definition, dict(given), field="source")
    assert isinstance(definition, Definition)
    scheme_of(definition.scheme, definition.settings)
    gate.check_name(definition.job_type, field="job_type")
    return definition


def definition_of(source: Source) -> Definition:
    """What defines a source that was looked at. Raises InvalidInput where newer code wrote it."""
    return define({name: getattr(source, name) for name in Definition.model_fields})


async def add_source(conn: Connection, name: str, definition: Definition, secret: str | None = None) -> str:
    """Make a source; returns its secret, made here where None is given. Raises SourceExists, InvalidInput."""
    secret = _checked(definition, secret)
    async with conn.transaction():
        if not await execute(conn, statement("gateways", "webhook_source/add"), _columns(check_name(name), definition)):
            raise SourceExists(f"There is a source {name} already: ./jobs hook change {name}, or take another name")
        await _add_secret(conn, name, secret)
    return secret


async def change_source(conn: Connection, name: str, changes: Dict[str, Any]) -> Source:
    """Change what is named in `changes`, fields of Definition. Raises NoSuchSource, InvalidInput.

    Another scheme begins without settings of the old one, and needs a secret that suits it: rotate.
    """
    async with conn.transaction():
        row = await _locked(conn, name)
        if changes.get("scheme", row["scheme"]) != row["scheme"]:
            row["settings"] = {}
        await execute(conn, statement("gateways", "webhook_source/change"), _columns(name, define({**row, **changes})))
    return await find_source(conn, name)


async def rotate(conn: Connection, name: str, overlap: timedelta, secret: str | None = None) -> str:
    """Add a secret, and let those before it go after `overlap`; returns it, made here where None is given.

    Raises NoSuchSource, InvalidInput.
    """
    if not timedelta(0) <= overlap <= LONGEST_OVERLAP:
        raise InvalidInput(f"overlap: is not between 0 and {LONGEST_OVERLAP.days} days", field="overlap")
    async with conn.transaction():
        row = await _locked(conn, name)
        secret = _checked(define(row), secret)
        values = {"name": name, "overlap_s": overlap.total_seconds()}
        await execute(conn, statement("gateways", "webhook_source/end_secrets"), values)
        await _add_secret(conn, name, secret)
        if len((await find_source(conn, name)).secrets) > _MOST_SECRETS:
            raise InvalidInput(
                f"overlap: {name} has {_MOST_SECRETS} valid secrets; let them go first, with an overlap of 0",
                field="overlap",
            )
    return secret


async def remove_source(conn: Connection, name: str) -> None:
    """Remove a source and its secrets; what it sent stays for its time. Raises NoSuchSource."""
    if not await execute(conn, statement("gateways", "webhook_source/remove"), {"name": name}):
        raise _none(name)


async def list_sources(conn: Connection) -> Sequence[Source]:
    """All sources, by name."""
    rows = await fetch(conn, statement("gateways", "webhook_source/list"), {"name": None})
    return [_source(row) for row in rows]


async def find_source(conn: Connection, name: str) -> Source:
    """The source. Raises NoSuchSource."""
    row = await fetch_one(conn, statement("gateways", "webhook_source/list"), {"name": name})
    if row is None:
        raise _none(name)
    return _source(row)


def _source(row: Dict[str, Any]) -> Source:
    secrets = [
        Secret(created_at, valid_until)
        for created_at, valid_until in zip(row["secrets_since"], row["secrets_until"], strict=True)
    ]
    shown = {name: value for name, value in row.items() if not name.startswith("secrets")}
    return Source(**shown, secrets=secrets)


def _columns(name: str, definition: Definition) -> dict[str, Any]:
    plain = definition.model_dump(mode="json", exclude_none=True) | {"cap_per_minute": definition.cap_per_minute}
    for field in ("settings", "mapping"):
        plain[field] = gate.to_json(plain[field], field=field, max_bytes=gate.MAX_INPUT_BYTES)
    return {"name": name, **plain}


def _checked(definition: Definition, secret: str | None) -> str:
    if secret is None:
        return new_secret(definition.scheme)
    scheme_of(definition.scheme, definition.settings).check_secret(secret)
    return secret


async def _add_secret(conn: Connection, name: str, secret: str) -> None:
    await execute(conn, statement("gateways", "webhook_source/add_secret"), {"name": name, "secret": secret})


async def _locked(conn: Connection, name: str) -> dict[str, Any]:
    row = await fetch_one(conn, statement("gateways", "webhook_source/lock"), {"name": name})
    if row is None:
        raise _none(name)
    return row


def _none(name: str) -> NoSuchSource:
    return NoSuchSource(
        f"There is no webhook source {gate.clean_text(name, max_chars=70)!r}: ./jobs hook ls lists them"
    )
