"""Tasks: list and look at them, make and change them."""

from typing import Annotated

from fastapi import Query, Request

from assistant import tasks as core
from assistant.task import NewTask, Status, Task, TaskChange
from gateways.web.body import read
from gateways.web.context import Here
from gateways.web.parameters import Id, Name, Page


class Matching(Page):
    """Which tasks, the newest first; without `include_done`, or a status of theirs, none that are done or cancelled."""

    assignee: Name | None = None
    status: Status | None = None
    kind: Name | None = None
    project_id: Name | None = None
    overdue: bool = False
    include_done: bool = False


class Made(NewTask):
    """A task to make; created_by: the user for whom it is made."""

    created_by: Name | None = None


class Changed(TaskChange):
    """What to change; if_version: only if the task is still that version."""

    if_version: int | None = None


async def listed(context: Here, matching: Annotated[Matching, Query()]) -> dict[str, list[Task]]:
    """The newest tasks that match; page on with the last one's id as `before_id`."""
    async with context.database.connection() as conn:
        return {"tasks": await core.list_tasks(conn, **matching.model_dump())}


async def one(context: Here, task_id: Id) -> Task:
    """One task."""
    async with context.database.connection() as conn:
        return await core.find_task(conn, task_id)


async def create(request: Request, context: Here) -> Task:
    """Make a task; 409 where its ticket has one."""
    made = await read(request, Made)
    async with context.database.transaction() as conn:
        return await core.create_task(conn, made, created_by=made.created_by)


async def change(request: Request, context: Here, task_id: Id) -> Task:
    """Change the fields that are given; 409 where somebody else was faster."""
    changed = await read(request, Changed)
    async with context.database.transaction() as conn:
        return await core.update_task(conn, task_id, changed, if_version=changed.if_version)
