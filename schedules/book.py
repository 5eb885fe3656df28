"""The book of schedules: put one in, look it up, list, take it out.

A schedule is known by its name, and by its number. Verbs take the connection first; the caller owns the transaction. Times are
Postgres': `now` is the moment at which the caller's transaction began.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel

from jobs_core import Connection, HandlerTable, InvalidInput, fetch, fetch_one, gate, statement
from schedules.errors import NameTaken, NoSuchSchedule
from schedules.rules import Rule

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")
_RULE = tuple(Rule.model_fields)

Which = str | int
"""A schedule's name, or its number."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """One schedule; times are UTC.

    input: as its jobs get it, a tick apart. user_id: whose its jobs are. source: who made it what it is: api, cli, file:…,
    agent:…. paused_why: set with paused_at. failures: of its jobs since the last that completed, as far as an evaluator has
    seen. next_at: when it is due next; None: it is paused, or has no tick left.
    """

    id: int
    name: str
    job_type: str
    input: Any
    user_id: str | None
    rule: Rule
    source: str
    paused_at: datetime | None
    paused_why: str | None
    failures: int
    seen_until: datetime
    next_at: datetime | None
    created_at: datetime
    changed_at: datetime


@dataclass(frozen=True, slots=True)
class Put:
    """A schedule that was put, and what that did: made it, changed it, or found it just so."""

    schedule: Schedule
    did: Literal["made", "changed", "nothing"]


async def put(
    conn: Connection,
    table: HandlerTable,
    *,
    name: str,
    job_type: str,
    input: BaseModel | dict[str, Any],  # noqa: A002 - the name that job and table give it
    rule: Rule,
    user_id: str | None = None,
    source: str,
    new: bool = False,
) -> Put:
    """Have a schedule of this name be just so: make it, or change what differs.

    name: up to 63 lower-case letters, digits, - and _. Where its timing stays as it was, so does its next tick; a span that no
    anchor was given for goes on from the old one. Its past, its failures and a pause stay in any case. new: there may be none
    of this name yet. Raises InvalidInput naming the field (UnknownJobType where `table` has no such type), NameTaken.
    """
    fitted = gate.fit(table.job_type(job_type).Input, input, field="input")
    wanted: dict[str, Any] = {
        "name": _checked_name(name),
        "job_type": job_type,
        "input": gate.to_json(fitted, field="input", max_bytes=gate.MAX_INPUT_BYTES),
        "user_id": user_id if user_id is None else gate.check_name(user_id, field="user_id"),
        "source": gate.check_name(source, field="source"),
    }
    async with conn.transaction():
        while (known := await _locked(conn, name)) is None:
            values = wanted | _timed(rule, await _now(conn))
            if row := await fetch_one(conn, statement("schedules", "schedule/add"), values):
                return Put(read(row), "made")
        if new:
            raise NameTaken(f"name: there is a schedule {name!r} already: take another name, or change that one")
        schedule = read(known)
        values = wanted | _retimed(schedule, rule, known["now"])
        if _same(known, values | {"input": json.loads(wanted["input"])}):
            return Put(schedule, "nothing")
        row = await fetch_one(conn, statement("schedules", "schedule/change"), values | {"id": schedule.id})
    assert row is not None
    return Put(read(row), "changed")


async def get(conn: Connection, which: Which) -> Schedule:
    """The schedule of this name or number. Raises NoSuchSchedule."""
    return read(found(await fetch_one(conn, statement("schedules", "schedule/get"), named(which)), which))


async def listed(
    conn: Connection,
    *,
    job_type: str | None = None,
    user_id: str | None = None,
    source: str | None = None,
    paused: bool | None = None,
    limit: int = 50,
    after: str | None = None,
) -> list[Schedule]:
    """Schedules by name; page on with the last one's as `after`. source: what theirs begins with: `file:` for all of files."""
    matching = {"job_type": job_type, "user_id": user_id, "source": source, "paused": paused}
    values = matching | {"limit": limit, "after": after}
    return [read(row) for row in await fetch(conn, statement("schedules", "schedule/list"), values)]


async def remove(conn: Connection, which: Which) -> None:
    """Delete a schedule and the record of its ticks; jobs that it has created go on. Raises NoSuchSchedule."""
    found(await fetch_one(conn, statement("schedules", "schedule/remove"), named(which)), which)


def read(row: Mapping[str, Any]) -> Schedule:
    """A schedule of its row."""
    values = {name: row[name] for name in Schedule.__slots__ if name != "rule"}
    # It was checked when it was put; a zone or a check that has gone since must not hide the schedule.
    return Schedule(**values, rule=Rule.model_construct(**{name: row[name] for name in _RULE}))


def named(which: Which) -> dict[str, Any]:
    """Which one, as the statements take it."""
    if isinstance(which, int):
        return {"name": None, "id": which}
    return {"name": which if _NAME.fullmatch(which) else None, "id": None}  # none has a name that does not fit


def found(row: Mapping[str, Any] | None, which: Which) -> Mapping[str, Any]:
    """The row itself. Raises NoSuchSchedule where there is none."""
    if row is None:
        raise NoSuchSchedule(f"There is no schedule {which!r}: ./jobs schedule ls shows those there are")
    return row


async def _locked(conn: Connection, name: str) -> Mapping[str, Any] | None:
    return await fetch_one(conn, statement("schedules", "schedule/lock"), named(name))


async def _now(conn: Connection) -> datetime:
    row = await fetch_one(conn, statement("schedules", "schedule/now"))
    assert row is not None
    now: datetime = row["now"]
    return now


def _checked_name(name: str) -> str:
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise InvalidInput(f"name: {name!r} is not 1 to 63 lower-case letters, digits, - and _", field="name")
    return name


def _timed(rule: Rule, now: datetime) -> dict[str, Any]:
    """The columns of a rule that begins now. Raises InvalidInput where its one moment has passed."""
    if rule.every_s is not None and rule.anchor is None:
        rule = rule.model_copy(update={"anchor": now})
    if rule.at is not None and rule.at <= now:
        raise InvalidInput(f"rule.at: {rule.at} has passed, by the database's clock", field="rule.at")
    next_at = next(iter(rule.upcoming(now, 1)), None)
    return rule.model_dump() | {"seen_until": now, "next_at": next_at}


def _retimed(schedule: Schedule, rule: Rule, now: datetime) -> dict[str, Any]:
    """The columns of a rule that takes the place of a schedule's."""
    old = schedule.rule
    if rule.anchor is None and rule.every_s == old.every_s:
        rule = rule.model_copy(update={"anchor": old.anchor})
    if rule.timing == old.timing:
        return rule.model_dump() | {"seen_until": schedule.seen_until, "next_at": schedule.next_at}
    timed = _timed(rule, now)
    return timed if schedule.paused_at is None else timed | {"next_at": None}


def _same(row: Mapping[str, Any], values: Mapping[str, Any]) -> bool:
    return all(row[name] == value for name, value in values.items())
