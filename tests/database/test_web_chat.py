"""Chatting through the web door, on a real Postgres; a stand-in worker answers by the queue's verbs."""

import asyncio
from typing import Any
from unittest.mock import AsyncMock

import pytest
from httpx import Response

from assistant.chat_history import Reply
from assistant.chats import CHAT_TURN
from gateways.web import replies
from gateways.web.replies import Replies
from jobs_core import Connection, ConnectionFailed, Database, Jobs, execute, fetch
from jobs_core.settle import end
from tests.support.web import StandInWorker, calling, door, error_of

CHAT = "/api/chat"


@pytest.fixture
async def worker(database: Database) -> StandInWorker:
    return await StandInWorker.registered(database)


async def until_said(conn: Connection, count: int) -> None:
    """Wait until so many messages stand in the database."""
    async with asyncio.timeout(30):
        while len(await fetch(conn, "SELECT FROM jobs.chat_message_history")) < count:
            await asyncio.sleep(0.01)


def body_of(response: Response, status: int) -> Any:
    assert response.status_code == status, response.text
    return response.json()


async def test_a_message_is_answered_and_the_next_one_goes_on_in_its_chat(
    jobs: Jobs, conn: Connection, worker: StandInWorker
) -> None:
    async with calling(door(jobs)) as client:
        asking = asyncio.create_task(client.post(CHAT, json={"session_id": None, "message": "hello"}))
        await until_said(conn, 1)
        await worker.work("Hi.")
        first = body_of(await asking, 200)
        assert first.keys() == {"session_id", "message_id", "job_id", "status", "response"}
        assert (first["status"], first["response"]) == ("answered", "Hi.")
        assert body_of(await client.get(f"/api/jobs/{first['job_id']}"), 200)["state"] == "complete"

        again = {"session_id": first["session_id"], "message": [{"type": "text", "text": "and"}, "you?"]}
        asking = asyncio.create_task(client.post(CHAT, json=again))
        await until_said(conn, 3)
        await worker.work("Fine.")
        assert body_of(await asking, 200)["session_id"] == first["session_id"]

        lines = body_of(await client.get(f"{CHAT}/{first['session_id']}/messages"), 200)["messages"]
        assert [(line["type"], line["content"], line["state"]) for line in lines] == [
            ("human", "hello", "answered"),
            ("ai", "Hi.", None),
            ("human", "and\n\nyou?", "answered"),
            ("ai", "Fine.", None),
        ]
        page = {"limit": 2, "before_id": lines[2]["id"]}
        page = body_of(await client.get(f"{CHAT}/{first['session_id']}/messages", params=page), 200)
        assert page["messages"] == lines[:2]


async def test_messages_that_one_turn_answers_all_get_its_answer(
    jobs: Jobs, conn: Connection, worker: StandInWorker
) -> None:
    async with calling(door(jobs, chat_wait_s=0.0)) as client:
        chat = body_of(await client.post(CHAT, json={"message": "one"}), 202)["session_id"]
    async with calling(door(jobs)) as client:
        said = [{"session_id": chat, "message": text} for text in ("two", "three")]
        asking = [asyncio.create_task(client.post(CHAT, json=message)) for message in said]
        await until_said(conn, 3)
        await worker.work("All three.")
        told = [body_of(await asked, 200) for asked in asking]
    assert [reply["response"] for reply in told] == ["All three."] * 2
    assert told[0]["job_id"] != told[1]["job_id"]


async def test_a_reply_that_does_not_come_in_time_is_told_by_the_jobs_id(jobs: Jobs, worker: StandInWorker) -> None:
    async with calling(door(jobs, chat_wait_s=0.05)) as client:
        told = body_of(await client.post(CHAT, json={"message": "hello"}), 202)
        assert (told["status"], told["response"]) == ("waiting", None)
        assert body_of(await client.get(f"/api/jobs/{told['job_id']}"), 200)["state"] == "pending"
        await worker.work("Hi.")
        lines = body_of(await client.get(f"{CHAT}/{told['session_id']}/messages"), 200)["messages"]
        assert [line["state"] for line in lines if line["id"] == told["message_id"]] == ["answered"]


async def test_a_failed_turn_is_told_to_who_waits(jobs: Jobs, conn: Connection, worker: StandInWorker) -> None:
    async with calling(door(jobs)) as client:
        asking = asyncio.create_task(client.post(CHAT, json={"message": "hello"}))
        await until_said(conn, 1)
        await worker.work("no key", fails=True)
        told = body_of(await asking, 200)
    assert (told["status"], told["response"]) == ("failed", "This could not be answered: no key")


async def test_a_job_that_was_ended_for_its_dead_workers_is_told_as_failed(
    jobs: Jobs, conn: Connection, worker: StandInWorker
) -> None:
    async with calling(door(jobs, chat_wait_s=1.0)) as client:
        asking = asyncio.create_task(client.post(CHAT, json={"message": "hello"}))
        await until_said(conn, 1)
        job = await worker.claim()
        assert job is not None
        await end(conn, job, "failed", error="lost too often")
        told = body_of(await asking, 200)
    assert (told["status"], told["response"]) == ("failed", "lost too often")


