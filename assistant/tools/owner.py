"""The owner's tools for tasks: make, change and list them, anybody's."""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from assistant.task import NewTask, Status, Task, TaskChange
from assistant.tasks import create_task, list_tasks, update_task
from assistant.tools.context import RunContext
from jobs_core import Connection
from sessions import Tool

_MOST_NEW = 50  # of one turn
_SHOWN = 50


class ChangedTask(TaskChange):
    """A task, and what of it to change; fields that are left out stay."""

    task_id: int


class WhichTasks(BaseModel):
    """Which tasks, the newest first."""

    model_config = ConfigDict(extra="forbid")

    assignee: str | None = Field(None, description="the id of the user who is to do them")
    status: Status | None = None
    kind: str | None = None
    overdue_only: bool = False
    include_done: bool = Field(default=False, description="also those that are done or cancelled")
    before_id: int | None = Field(None, ge=1, lt=2**63, description="the next page: the last id of the one before")


def owners_tools(context: RunContext) -> list[Tool[Any]]:
    """The owner's tools."""

    async def create(given: NewTask) -> str:
        async def make(conn: Connection) -> str:
            task = await create_task(conn, given, created_by=context.user.id)
            return f"Task {task.id} was created: {task.title!r}."

        return await context.once("create_task", given, make, most=_MOST_NEW)

    async def update(given: ChangedTask) -> str:
        async with context.writing() as conn:
            return _shown(await update_task(conn, given.task_id, given))

    async def list_some(given: WhichTasks) -> str:
        async with context.database.connection() as conn:
            tasks = await list_tasks(
                conn,
                assignee=given.assignee,
                status=given.status,
                kind=given.kind,
                overdue=given.overdue_only,
                include_done=given.include_done,
                before_id=given.before_id,
                limit=_SHOWN,
            )
        return "\n\n".join(_shown(task) for task in tasks) or "There are no such tasks."

    return [
        Tool("create_task", "Create a task, for anybody.", NewTask, create),
        Tool("update_task", "Change a task; fields that are left out stay as they are.", ChangedTask, update),
        Tool("list_tasks", f"List tasks, {_SHOWN} at a time, the newest first.", WhichTasks, list_some),
    ]


def _shown(task: Task) -> str:
    values = {name: getattr(task, name) for name in ("kind", "assignee", "deadline", "schedule_at", "schedule_repeat")}
    values |= {
        name: getattr(task, name) for name in ("project_id", "external_task_id", "context", "next_step", "result")
    }
    details = [f"{name}: {value}" for name, value in values.items() if value is not None]
    return "\n".join([f"Task {task.id}: {task.title} ({task.status})", *details])
