"""Tools of our own through the real CLI: what the model is offered, for whom a call works, and what a crash leaves of it."""

import asyncio
import json
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from assistant import chats, people, tasks
from assistant.deliveries import list_deliveries
from assistant.notifications import list_notifications
from assistant.task import NewTask
from assistant.tools import RunContext, tools_for
from handlers import chat_turn
from jobs_core import AnyJob, Database, HandlerTable, Jobs, fetch
from jobs_core.claim import claim
from jobs_core.leases import register
from sessions import Call, Tool, current_call
from simulator.client import SimulatorControl
from tests.support.job_types import NOTE, table
from tests.support.sessions import Chat, agents
from tests.support.tool_calls import ADA
from workers.executor import Executor

OF_OUTSIDERS = [
    "mcp__jobs__get_my_tasks",
    "mcp__jobs__send_summary_to_owner",
    "mcp__jobs__update_task_status",
]


@pytest.fixture
async def job(database: Database) -> AnyJob:
    """A claimed job, which runs of turns here belong to."""
    async with Jobs(database, table()) as jobs, database.connection() as conn:
        worker_id = await register(conn, queues=["default"], job_types=[], slots=1, lease_s=600)
        await jobs.create(NOTE, {})
        (claimed,) = await claim(conn, worker_id=worker_id, queues=["default"], job_types=["note"], slots=1)
    return claimed


def script(*calls: tuple[str, dict[str, Any]]) -> str:
    """A turn that makes these calls at once, and then is done."""
    return " ".join(f"[[tool mcp__jobs__{name} {json.dumps(given)}]]" for name, given in calls)


def results(body: dict[str, Any] | None) -> list[str]:
    """What a request tells of calls, in order."""
    assert body is not None
    said = [message["content"] for message in body["messages"] if message["role"] == "user"]
    blocks = [block for content in said if isinstance(content, list) for block in content]
    blocks = [block for block in blocks if block["type"] == "tool_result"]
    return [text if isinstance(text := block["content"], str) else text[0]["text"] for block in blocks]


async def test_outsiders_are_offered_their_three_tools_each_for_themselves_and_nothing_else(
    database: Database, sim: SimulatorControl, tmp_path: Path
) -> None:
    """Two at once in one worker: each lists their tasks, changes one, tries the other's, and a tool that they have not.

    Their answers are owed to their chats.
    """
    known, of_chats = HandlerTable(), list[str]()
    async with agents(database, sim, tmp_path) as sessions, database.connection() as conn:
        chat_turn.register(known, database=database, sessions=sessions)
        async with Jobs(database, known) as jobs:
            for n, name in ((1, "Ada"), (2, "Bob")):
                calls = [
                    ("get_my_tasks", {}),
                    ("update_task_status", {"task_id": n, "status": "waiting"}),
                    ("update_task_status", {"task_id": 3 - n, "status": "done"}),
                    ("update_task_status", {"task_id": n, "status": "perhaps"}),
                    ("create_task", {"title": "sneaked in"}),
                ]
                message = f"I am {name}: {script(*calls)} [[then]] [[text Done.]]"
                async with database.transaction() as own:
                    user = await people.contact(own, "telegram", str(n), name=name)
                    await tasks.create_task(own, NewTask(title=f"for {name}", assignee=user.id), created_by=None)
                    said = await chats.receive(
                        own, jobs, session_id=None, channel="telegram", message=message, user_id=user.id
                    )
                of_chats.append(said.session_id)
            worker_id = await register(conn, queues=["chat"], job_types=["chat_turn"], slots=2, lease_s=600)
            turns = await claim(conn, worker_id=worker_id, queues=["chat"], job_types=["chat_turn"], slots=2)
            executor = Executor(jobs, 2, on_stuck=pytest.fail)
            ended = await asyncio.gather(*(executor.run(turn) for turn in turns))
        assert [settled.state for settled in ended if settled] == ["complete"] * 2
        owed = {one.chat: one.payload for one in await list_deliveries(conn)}
        assert owed == {chat: {"text": "Done."} for chat in of_chats}
        assert [task.status for task in await tasks.list_tasks(conn, include_done=True)] == ["waiting"] * 2
    bodies = [request.body for request in await sim.requests() if request.body]
    assert [sorted(tool["name"] for tool in body["tools"]) for body in bodies] == [OF_OUTSIDERS] * 4
    for n, name in ((1, "Ada"), (2, "Bob")):
        (told,) = [of for body in bodies if f"I am {name}" in str(body["messages"]) and (of := results(body))]
        listed, changed, refused, unfit, absent = told
        assert listed == f"Task {n}: for {name} (open)"
        assert changed == f"Task {n} is waiting now."
        assert f"There is no task {3 - n}:" in refused
        assert "status" in unfit
        assert "perhaps" not in unfit
        assert "No such tool available" in absent


async def test_a_word_that_was_passed_on_before_a_crash_is_not_passed_on_again(
    database: Database, chat: Chat, sim: SimulatorControl, tmp_path: Path, job: AnyJob
) -> None:
    """Cut when the tool had done its work and nobody knew. The model asks again in other words, and is told of the first."""
    turn_id, done = await chat.new_turn(), asyncio.Event()
    tools = tools_for(RunContext(database, ADA, "telegram_1", turn_id, job))
    prompt = (
        f"{script(('get_my_tasks', {}))} [[then]] "
        f"{script(('send_summary_to_owner', {'summary': 'She wants a call'}))} [[then]] "
        f"{script(('send_summary_to_owner', {'summary': 'Ada would like to be called'}))} [[then]] [[text Told.]]"
    )
    async with agents(database, sim, tmp_path / "cut") as sessions:
        run = asyncio.create_task(chat.run(sessions, turn_id, prompt, own_tools=[_stuck(tools[0], done), *tools[1:]]))
        await asyncio.wait_for(done.wait(), 30)
        async with database.connection() as conn:
            (effect,) = await fetch(conn, "SELECT call_id FROM jobs.tool_effects")
        async with asyncio.timeout(30):
            while effect["call_id"] not in json.dumps(await chat.transcript()):
                await asyncio.sleep(0.02)
        run.cancel()
        with suppress(asyncio.CancelledError):
            await run
    calls: list[Call] = []
    async with agents(database, sim, tmp_path / "on") as sessions:
        end = await chat.run(sessions, turn_id, prompt, own_tools=[_seen(tools[0], calls), *tools[1:]])
    assert (end.answer, end.source) == ("Told.", "resumed")
    *_, cut_off, reminded = [request.body for request in await sim.requests()]
    assert "its outcome is unknown" in str(cut_off)
    assert results(reminded)[-1].startswith("Nothing was done now. Before you were interrupted in this turn")
    (call,) = calls
    assert len(call.known) == 1
    assert effect["call_id"] not in call.known
    async with database.connection() as conn:
        (one,) = await list_notifications(conn)
    assert one.body.endswith("\n> She wants a call")


def _seen(tool: Tool[Any], calls: list[Call]) -> Tool[Any]:
    """The tool, which notes its calls."""

    async def fn(given: Any) -> Any:
        calls.append(current_call())
        return await tool.fn(given)

    return replace(tool, fn=fn)


def _stuck(tool: Tool[Any], done: asyncio.Event) -> Tool[Any]:
    """The tool, whose result never arrives once it is done."""

    async def fn(given: Any) -> Any:
        await tool.fn(given)
        done.set()
        await asyncio.Event().wait()

    return replace(tool, fn=fn)