async def test_a_caller_that_goes_away_loses_nothing(jobs: Jobs, conn: Connection, worker: StandInWorker) -> None:
    async with calling(door(jobs)) as client:
        asking = asyncio.create_task(client.post(CHAT, json={"message": "hello"}))
        await until_said(conn, 1)
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
        assert await worker.work("Hi.")
    assert [line["type"] for line in await fetch(conn, "SELECT type FROM jobs.chat_message_history ORDER BY id")] == [
        "human",
        "ai",
    ]


async def test_many_who_wait_hold_no_connection(database_url: str, jobs: Jobs, conn: Connection) -> None:
    """A hundred callers wait at a door that has two connections, and another is served meanwhile."""
    async with (
        Database(database_url, name="tests, door", max_connections=2) as small,
        Jobs(small, jobs.table) as behind,
        calling(door(behind, chat_wait_s=60.0)) as client,
    ):
        asking = [asyncio.create_task(client.post(CHAT, json={"message": str(n)})) for n in range(100)]
        await until_said(conn, 100)
        assert body_of(await client.get("/api/workers"), 200) == {"workers": []}
        worker = await StandInWorker.registered(small)
        while await worker.work("Hi."):
            pass
        assert {body_of(await asked, 200)["response"] for asked in asking} == {"Hi."}


async def test_one_look_serves_all_who_wait_and_nobody_looks_when_nobody_waits(
    jobs: Jobs, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    waiting, looked = Replies(database), list[int]()
    look = waiting.run_once

    async def counting() -> int:
        looked.append(len(waiting._waiting))
        return await look()

    monkeypatch.setattr(waiting, "run_once", counting)
    assert await asyncio.gather(*(waiting.wait(message_id, 0.3) for message_id in range(50))) == [None] * 50
    assert looked[0] == 50
    assert len(looked) <= 12  # 20 ms, then 1.5 times as long each time: 8 looks in 0.3 s
    assert waiting._looking is not None
    await waiting._looking
    assert waiting._waiting == {}


async def test_a_wait_outlives_a_database_that_is_away(
    jobs: Jobs, database: Database, worker: StandInWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with calling(door(jobs, chat_wait_s=0.0)) as client:
        told = body_of(await client.post(CHAT, json={"message": "hello"}), 202)
    await worker.work("Hi.")
    look, outages = replies.replies_to, [ConnectionFailed[0]("away"), ConnectionFailed[1]("away")]

    async def sometimes_away(conn: Connection, message_ids: Any) -> Any:
        if outages:
            raise outages.pop()
        return await look(conn, message_ids)

    monkeypatch.setattr(replies, "replies_to", sometimes_away)
    reply = await Replies(database).wait(told["message_id"], 30)
    assert reply == Reply("answered", "Hi.")
    assert outages == []


async def test_a_look_that_breaks_is_told_to_who_waits_and_the_next_one_is_done_anew(
    jobs: Jobs, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    waiting = Replies(database)
    monkeypatch.setattr(replies, "replies_to", AsyncMock(side_effect=ZeroDivisionError))
    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            await waiting.wait(1, 30)


async def test_a_door_that_closes_lets_go_of_who_waits(jobs: Jobs, conn: Connection) -> None:
    served = door(jobs, chat_wait_s=60.0)
    async with calling(served) as client:
        asking = asyncio.create_task(client.post(CHAT, json={"message": "hello"}))
        await until_said(conn, 1)
        served.state.replies.close()
        assert body_of(await asking, 202)["status"] == "waiting"
        assert body_of(await client.post(CHAT, json={"message": "too late to wait"}), 202)["status"] == "waiting"


async def test_chats_that_are_not_there_or_closed_are_told_apart(jobs: Jobs, conn: Connection) -> None:
    async with calling(door(jobs, chat_wait_s=0.0)) as client:
        unknown = await client.post(CHAT, json={"session_id": "web_unknown", "message": "hello"})
        assert error_of(unknown, 404) == {
            "code": "no_such_chat",
            "message": "There is no web chat 'web_unknown'; leave session_id out to begin a new one",
            "field": "session_id",
        }
        assert error_of(await client.get(f"{CHAT}/web_unknown/messages"), 404)["code"] == "no_such_chat"
        chat = body_of(await client.post(CHAT, json={"message": "hello"}), 202)["session_id"]
        await execute(conn, "UPDATE jobs.chat_sessions SET channel = 'telegram'")
        assert (
            error_of(await client.post(CHAT, json={"session_id": chat, "message": "x"}), 404)["field"] == "session_id"
        )
        await execute(conn, "UPDATE jobs.chat_sessions SET channel = 'web', is_active = false")
        assert (
            error_of(await client.post(CHAT, json={"session_id": chat, "message": "x"}), 409)["code"] == "chat_closed"
        )
    assert len(await fetch(conn, "SELECT FROM jobs.jobs WHERE job_type = %(name)s", {"name": CHAT_TURN.name})) == 1
