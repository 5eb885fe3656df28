"""Tasks: the assistant's units of work, each with a person who does it, and perhaps a Claude session of its own.

A ticket of a tracker is a task with an `external_task_id`, which no other task has. Verbs take the connection first: the caller
owns the transaction. `of_user` narrows a verb to what is assigned to that user or was made by them: for anybody else a task is
not there.
"""

from typing import Any, Literal, cast
from uuid import UUID, uuid4

from pydantic import BaseModel

from assistant.errors import NoSuchTask, TaskChanged, TaskExists
from assistant.task import DONE, NewTask, Status, Task, TaskChange, TaskValues
from jobs_core import Connection, InvalidInput, execute, fetch, fetch_one, gate, statement
from sessions import create_session

MAX_PAGE = 1_000
_BIGGEST_ID = 2**63 - 1


async def create_task(conn: Connection, new: NewTask, *, created_by: str | None) -> Task:
    """Make a task; call it inside a transaction. Raises TaskExists where one has its external_task_id.

    Raises InvalidInput for a person who is not there, and for text that cannot be stored.
    """
    people = {"assignee": new.assignee, "created_by": created_by}
    values = _storable(new) | {field: await _person(conn, person, field) for field, person in people.items()}
    row = await fetch_one(conn, statement("assistant", "task/create"), values)
    if row is None:
        raise TaskExists(f"external_task_id: {new.external_task_id!r} has a task already; change that one instead")
    return Task(**row)


async def find_task(conn: Connection, task_id: int, *, of_user: str | None = None) -> Task:
    """One task. Raises NoSuchTask."""
    return await _one(conn, "task/find", task_id, of_user)


async def update_task(
    conn: Connection, task_id: int, change: TaskChange, *, of_user: str | None = None, if_version: int | None = None
) -> Task:
    """Change the fields of a task that are given; the others keep what stands there. Call it inside a transaction.

    if_version: only if it is still that version. Raises NoSuchTask; TaskChanged where somebody else changed it: look at it and
    decide again; InvalidInput where the task would not be whole any more, or names a person who is not there.
    """
    given = change.model_dump(exclude_unset=True, include=set(TaskChange.model_fields))
    if "assignee" in given:  # before the task: who makes one person of two locks them in this order
        given["assignee"] = await _person(conn, given["assignee"], "assignee")
    task = await _one(conn, "task/lock", task_id, of_user)
    if if_version not in {None, task.version}:
        raise TaskChanged(f"Task {task_id} is at version {task.version}, not {if_version}: look at it and decide again")
    kept = {name: getattr(task, name) for name in TaskValues.model_fields}
    whole = cast("TaskValues", gate.fit(TaskValues, kept | given, field="task"))
    values = _storable(whole) | {"id": task_id, "version": task.version}
    row = await fetch_one(conn, statement("assistant", "task/update"), values)
    if row is None:
        raise TaskChanged(f"Task {task_id} was changed meanwhile: look at it and decide again")
    return Task(**row)


async def list_tasks(
    conn: Connection,
    *,
    of_user: str | None = None,
    assignee: str | None = None,
    status: Status | None = None,
    kind: str | None = None,
    project_id: str | None = None,
    overdue: bool = False,
    include_done: bool = False,
    before_id: int | None = None,
    limit: int = 50,
) -> list[Task]:
    """The newest tasks that fit, newest first, 1,000 at most; page on with the last one's id as `before_id`.

    overdue: only those past their deadline. include_done: also those that are done or cancelled, as where such a `status` is
    asked for. Raises InvalidInput for a name that cannot be stored.
    """
    names = {"of_user": of_user, "assignee": assignee, "kind": kind, "project_id": project_id}
    for name, value in names.items():
        if value is not None:
            gate.check_text(value, field=name, max_chars=gate.MAX_NAME_CHARS)
    asked = {"status": status, "overdue": overdue, "include_done": include_done or status in DONE}
    values = names | asked | {"before_id": before_id, "limit": min(limit, MAX_PAGE)}
    return [Task(**row) for row in await fetch(conn, statement("assistant", "task/list"), values, prepare=False)]


async def create_task_session(conn: Connection, task_id: int) -> UUID:
    """The Claude session of a task, made where it has none: two that ask at once get the same. Call it inside a transaction.

    Raises NoSuchTask.
    """
    task = await _one(conn, "task/lock", task_id, None)
    if task.session_id is not None:
        return task.session_id
    session_id = uuid4()
    await create_session(conn, session_id)
    await update_task_session(conn, task_id, session_id, was=None)
    return session_id


async def get_task_session(conn: Connection, task_id: int) -> UUID | None:
    """The Claude session of a task, None where it has none. Raises NoSuchTask."""
    return (await find_task(conn, task_id)).session_id


async def update_task_session(conn: Connection, task_id: int, session_id: UUID | None, *, was: UUID | None) -> None:
    """Give a task another Claude session, or none, instead of the one that it `was`.

    Raises NoSuchTask; TaskChanged where it has another one by now.
    """
    values = {"id": task_id, "session_id": session_id, "was": was}
    if not await execute(conn, statement("assistant", "task/set_session"), values):
        task = await find_task(conn, task_id)
        raise TaskChanged(f"Task {task_id} has the session {task.session_id} by now, not {was}")


async def _one(conn: Connection, verb: Literal["task/find", "task/lock"], task_id: int, of_user: str | None) -> Task:
    values = {"id": task_id, "of_user": of_user}
    known = 0 < task_id <= _BIGGEST_ID
    row = await fetch_one(conn, statement("assistant", verb), values) if known else None
    if row is None:
        raise NoSuchTask(f"There is no task {task_id}: list the tasks to see which there are")
    return Task(**row)


async def _person(conn: Connection, user_id: str | None, field: str) -> str | None:
    """A person's id as it is until the caller's transaction ends: one who turned out to be another is that one."""
    if user_id is None:
        return None
    gate.check_name(user_id, field=field)
    row = await fetch_one(conn, statement("assistant", "task/person"), {"id": user_id})
    if row is None:
        raise InvalidInput(f"{field}: there is no user {user_id!r}; ./jobs user find looks for people", field=field)
    return str(row["id"])


def _storable(values: BaseModel) -> dict[str, Any]:
    """The fields by name. Raises InvalidInput for text that Postgres cannot hold."""
    given = values.model_dump()
    for name, value in given.items():
        if isinstance(value, str):
            gate.check_text(value, field=name)
    return given
