"""Preferences: how a person is told, besides on the web, which keeps everything.

    {"zone": "Europe/Berlin",
     "telegram": {"on": true, "least": "info", "accounts": {"work": false}},
     "categories": {"delivery": "error", "task.*": "muted"},
     "quiet": {"from": "22:00", "to": "07:00", "errors": true},
     "digest": {"every": "day", "at": "08:00", "below": "error"}}

Who has said nothing is told of everything, at once. Verbs take the connection first: the caller owns the transaction.
"""

import re
from typing import Annotated, Literal, Self, cast
from zoneinfo import ZoneInfo

import structlog
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StrictBool,
    StringConstraints,
    ValidationError,
    model_validator,
)
from pydantic_core import PydanticCustomError

from jobs_core import Connection, execute, fetch_one, gate, statement

log = structlog.get_logger()

Severity = Literal["info", "warning", "error"]
SEVERITIES: tuple[Severity, ...] = ("info", "warning", "error")
"""The least first."""
Least = Literal["info", "warning", "error", "muted"]

MOST_CATEGORIES = 100
MOST_ACCOUNTS = 50
_MAX_BYTES = 64 * 1024
_TIME_OF_DAY = re.compile(r"([01]\d|2[0-3]):[0-5]\d", re.ASCII)


def _zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (OSError, ValueError, KeyError):  # no file, no place for one, no zone of that name
        raise PydanticCustomError(
            "zone", "{name} is no time zone that is known here; write one such as Europe/Berlin", {"name": repr(name)}
        ) from None
    return name


Zone = Annotated[str, StringConstraints(min_length=1, max_length=100), AfterValidator(_zone)]


def _clock(text: str) -> str:
    if not _TIME_OF_DAY.fullmatch(text):
        raise PydanticCustomError("clock", "{text} is no time of day; write one such as 07:30", {"text": repr(text)})
    return text


Clock = Annotated[str, StringConstraints(max_length=50), AfterValidator(_clock)]
Name = Annotated[str, StringConstraints(min_length=1, max_length=gate.MAX_NAME_CHARS)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class Telegram(_Part):
    """Whether, and of what. least: what is less severe stays on the web. accounts: of ours, off where false; others are on."""

    on: StrictBool = True
    least: Severity = "info"
    accounts: Annotated[dict[Name, StrictBool], Field(max_length=MOST_ACCOUNTS)] = {}


class Quiet(_Part):
    """Nothing goes out from one time of day to another, past midnight perhaps. errors: they go out all the same."""

    start: Clock = Field(alias="from")
    end: Clock = Field(alias="to")
    errors: StrictBool = True

    @model_validator(mode="after")
    def _is_a_part_of_the_day(self) -> Self:
        if self.start == self.end:
            raise PydanticCustomError(
                "quiet", "from and to are the same time; to be told nothing, set telegram.on to false"
            )
        return self


class Digest(_Part):
    """What is less severe than `below` is gathered into one message an hour, or one a day at `at`."""

    every: Literal["hour", "day"]
    at: Clock | None = None
    below: Literal["warning", "error"] = "error"

    @model_validator(mode="after")
    def _says_when(self) -> Self:
        if (self.every == "day") is (self.at is None):
            raise PydanticCustomError(
                "digest", "at is the time of day of a daily digest: give it there, and only there"
            )
        return self


class Preferences(_Part):
    """A person's. zone: of the times of day. categories: the least severity by name or pattern (`task.*`), or muted."""

    zone: Zone = "UTC"
    telegram: Telegram = Telegram()
    categories: Annotated[dict[Name, Least], Field(max_length=MOST_CATEGORIES)] = {}
    quiet: Quiet | None = None
    digest: Digest | None = None

    def as_json(self) -> str:
        """As it is stored and shown."""
        return gate.to_json(self.model_dump(mode="json", by_alias=True), field="preferences", max_bytes=_MAX_BYTES)


DEFAULT = Preferences()


async def hold_preferences(conn: Connection, user_id: str | None) -> Preferences:
    """How this person is told, unchanged until the caller's transaction ends; None: of an owner who was never seen.

    What another version has stored and this one cannot read counts as nothing said: a turn's end must not fail by it.
    """
    row = await fetch_one(conn, statement("assistant", "preference/hold"), {"user_id": user_id})
    return _read(row["preferences"], user_id) if row else DEFAULT


async def lock_preferences(conn: Connection, user_id: str) -> Preferences:
    """How this person is told, for who changes some of it in this transaction: one at a time does."""
    row = await fetch_one(conn, statement("assistant", "preference/lock"), {"user_id": user_id})
    assert row is not None, "an insert that meets a row updates it"
    return _read(row["preferences"], user_id)


async def store_preferences(conn: Connection, user_id: str, preferences: Preferences) -> None:
    """Replace them, after all who are telling this person something now; `routing.set_preferences` minds what waits, too."""
    values = {"user_id": user_id, "preferences": preferences.as_json()}
    await execute(conn, statement("assistant", "preference/store"), values)


def fit_preferences(value: object) -> Preferences:
    """Preferences as somebody has written them. Raises InvalidInput naming the field."""
    return cast("Preferences", gate.fit(Preferences, value, field="preferences"))


def _read(stored: object, user_id: str | None) -> Preferences:
    try:
        return Preferences.model_validate(stored)
    except ValidationError as error:
        log.warning("preferences.not_read", user=user_id, errors=error.error_count())
        return DEFAULT
