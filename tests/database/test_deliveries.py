"""What is owed to people: written once, with the answer that makes it owed, and read by the page."""

import asyncio
from typing import Any
from uuid import UUID, uuid4

import pytest

from assistant import chats
from assistant.deliveries import Delivery, Owed, list_deliveries, owe, owe_reply
from assistant.remarks import remark
from jobs_core import Connection, Database, Jobs, execute, fetch
from jobs_core.wake import Ready
from tests.support.database import Undone


async def bound_turn(jobs: Jobs, conn: Connection, channel: Any) -> tuple[str, UUID]:
    """A chat in which something was said, and the turn that took it."""
    turn_id = uuid4()
    async with jobs.database.transaction() as own:
        said = await chats.receive(own, jobs, session_id=None, channel=channel, message="hello", user_id="ada")
    async with conn.transaction():
        await chats.bind(conn, said.session_id, turn_id)
    return said.session_id, turn_id


async def test_an_answer_in_a_chat_of_telegram_is_owed_in_the_transaction_that_writes_it(
    jobs: Jobs, conn: Connection
) -> None:
    chat, turn_id = await bound_turn(jobs, conn, "telegram")
    with pytest.raises(Undone):
        async with conn.transaction():
            await chats.answer(conn, chat, turn_id, "Hi.")
            raise Undone
    assert await list_deliveries(conn) == []
    async with conn.transaction():
        await chats.answer(conn, chat, turn_id, "Hi\0.")
    (owed,) = await list_deliveries(conn)
    assert owed == Delivery(
        id=owed.id,
        owed_for=f"turn:{turn_id}",
        channel="telegram",
        account=None,
        chat=chat,
        user_id="ada",
        kind="answer",
        payload={"text": "Hi\N{REPLACEMENT CHARACTER}."},
        random_id=owed.random_id,
        state="owed",
        turn_id=turn_id,
        created_at=owed.created_at,
        job_id=owed.job_id,
    )
    assert 0 <= owed.random_id < 2**63
    await owe_reply(conn, chat, turn_id, "answer", "Hi again.")
    assert await list_deliveries(conn) == [owed]


async def test_a_chat_is_answered_by_the_account_that_it_came_by(jobs: Jobs, conn: Connection) -> None:
    turn_id = uuid4()
    async with conn.transaction():
        given: Any = {"session_id": None, "channel": "telegram", "message": "hello", "user_id": "ada"}
        chat = (await chats.receive(conn, jobs, **given, account="bot")).session_id
        await chats.bind(conn, chat, turn_id)
        assert await chats.answer(conn, chat, turn_id, "Hi.") == (Ready("out:bot", "deliver"),)
        assert await remark(conn, "A word.", session_id=chat) == ()
    assert {(owed.account, owed.lane) for owed in await list_deliveries(conn)} == {("bot", f"out:bot:{chat}")}


async def test_a_failure_is_owed_once_however_often_it_is_told(jobs: Jobs, conn: Connection) -> None:
    chat, turn_id = await bound_turn(jobs, conn, "telegram")
    await chats.fail(conn, chat, turn_id, "no model")
    await chats.fail(conn, chat, turn_id, "no model")
    assert [(owed.kind, owed.payload) for owed in await list_deliveries(conn)] == [
        ("failure", {"text": "This could not be answered: no model"})
    ]


@pytest.mark.parametrize("channel", ["web", "scheduled"])
async def test_what_is_read_in_its_history_is_owed_nothing(jobs: Jobs, conn: Connection, channel: str) -> None:
    chat, turn_id = await bound_turn(jobs, conn, channel)
    await remark(conn, "A word.", session_id=chat)
    await chats.answer(conn, chat, turn_id, "Hi.")
    assert await list_deliveries(conn) == []


async def test_the_longest_answer_can_be_owed(jobs: Jobs, conn: Connection) -> None:
    chat, turn_id = await bound_turn(jobs, conn, "telegram")
    await chats.answer(conn, chat, turn_id, "\x01" * chats.MAX_ANSWER_CHARS)
    (owed,) = await list_deliveries(conn)
    assert len(owed.payload["text"]) == chats.MAX_ANSWER_CHARS


async def test_the_same_thing_is_owed_once_with_the_number_of_the_first(conn: Connection, database: Database) -> None:
    async def try_it(n: int) -> Owed | None:
        async with database.connection() as own:
            return await owe(own, owed_for="turn:1", kind="answer", payload={"n": n}, user_id="ada", account="bot")

    owed = await asyncio.gather(*(try_it(n) for n in range(5)))
    (kept,) = await list_deliveries(conn)
    assert (sum(map(bool, owed)), owed[kept.payload["n"]], kept.account) == (1, Owed(kept.id, ()), "bot")


async def test_deliveries_are_listed_by_state_and_page(conn: Connection) -> None:
    for n in range(4):
        await owe(conn, owed_for=f"turn:{n}", kind="answer", payload={}, user_id=None)
    await execute(conn, "UPDATE jobs.deliveries SET state = 'failed' WHERE owed_for IN ('turn:0', 'turn:2')")
    newest = await list_deliveries(conn, limit=2)
    assert [one.owed_for for one in newest] == ["turn:3", "turn:2"]
    older = await list_deliveries(conn, before_id=newest[-1].id, states=["failed"])
    assert [one.owed_for for one in older] == ["turn:0"]
    assert len({row["random_id"] for row in await fetch(conn, "SELECT random_id FROM jobs.deliveries")}) == 4
