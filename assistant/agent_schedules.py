"""Schedules as people write them, of agents and of any job type, whatever door they come by: commands, the API, files, a tool.

    Draft ─▶ save ─▶ whose is it? ─▶ may it be so? ─▶ put          forecast: its next five ticks, and what they may cost
                        └─ a file's, and this is none: ScheduleOfFile

What a schedule is stands in the room `schedules`; here stands what is particular to agents. Roll the transaction back to see
what a draft would come to. Verbs take the connection first.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice, takewhile
from typing import Any

from pydantic import BaseModel

import schedules
from assistant import agents, people
from assistant.errors import ScheduleOfFile
from assistant.execution_results import Cost, expected_cost, owner_or_none
from assistant.notifications import notify
from assistant.schedule_drafts import TURN_FIELDS, Draft, draft_of, read
from assistant.schedule_words import MOST_COUNTED
from assistant.scheduled_turns import SCHEDULED_TURN, ScheduledTurnInput, check_person
from jobs_core import Connection, HandlerTable, execute, gate, statement
from schedules import NoSuchSchedule, Put, Schedule
from schedules.schedule import Which

FILE = "file:"
"""How the source of a schedule begins that a file made."""
SHOWN_TICKS = 5
_KINDS = ("cron", "every_s", "at")


@dataclass(frozen=True, slots=True)
class Forecast:
    """What is to come of a schedule: its next ticks, five at most, in UTC; how many there are in the next 30 days, MOST_COUNTED
    stands for more; and what a turn costs, None: nothing is known.
    """

    ticks: list[datetime]
    in_30_days: int
    cost: Cost | None


async def save(
    conn: Connection, table: HandlerTable, draft: Draft, *, source: str, new: bool = False, take_over: bool = False
) -> Put:
    """Have the schedule of this name be as drafted; call it inside a transaction. source: who wants it so (schedules.put).

    new: there may be none of the name yet. take_over: though a file made it, or, for a file, though no file did. Raises
    InvalidInput, NameTaken, ScheduleOfFile; for agents also NoSuchAgent, NoSuchUser, MayNotSchedule: nothing was written then.
    """
    before = await _held(conn, draft.name)
    if before is not None and not (new or take_over):
        _check_whose(before, source)
    job_type, given = draft.work
    if job_type == SCHEDULED_TURN.name:
        await _check_cast(conn, gate.fit(ScheduledTurnInput, given, field="input"), draft.user_id)
    return await schedules.put(
        conn,
        table,
        name=draft.name,
        job_type=job_type,
        input=given,
        rule=draft.rule,
        user_id=draft.user_id,
        source=source,
        new=new,
    )


async def try_out(conn: Connection, table: HandlerTable, draft: Draft) -> Forecast:
    """What would come of a draft, which is not saved. Raises as `save`, but not for what a file made."""
    async with conn.transaction(force_rollback=True):
        return await forecast(conn, (await save(conn, table, draft, source="try", take_over=True)).schedule)


async def change(
    conn: Connection,
    table: HandlerTable,
    which: Which,
    changes: Mapping[str, Any],
    *,
    source: str,
    take_over: bool = False,
) -> Put:
    """Change some fields of a schedule, as they stand in a Draft; one of cron, every_s and at takes the others' place, as a
    prompt takes that of a job type.

    Call it inside a transaction. Raises as `save`, and NoSuchSchedule.
    """
    name = (await schedules.get(conn, which)).name
    await _lock(conn, name)
    values = draft_of(await schedules.get(conn, name))
    for alternatives in ((*_KINDS, "anchor"), (*TURN_FIELDS, "job_type", "input")):
        if any(changes.get(field) is not None and values.get(field) is None for field in alternatives):
            values = {field: value for field, value in values.items() if field not in alternatives}
    return await save(conn, table, read(values | dict(changes) | {"name": name}), source=source, take_over=take_over)


async def check_open(conn: Connection, which: Which) -> Schedule:
    """The schedule, which nobody else writes until the caller's transaction ends. Raises NoSuchSchedule, ScheduleOfFile."""
    name = (await schedules.get(conn, which)).name
    before = await _held(conn, name)
    if before is None:
        raise NoSuchSchedule(f"There is no schedule {which!r} any more")
    _check_whose(before, source="")
    return before


async def forecast(conn: Connection, schedule: Schedule) -> Forecast:
    """What is to come of a schedule, as if it were not paused."""
    cost = None
    if schedule.job_type == SCHEDULED_TURN.name:
        cost = await expected_cost(conn, schedule_id=schedule.id, agent=schedule.input["agent"])
    now = datetime.now(UTC)
    soon = takewhile(lambda due: due.at <= now + timedelta(days=30), schedule.rule.due(now))
    in_30_days = sum(1 for _ in islice(soon, MOST_COUNTED))
    return Forecast(schedule.rule.upcoming(now, SHOWN_TICKS), in_30_days, cost)


async def tell_paused(conn: Connection, schedule: Schedule) -> None:
    """Tell its person, in the transaction in which a schedule paused itself."""
    await notify(
        conn,
        user_id=await owner_or_none(conn, schedule.user_id),
        title=f"Schedule {schedule.name} paused itself",
        body=f"{schedule.paused_why}. ./jobs schedule results {schedule.name} shows what came of its ticks; mend it, then "
        f"./jobs schedule resume {schedule.name}",
        category="schedule",
        severity="error",
        metadata={"schedule_id": schedule.id, "schedule": schedule.name},
    )


async def _check_cast(conn: Connection, asked: BaseModel, user_id: str | None) -> None:
    assert isinstance(asked, ScheduledTurnInput)
    await agents.load(conn, asked.agent)
    if user_id is not None:
        check_person(await people.get(conn, user_id))


async def _held(conn: Connection, name: str) -> Schedule | None:
    await _lock(conn, name)
    try:
        return await schedules.get(conn, name)
    except NoSuchSchedule:
        return None


async def _lock(conn: Connection, name: str) -> None:
    await execute(conn, statement("assistant", "agent_schedule/lock"), {"name": gate.check_name(name, field="name")})


def _check_whose(before: Schedule, source: str) -> None:
    by_file, is_file = before.source.startswith(FILE), source.startswith(FILE)
    if by_file and not is_file:
        raise ScheduleOfFile(
            f"Schedule {before.name} was made by {before.source}: change that file and apply it, or take the schedule over"
        )
    if is_file and not by_file:
        raise ScheduleOfFile(
            f"There is a schedule {before.name} already, made by {before.source}, not by a file: remove it, or rename this one"
        )
