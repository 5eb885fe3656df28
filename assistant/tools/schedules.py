"""The owner's tools for schedules: see what one would come to, make, list, pause, resume and remove them.

A schedule spends money when nobody looks, also one that is resumed, and a removed one is gone: all three are asked about before
they are done. The agent that is asked at each tick is the one that makes the schedule, and the person is the run's.
"""

import json
from datetime import datetime
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

import schedules
from assistant.agent_schedules import check_open, forecast, save, try_out
from assistant.policy import Unattended
from assistant.preferences import hold_preferences
from assistant.schedule_drafts import Draft, read, some_name
from assistant.schedule_words import shown_forecast, timing_of
from assistant.scheduled_turns import SCHEDULED_TURN
from assistant.tools.context import RunContext
from jobs_core import Connection, HandlerTable
from schedules import Schedule
from sessions import Tool

_MOST_NEW = 10  # of one turn
_SHOWN = 50
_SHOWN_CHARS = 300

Name = Annotated[str, Field(min_length=1, max_length=63, description="lower-case letters, digits, - and _")]


class Timing(BaseModel):
    """When: exactly one of cron, every_s and at."""

    model_config = ConfigDict(extra="forbid")

    cron: str | None = Field(None, max_length=200, description="five fields: 0 9 * * mon-fri is nine on weekdays")
    every_s: int | None = Field(None, description="seconds from one to the next")
    at: str | None = Field(None, max_length=40, description="one moment only, ISO 8601: 2030-01-31T09:00")
    zone: str | None = Field(None, max_length=60, description="IANA name, as Europe/Berlin; left out: the person's own")


class NewSchedule(Timing):
    """What is asked at each tick, and when."""

    name: Name
    prompt: str = Field(
        min_length=1,
        max_length=20_000,
        description="what you are asked each time; you will know nothing of this conversation then, so say all of it",
    )
    approvals: Unattended = Field(
        "reject",
        description="what becomes of calls that need approval then: reject, ask the person at once, or wait in a list",
    )


class Which(BaseModel):
    """A schedule."""

    model_config = ConfigDict(extra="forbid")

    name: Name


class Page(BaseModel):
    """Which part of the list."""

    model_config = ConfigDict(extra="forbid")

    after: str | None = Field(None, max_length=63, description="the next page: the last name of the one before")


def schedule_tools(context: RunContext) -> list[Tool[Any]]:
    """The tools of this run's owner."""
    table = HandlerTable()
    table.declare(SCHEDULED_TURN)

    async def drafted(conn: Connection, given: Timing, **about: str) -> Draft:
        values = about | given.model_dump(include=set(Timing.model_fields), exclude_none=True)
        values |= {"agent": context.agent, "user_id": context.user.id}
        zone = given.zone or (await hold_preferences(conn, context.user.id)).zone
        return read(values | {"zone": zone})

    async def try_one(given: Timing) -> str:
        async with context.writing() as conn:
            draft = await drafted(conn, given, name=some_name(), prompt="?")
            return shown_forecast(await try_out(conn, table, draft), draft.zone)

    async def create(given: NewSchedule) -> str:
        async def make(conn: Connection) -> str:
            draft = await drafted(conn, given, name=given.name, prompt=given.prompt, approvals=given.approvals)
            saved = await save(conn, table, draft, source=f"agent:{context.agent}", new=True)
            return f"Schedule {draft.name} was made. {shown_forecast(await forecast(conn, saved.schedule), draft.zone)}"

        return await context.once("create_schedule", given, make, most=_MOST_NEW)

    async def pause(given: Which) -> str:
        async with context.writing() as conn:
            return _shown(await schedules.pause(conn, given.name, why=f"by agent {context.agent}"))

    async def resume(given: Which) -> str:
        async with context.writing() as conn:
            return _shown(await schedules.resume(conn, given.name))

    async def remove(given: Which) -> str:
        async with context.writing() as conn:
            schedule = await check_open(conn, given.name)
            await schedules.remove(conn, schedule.id)
        return f"Schedule {schedule.name} was removed; what it has begun goes on."

    async def list_some(given: Page) -> str:
        async with context.database.connection() as conn:
            found = await schedules.listed(conn, after=given.after, limit=_SHOWN)
        return "\n".join(_shown(schedule) for schedule in found) or "There are no such schedules."

    return [
        Tool(
            "try_schedule",
            "See when a schedule would run, and what a run may cost, without making it.",
            Timing,
            try_one,
        ),
        Tool(
            "create_schedule",
            "Have yourself asked something again and again, or once later; the person is told each answer. Try it first, and "
            "tell them when it will run.",
            NewSchedule,
            create,
            gated=True,
        ),
        Tool("pause_schedule", "Pause a schedule.", Which, pause),
        Tool("resume_schedule", "Have a paused schedule go on.", Which, resume, gated=True),
        Tool("remove_schedule", "Remove a schedule for good.", Which, remove, gated=True),
        Tool("list_schedules", f"List schedules by name, {_SHOWN} at a time.", Page, list_some),
    ]


def _shown(schedule: Schedule) -> str:
    asked = json.dumps(schedule.input, ensure_ascii=False)[:_SHOWN_CHARS]
    state = f"paused ({schedule.paused_why})" if schedule.paused_at else f"next {_utc(schedule.next_at)}"
    return f"{schedule.name}: {timing_of(schedule.rule)}, {state}. {schedule.job_type} {asked}"


def _utc(at: datetime | None) -> str:
    return f"{at:%Y-%m-%d %H:%M} UTC" if at else "never"
