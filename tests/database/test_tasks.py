"""Tasks on a real Postgres: what they hold, whose they are, and two who change one at once."""

import asyncio
from typing import Any
from uuid import uuid4

import pytest

from assistant import people, tasks
from assistant.errors import NoSuchTask, TaskChanged, TaskExists
from assistant.task import NewTask, Task, TaskChange
from jobs_core import Connection, Database, InvalidInput, execute, fetch, gate
from tests.support.database import Undone, until_blocked
from tests.support.tool_calls import THEY_ARE_KNOWN


@pytest.fixture(autouse=True)
async def _they_are_known(conn: Connection) -> None:
    await execute(conn, THEY_ARE_KNOWN)


async def make(conn: Connection, title: str = "Call the bank", created_by: str | None = None, **given: Any) -> Task:
    return await tasks.create_task(conn, NewTask(title=title, **given), created_by=created_by)


async def change(conn: Connection, task: Task, *, of_user: str | None = None, **given: Any) -> Task:
    async with conn.transaction():
        return await tasks.update_task(conn, task.id, TaskChange(**given), of_user=of_user)


async def ids(conn: Connection, **given: Any) -> list[int]:
    return [task.id for task in await tasks.list_tasks(conn, **given)]


async def test_a_task_is_kept_as_it_was_made(conn: Connection) -> None:
    given: dict[str, Any] = {
        "kind": "scheduled",
        "context": "Ask for Eve.",
        "assignee": "ada",
        "deadline": "2030-01-31T09:00+01:00",
        "schedule_at": "2030-01-01T00:00Z",
        "schedule_repeat": "weekly",
        "next_step": "Find the number",
        "external_task_id": "jira:ABC-7",
        "project_id": "house",
    }
    made = await make(conn, "  Call the bank ", "olga", **given)
    assert (made.title, made.status, made.created_by, made.version) == ("Call the bank", "open", "olga", 1)
    kept = {name: getattr(made, name) for name in given}
    assert NewTask(title=made.title, **kept) == NewTask(title="Call the bank", **given)
    assert await tasks.find_task(conn, made.id) == made


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"title": ""}, "task.title"),
        ({"title": " \n "}, "task.title"),
        ({"title": "one\ntwo"}, "task.title"),
        ({"title": "x" * 201}, "task.title"),
        ({"title": "x", "status": "perhaps"}, "task.status"),
        ({"title": "x", "kind": "Two words"}, "task.kind"),
        ({"title": "x", "deadline": "2030-01-31T09:00"}, "task.deadline"),
        ({"title": "x", "deadline": "9999-12-31T23:59:59-14:00"}, "task.deadline"),
        ({"title": "x", "kind": "scheduled"}, "task"),
        ({"title": "x", "schedule_repeat": "daily"}, "task"),
        ({"title": "x", "schedule_at": "2030-01-01T00:00Z", "schedule_repeat": "sometimes"}, "task.schedule_repeat"),
        ({"title": "x", "assignee": ""}, "task.assignee"),
        ({"title": "x", "context": "x" * 20_001}, "task.context"),
        ({"title": "x", "id": 7}, "task.id"),
    ],
)
def test_a_task_that_is_not_whole_is_refused_by_its_field(given: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        gate.fit(NewTask, given, field="task")
    assert caught.value.field == field


async def test_text_that_postgres_cannot_hold_is_refused_by_its_field(conn: Connection) -> None:
    with pytest.raises(InvalidInput, match="context: contains a NUL"):
        await make(conn, context="a\0b")
    task = await make(conn)
    with pytest.raises(InvalidInput, match="result: contains a NUL"):
        await change(conn, task, result="a\0b")
    for name in ("assignee", "kind", "project_id", "of_user"):
        with pytest.raises(InvalidInput, match=f"{name}: contains a NUL"):
            await ids(conn, **{name: "a\0b"})
    assert await ids(conn) == [task.id]


async def test_a_change_leaves_alone_what_it_does_not_name(conn: Connection) -> None:
    task = await make(conn, context="Ask for Eve.", next_step="Find the number", assignee="ada")
    changed = await change(conn, task, status="in_progress", next_step=None)
    assert (changed.status, changed.next_step, changed.context, changed.assignee) == (
        "in_progress",
        None,
        "Ask for Eve.",
        "ada",
    )
    assert changed.version == 2
    assert changed.updated_at > task.updated_at
    with pytest.raises(InvalidInput, match="schedule_at is missing"):
        await change(conn, task, kind="scheduled")
    with pytest.raises(InvalidInput) as caught:
        await change(conn, task, title=None)
    assert caught.value.field == "task.title"
    assert await tasks.find_task(conn, task.id) == changed


async def test_two_who_change_different_fields_at_once_lose_nothing(conn: Connection, other: Connection) -> None:
    task = await make(conn)
    async with conn.transaction():
        await tasks.update_task(conn, task.id, TaskChange(status="in_progress"))
        second = asyncio.create_task(change(other, task, result="They called back"))
        await until_blocked(conn)
    assert (await second).status == "in_progress"
    kept = await tasks.find_task(conn, task.id)
    assert (kept.status, kept.result, kept.version) == ("in_progress", "They called back", 3)


async def test_without_a_transaction_of_its_own_a_change_never_undoes_anothers(
    database: Database, conn: Connection
) -> None:
    """Its lock is gone before it writes: only the version tells. Without it some of the hundred are lost."""
    task = await make(conn)

    async def add(n: int) -> None:
        async with database.connection() as own:
            while True:
                try:
                    now = await tasks.find_task(own, task.id)
                    said = f"{now.result or ''}{n} "
                    await tasks.update_task(own, task.id, TaskChange(result=said), if_version=now.version)
                    return
                except TaskChanged:
                    continue

    await asyncio.gather(*(add(n) for n in range(25)))
    kept = await tasks.find_task(conn, task.id)
    assert sorted(map(int, (kept.result or "").split())) == list(range(25))
    assert kept.version == 26


async def test_a_change_of_another_version_than_was_seen_is_refused(conn: Connection) -> None:
    task = await make(conn)
    await change(conn, task, status="done")
    with pytest.raises(TaskChanged, match="version 2, not 1"):
        await tasks.update_task(conn, task.id, TaskChange(status="cancelled"), if_version=1)
    assert (await tasks.find_task(conn, task.id)).status == "done"


async def test_a_ticket_is_one_task_whoever_makes_it_first(conn: Connection, other: Connection) -> None:
    async with conn.transaction():
        first = await make(conn, external_task_id="jira:ABC-7")
        second = asyncio.create_task(make(other, "The same", external_task_id="jira:ABC-7"))
        await until_blocked(conn)
    with pytest.raises(TaskExists, match="jira:ABC-7"):
        await second
    assert await ids(conn) == [first.id]


async def test_a_ticket_whose_first_task_came_to_nothing_is_free(conn: Connection) -> None:
    with pytest.raises(Undone):
        async with conn.transaction():
            await make(conn, external_task_id="jira:ABC-7")
            raise Undone
    await make(conn, external_task_id="jira:ABC-7")


async def test_lists_hold_what_is_asked_for_the_newest_first(conn: Connection) -> None:
    late = await make(conn, assignee="ada", deadline="2020-01-01T00:00Z", project_id="house")
    done = await make(conn, status="done", deadline="2020-01-01T00:00Z")
    plain = await make(conn, kind="errand", created_by="ada", deadline="2100-01-01T00:00Z")
    assert await ids(conn) == [plain.id, late.id]
    assert await ids(conn, include_done=True) == [plain.id, done.id, late.id]
    assert await ids(conn, status="done") == [done.id]
    assert await ids(conn, overdue=True) == [late.id]
    assert await ids(conn, assignee="ada") == [late.id]
    assert await ids(conn, of_user="ada") == [plain.id, late.id]
    assert await ids(conn, kind="errand") == [plain.id]
    assert await ids(conn, project_id="house") == [late.id]
    assert await ids(conn, limit=1) == [plain.id]
    assert await ids(conn, limit=1, before_id=plain.id) == [late.id]


async def test_for_anybody_else_a_users_task_is_not_there(conn: Connection) -> None:
    task = await make(conn, assignee="ada", created_by="olga")
    for user in ("ada", "olga"):
        assert (await tasks.find_task(conn, task.id, of_user=user)).id == task.id
    for task_id in (task.id, task.id + 1, 0, -1, 2**63, 10**40):
        with pytest.raises(NoSuchTask, match=f"There is no task {task_id}:"):
            await tasks.find_task(conn, task_id, of_user="bob")
        with pytest.raises(NoSuchTask, match=f"There is no task {task_id}:"):
            await tasks.update_task(conn, task_id, TaskChange(status="done"), of_user="bob")
    assert await ids(conn, of_user="bob") == []


async def test_who_is_replaced_while_they_change_a_task_changes_nothing(conn: Connection, other: Connection) -> None:
    task = await make(conn, assignee="ada")
    async with conn.transaction():
        await tasks.update_task(conn, task.id, TaskChange(assignee="bob"))
        adas = asyncio.create_task(change(other, task, of_user="ada", status="done"))
        await until_blocked(conn)
    with pytest.raises(NoSuchTask):
        await adas
    assert (await tasks.find_task(conn, task.id)).status == "open"


async def test_a_person_who_is_not_there_gets_no_task(conn: Connection) -> None:
    for given in ({"assignee": "eve"}, {"created_by": "eve"}, {"created_by": "a\0b"}):
        with pytest.raises(InvalidInput) as caught:
            await make(conn, **given)
        assert [caught.value.field] == list(given)
    task = await make(conn, assignee="ada")
    with pytest.raises(InvalidInput, match="assignee: there is no user 'eve'"):
        await change(conn, task, assignee="eve")
    assert (await tasks.find_task(conn, task.id)).assignee == "ada"


async def test_who_turns_out_to_be_another_leaves_them_their_tasks(conn: Connection) -> None:
    adas = await make(conn, assignee="ada", created_by="olga")
    made_by_ada = await make(conn, assignee="bob", created_by="ada")
    bobs = await make(conn, assignee="bob")
    await _ada_is_olga(conn)
    assert await ids(conn, of_user="ada") == []
    assert await ids(conn, of_user="olga") == [made_by_ada.id, adas.id]
    assert (await tasks.find_task(conn, bobs.id)).version == 1
    assert (await make(conn, assignee="ada")).assignee == "olga"


async def test_a_task_made_while_two_become_one_is_not_lost(conn: Connection, other: Connection) -> None:
    async with conn.transaction():
        task = await make(conn, assignee="ada")
        merged = asyncio.create_task(_ada_is_olga(other))
        await until_blocked(conn)
    await merged
    assert await ids(conn, of_user="olga") == [task.id]


async def _ada_is_olga(conn: Connection) -> None:
    async with conn.transaction():
        await people.lock(conn)
        await people.merge(conn, await people.get(conn, "ada"), await people.get(conn, "olga"))


async def test_a_task_gets_one_session_whoever_asks_first(database: Database, conn: Connection) -> None:
    task = await make(conn)
    assert await tasks.get_task_session(conn, task.id) is None

    async def begin() -> Any:
        async with database.transaction() as own:
            return await tasks.create_task_session(own, task.id)

    (session_id,) = set(await asyncio.gather(*(begin() for _ in range(5))))
    assert await tasks.get_task_session(conn, task.id) == session_id
    assert await fetch(conn, "SELECT id FROM jobs.sessions") == [{"id": session_id}]
    assert (await change(conn, task, status="done")).session_id == session_id


async def test_a_session_is_replaced_only_if_it_is_the_one_that_was_seen(conn: Connection) -> None:
    task = await make(conn)
    first = await tasks.create_task_session(conn, task.id)
    second = uuid4()
    await tasks.update_task_session(conn, task.id, second, was=first)
    with pytest.raises(TaskChanged):
        await tasks.update_task_session(conn, task.id, None, was=first)
    assert await tasks.get_task_session(conn, task.id) == second
    await tasks.update_task_session(conn, task.id, None, was=second)
    assert await tasks.get_task_session(conn, task.id) is None
    for asked in (tasks.create_task_session(conn, 99), tasks.get_task_session(conn, 99)):
        with pytest.raises(NoSuchTask):
            await asked
    with pytest.raises(NoSuchTask):
        await tasks.update_task_session(conn, 99, None, was=first)
