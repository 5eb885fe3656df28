"""Schedules: list and look at them, make and change them, pause, run and remove them, and see what came of agents' turns."""

from dataclasses import asdict
from typing import Annotated, Any

from fastapi import Path, Query, Request
from pydantic import BaseModel, ConfigDict, Field

import schedules as core
from assistant import agent_schedules
from assistant.agent_schedules import check_open
from assistant.execution_results import Result, list_results
from assistant.schedule_drafts import Draft, DraftChange
from gateways.web.body import read
from gateways.web.context import Here
from gateways.web.idempotency import IdempotencyKey
from gateways.web.parameters import Name, Page
from jobs_core import Connection

SOURCE = "api"

NamePath = Annotated[Name, Path()]


class Matching(BaseModel):
    """Which schedules, and which part of the list: at most `limit`, behind the name `after`."""

    model_config = ConfigDict(extra="forbid")

    job_type: Name | None = None
    user_id: Name | None = None
    source: Name | None = None
    paused: bool | None = None
    limit: int = Field(50, ge=1, le=100)
    after: Name | None = None


class How(BaseModel):
    """dry_run: show what would come of it, and save nothing. take_over: change also what a file made, and no longer will."""

    model_config = ConfigDict(extra="forbid")

    dry_run: bool = False
    take_over: bool = False


class Pause(BaseModel):
    """Why; shown to whoever looks."""

    model_config = ConfigDict(extra="forbid")

    reason: Annotated[str, Field(max_length=1_000)] = "by hand"


class Results(Page):
    """Which results, the newest first."""

    schedule: Name | None = None
    agent: Name | None = None


async def listed(context: Here, matching: Annotated[Matching, Query()]) -> dict[str, list[core.Schedule]]:
    """Schedules in the order of their names."""
    async with context.database.connection() as conn:
        return {"schedules": await core.listed(conn, **matching.model_dump())}


async def one(context: Here, name: NamePath) -> dict[str, Any]:
    """One schedule, its next five ticks and what a turn of it costs."""
    async with context.database.connection() as conn:
        schedule = await core.get(conn, name)
        return asdict(schedule) | {"forecast": await agent_schedules.forecast(conn, schedule)}


async def create(request: Request, context: Here, how: Annotated[How, Query()]) -> dict[str, Any]:
    """Make a schedule; 409 where there is one of the name."""
    draft = await read(request, Draft)
    async with context.database.connection() as conn, conn.transaction(force_rollback=how.dry_run):
        put = await agent_schedules.save(conn, context.jobs.table, draft, source=SOURCE, new=True)
        return await _shown(conn, put, how)


async def change(request: Request, context: Here, name: NamePath, how: Annotated[How, Query()]) -> dict[str, Any]:
    """Change the fields that are given; one of cron, every_s and at takes the others' place. 409 for what a file made."""
    changes = (await read(request, DraftChange)).model_dump(exclude_unset=True)
    async with context.database.connection() as conn, conn.transaction(force_rollback=how.dry_run):
        put = await agent_schedules.change(
            conn, context.jobs.table, name, changes, source=SOURCE, take_over=how.take_over
        )
        return await _shown(conn, put, how)


async def remove(context: Here, name: NamePath, how: Annotated[How, Query()]) -> dict[str, str]:
    """Remove a schedule for good; what it has begun goes on, and the results stay."""
    async with context.database.connection() as conn, conn.transaction(force_rollback=how.dry_run):
        if not how.take_over:
            await check_open(conn, name)
        await core.remove(conn, name)
    return {"removed": name}


async def pause(request: Request, context: Here, name: NamePath) -> core.Schedule:
    """Pass over a schedule's ticks until it is resumed; what it has begun goes on."""
    wanted = await read(request, Pause, if_empty=b"{}")
    async with context.database.transaction() as conn:
        return await core.pause(conn, name, why=wanted.reason)


async def resume(context: Here, name: NamePath) -> core.Schedule:
    """Have a paused schedule go on with its next tick."""
    async with context.database.transaction() as conn:
        return await core.resume(conn, name)


async def run(context: Here, name: NamePath, key: IdempotencyKey) -> dict[str, int | None]:
    """Create a job of a schedule now, beside its ticks, also while it is paused; the same key again is the same job."""
    async with context.database.transaction() as conn:
        ran = await core.run_now(conn, context.jobs, name, key=key)
    if ran.created:
        ran.created.wake()
    return {"job_id": ran.job_id}


async def results(context: Here, page: Annotated[Results, Query()]) -> dict[str, list[Result]]:
    """What came of turns that agents were run for by schedules, newest first."""
    async with context.database.connection() as conn:
        schedule_id = (await core.get(conn, page.schedule)).id if page.schedule is not None else None
        found = await list_results(
            conn, schedule_id=schedule_id, agent=page.agent, before_id=page.before_id, limit=page.limit
        )
    return {"results": found}


async def _shown(conn: Connection, put: core.Put, how: How) -> dict[str, Any]:
    to_come = await agent_schedules.forecast(conn, put.schedule)
    return asdict(put.schedule) | {"forecast": to_come, "did": put.did, "dry_run": how.dry_run}
