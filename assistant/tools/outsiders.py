"""The three tools of a person who is not the owner: a word to the owner, and their own tasks."""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from assistant.notifications import notify
from assistant.task import Status, Task, TaskChange
from assistant.tasks import list_tasks, update_task
from assistant.tools.context import RunContext
from assistant.tools.quote import named, quoted
from jobs_core import Connection
from sessions import Tool

_MAX_SUMMARY_CHARS = 4_000
_MOST_SUMMARIES = 5  # of one turn: who says more floods the owner
_SHOWN = 50
_SHOWN_CHARS = 2_000


class Summary(BaseModel):
    """What to tell the owner."""

    model_config = ConfigDict(extra="forbid")

    summary: str = Field(
        min_length=1, max_length=_MAX_SUMMARY_CHARS, description="what they want and why, in a few sentences"
    )


class MyTasks(BaseModel):
    """Which of their tasks."""

    model_config = ConfigDict(extra="forbid")

    include_done: bool = Field(default=False, description="also those that are done or cancelled")


class MyTaskStatus(BaseModel):
    """How one of their tasks stands."""

    model_config = ConfigDict(extra="forbid")

    task_id: int
    status: Status
    result: str | None = Field(None, max_length=_SHOWN_CHARS, description="what came of it, in their words")


def outsiders_tools(context: RunContext) -> list[Tool[Any]]:
    """An outsider's tools; each sees and changes what is that person's, and nothing else."""

    async def send_summary(given: Summary) -> str:
        async def send(conn: Connection) -> str:
            await _tell_owner(conn, context, given.summary)
            return f"The owner is told: {given.summary[:300]!r}."

        return await context.once("send_summary_to_owner", given, send, most=_MOST_SUMMARIES)

    async def get_my_tasks(given: MyTasks) -> str:
        async with context.database.connection() as conn:
            tasks = await list_tasks(conn, of_user=context.user.id, include_done=given.include_done, limit=_SHOWN + 1)
        shown = "\n\n".join(_shown(task) for task in tasks[:_SHOWN]) or "They have no tasks."
        return f"{shown}\n\nThere are more, older ones." if len(tasks) > _SHOWN else shown

    async def update_task_status(given: MyTaskStatus) -> str:
        said = given.result and quoted(context.user, given.result, max_chars=_SHOWN_CHARS)
        change = TaskChange(status=given.status, **({"result": said} if said else {}))
        async with context.writing() as conn:
            task = await update_task(conn, given.task_id, change, of_user=context.user.id)
        return f"Task {task.id} is {task.status} now."

    return [
        Tool(
            "send_summary_to_owner",
            "Tell the owner of this assistant what this person wants or has to say. Use it once all is said.",
            Summary,
            send_summary,
        ),
        Tool(
            "get_my_tasks", "List this person's tasks: those they are to do, or have asked for.", MyTasks, get_my_tasks
        ),
        Tool("update_task_status", "Note how one of this person's tasks stands.", MyTaskStatus, update_task_status),
    ]


async def _tell_owner(conn: Connection, context: RunContext, summary: str) -> None:
    user = context.user
    await notify(
        conn,
        user_id=None,
        title=f"Word from {named(user)}",
        body=quoted(user, summary, max_chars=_MAX_SUMMARY_CHARS),
        category="summary",
        metadata={"from_user": user.id, "chat": context.chat, "job": context.job.id},
        turn_id=context.turn_id,
    )


def _shown(task: Task) -> str:
    deadline = f", due {task.deadline:%Y-%m-%d %H:%M} UTC" if task.deadline else ""
    lines = [f"Task {task.id}: {task.title} ({task.status}{deadline})"]
    lines += [f"{name}: {text[:_SHOWN_CHARS]}" for name in ("context", "result") if (text := getattr(task, name))]
    return "\n".join(lines)
