"""The book of schedules: put one in, look it up, list, pause, have it go on, run it now, take it out.

A schedule is known by its name, and by its number. Verbs take the connection first; the caller owns the transaction. Times are
Postgres': `now` is the moment at which the caller's transaction began.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel

from jobs_core import Connection, Created, HandlerTable, InvalidInput, Jobs, execute, fetch, fetch_one, gate, statement
from schedules import creating
from schedules.creating import Refused, Wanted
from schedules.errors import NameTaken
from schedules.rules import Due, Rule, utc_name
from schedules.schedule import NAME, Schedule, TickSeen, Which, found, named, read

MAX_INPUT_BYTES = 64 * 1024
"""Of a schedule's input: after an outage a thousand jobs with it may be created in one transaction."""


@dataclass(frozen=True, slots=True)
class Put:
    """A schedule that was put, and what that did: made it, changed it, or found it just so."""

    schedule: Schedule
    did: Literal["made", "changed", "nothing"]


@dataclass(frozen=True, slots=True)
class RunNow:
    """The job of a tick that somebody asked for. After the commit call `created.wake()`; created is None where it was there."""

    job_id: int
    created: Created | None


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
        "input": gate.to_json(fitted, field="input", max_bytes=MAX_INPUT_BYTES),
        "user_id": user_id if user_id is None else gate.check_name(user_id, field="user_id"),
        "source": gate.check_name(source, field="source"),
    }
    async with conn.transaction():
        while (known := await _locked(conn, name)) is None:
            values = wanted | _timed(rule, await database_now(conn))
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


async def ticks(conn: Connection, which: Which, *, limit: int = 20) -> list[TickSeen]:
    """The ticks of a schedule that are on record, the newest first; they are kept for 30 days. Raises NoSuchSchedule."""
    schedule = await get(conn, which)
    values = {"schedule_id": schedule.id, "limit": limit}
    return [TickSeen(**row) for row in await fetch(conn, statement("schedules", "tick/list"), values)]


async def pause(conn: Connection, which: Which, *, why: str) -> Schedule:
    """Have a schedule create no jobs until `resume`; its jobs that are there go on. Returns it as it is then.

    why: told to whoever looks; of a schedule that is paused it takes the old one's place. Raises NoSuchSchedule, InvalidInput.
    """
    said = {"why": gate.check_text(why, field="why", max_chars=gate.MAX_ERROR_CHARS)}
    row = found(await fetch_one(conn, statement("schedules", "schedule/pause"), named(which) | said), which)
    return await get(conn, row["id"])


async def resume(conn: Connection, which: Which) -> Schedule:
    """Have a paused schedule go on with the next tick from now; what fell due meanwhile is not made up for.

    Its failures are counted anew. Of a schedule that is not paused nothing changes. Raises NoSuchSchedule.
    """
    async with conn.transaction():
        row = found(await fetch_one(conn, statement("schedules", "schedule/lock"), named(which)), which)
        schedule = read(row)
        if schedule.paused_at is None:
            return schedule
        next_at = next(iter(schedule.rule.upcoming(row["now"], 1)), None)
        values = {"id": schedule.id, "next_at": next_at}
        await execute(conn, statement("schedules", "schedule/resume"), values)
        return await get(conn, schedule.id)


async def run_now(conn: Connection, jobs: Jobs, which: Which, *, key: str | None = None) -> RunNow:
    """Create a job of a schedule now, besides its ticks, whether or not it is paused, or an earlier job has ended.

    With overlap `queue` or `cancel` it stands in line behind those. key: names what asks for it; asked again, the same job is
    returned. Raises NoSuchSchedule, InvalidInput where the schedule's input does not fit its type any more.
    """
    async with conn.transaction():
        row = found(await fetch_one(conn, statement("schedules", "schedule/lock"), named(which)), which)
        schedule, now = read(row), row["now"]
        slot = f"now {utc_name(now) if key is None else gate.check_name(key, field='key')}"
        values = {"schedule_ids": [schedule.id], "slots": [slot]}
        if known := await fetch(conn, statement("schedules", "tick/known"), values):
            return RunNow(known[0]["job_id"], None)
        wanted = Wanted(schedule, Due(slot, now))
        (made,), to_wake = await creating.create(conn, jobs, [wanted])
        if isinstance(made, Refused):
            raise InvalidInput(f"schedule {schedule.name}: its job was refused: {made.error}", field="input")
        await creating.add_ticks(conn, [wanted], [made])
    return RunNow(made, to_wake[0])


async def late(conn: Connection) -> tuple[int, float]:
    """How many schedules are due and not seen to yet, and for how many seconds the first of them has been."""
    row = await fetch_one(conn, statement("schedules", "schedule/late"))
    assert row is not None
    return row["n"], row["oldest_s"]


async def remove(conn: Connection, which: Which) -> None:
    """Delete a schedule and the record of its ticks; jobs that it has created go on. Raises NoSuchSchedule."""
    found(await fetch_one(conn, statement("schedules", "schedule/remove"), named(which)), which)


async def _locked(conn: Connection, name: str) -> Mapping[str, Any] | None:
    return await fetch_one(conn, statement("schedules", "schedule/lock"), named(name))


async def database_now(conn: Connection) -> datetime:
    """When the caller's transaction began, by Postgres' clock."""
    row = await fetch_one(conn, statement("schedules", "schedule/now"))
    assert row is not None
    now: datetime = row["now"]
    return now


def _checked_name(name: str) -> str:
    if not isinstance(name, str) or not NAME.fullmatch(name):
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
