"""Chats on a real Postgres: what is said comes with its job, is bound once, and ends once."""

import asyncio
from typing import Any
from uuid import UUID, uuid4

import pytest

from assistant import chat_history, chats
from assistant.chat_history import Reply
from assistant.chats import CHAT_TURN
from assistant.errors import ChatClosed, NoSuchChat
from jobs_core import Connection, Database, InvalidInput, Jobs, execute, fetch
from jobs_core.look import find
from tests.support.database import Undone
from tests.support.mutants import mutated


async def say(jobs: Jobs, message: str, session_id: str | None = None, **changes: Any) -> chats.Received:
    """Say something in a transaction of its own, as a door does."""
    given: dict[str, Any] = {"channel": "web", "user_id": "ada", **changes}
    async with jobs.database.transaction() as conn:
        return await chats.receive(conn, jobs, session_id=session_id, message=message, **given)


async def count(conn: Connection, table: str) -> int:
    return len(await fetch(conn, f"SELECT FROM jobs.{table}"))


async def bind(conn: Connection, session_id: str) -> tuple[UUID, list[str]]:
    turn_id = uuid4()
    async with conn.transaction():
        return turn_id, [said.content for said in await chats.bind(conn, session_id, turn_id)]


async def test_a_message_comes_with_its_job_in_the_lane_of_its_chat(jobs: Jobs, conn: Connection) -> None:
    first = await say(jobs, "hello")
    second = await say(jobs, "and?", first.session_id)
    assert first.session_id.startswith("web_")
    assert second.session_id == first.session_id
    views = [await find(conn, received.job.id) for received in (first, second)]
    assert [(view.job_type, view.queue, view.lane, view.state, view.user_id) for view in views if view] == [
        (CHAT_TURN.name, "chat", f"turn:{first.session_id}", state, "ada") for state in ("pending", "blocked")
    ]
    (chat,) = await fetch(conn, "SELECT claude_session_id FROM jobs.chat_sessions")
    assert await fetch(conn, "SELECT id FROM jobs.sessions") == [{"id": chat["claude_session_id"]}]


async def test_a_message_whose_transaction_is_rolled_back_leaves_nothing(jobs: Jobs, conn: Connection) -> None:
    with pytest.raises(Undone):
        async with jobs.database.transaction() as own:
            await chats.receive(own, jobs, session_id=None, channel="web", message="hello", user_id=None)
            raise Undone
    assert [await count(conn, table) for table in ("chat_sessions", "chat_message_history", "jobs", "sessions")] == [
        0
    ] * 4


@pytest.mark.parametrize("message", ["", " \n", "a\0b", "\ud800", "é" * (chats.MAX_MESSAGE_BYTES // 2 + 1)])
async def test_a_message_that_cannot_be_kept_is_refused_by_name(jobs: Jobs, conn: Connection, message: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        await say(jobs, message)
    assert caught.value.field == "message"
    assert await count(conn, "chat_sessions") == 0


async def test_a_message_to_no_chat_another_channels_or_a_closed_one_is_refused(jobs: Jobs, conn: Connection) -> None:
    chat = (await say(jobs, "hello")).session_id
    with pytest.raises(NoSuchChat):
        await say(jobs, "hello", "web_unknown")
    with pytest.raises(NoSuchChat):
        await say(jobs, "hello", chat, channel="telegram")
    await execute(conn, "UPDATE jobs.chat_sessions SET is_active = false")
    with pytest.raises(ChatClosed):
        await say(jobs, "hello", chat)
    with pytest.raises(InvalidInput):
        await say(jobs, "hello", "a\0b")
    assert await count(conn, "chat_message_history") == await count(conn, "jobs") == 1


async def test_a_turn_binds_all_that_was_said_in_its_chat_in_order_and_for_good(jobs: Jobs, conn: Connection) -> None:
    chat = (await say(jobs, "one")).session_id
    await say(jobs, "two", chat)
    await say(jobs, "elsewhere")
    turn, bound = await bind(conn, chat)
    assert bound == ["one", "two"]
    assert (await bind(conn, chat))[1] == []
    await say(jobs, "three", chat)
    assert (await bind(conn, chat))[1] == ["three"]
    assert [said.content for said in await chats.bound(conn, turn)] == ["one", "two"]


async def test_messages_that_come_while_turns_bind_are_each_bound_to_exactly_one(
    jobs: Jobs, database: Database
) -> None:
    """Without `turn_id IS NULL` in the update a later turn takes messages from an earlier one."""
    chat = (await say(jobs, "first")).session_id
    taken = list[str]()

    async def write(writer: int) -> None:
        for number in range(10):
            await say(jobs, f"{writer}.{number}", chat)

    async def take() -> None:
        async with database.connection() as own:
            while len(taken) < 41:
                taken.extend((await bind(own, chat))[1])

    async with asyncio.timeout(60):
        await asyncio.gather(*(write(writer) for writer in range(4)), take(), take())
    assert len(taken) == len(set(taken)) == 41


async def test_a_bind_that_does_not_look_whether_a_turn_has_it_is_caught(jobs: Jobs, conn: Connection) -> None:
    chat = (await say(jobs, "one")).session_id
    with mutated(
        (" AND turn_id IS NULL\n    WINDOW", "\n    WINDOW"), (" AND turn_id IS NULL AND ended_at IS NULL", "")
    ):
        await bind(conn, chat)
        assert (await bind(conn, chat))[1] == ["one"]


async def test_an_answer_is_the_reply_to_every_message_of_its_turn(jobs: Jobs, conn: Connection) -> None:
    first = await say(jobs, "one")
    second = await say(jobs, "two", first.session_id)
    turn, _ = await bind(conn, first.session_id)
    ids = [first.message_id, second.message_id]
    assert await chat_history.replies_to(conn, ids) == {}
    await chats.answer(conn, first.session_id, turn, "both\0")
    third = await say(jobs, "three", first.session_id)
    said = Reply("answered", "both\N{REPLACEMENT CHARACTER}")
    assert await chat_history.replies_to(conn, [*ids, third.message_id]) == dict.fromkeys(ids, said)


async def test_a_turn_is_answered_once(jobs: Jobs, conn: Connection) -> None:
    chat = (await say(jobs, "one")).session_id
    turn, _ = await bind(conn, chat)
    await chats.answer(conn, chat, turn, "yes")
    with pytest.raises(Exception, match="chat_message_history_end"):
        await chats.answer(conn, chat, turn, "no")
    await chats.fail(conn, chat, turn, "too late")
    assert [line.content for line in await chat_history.newest(conn, chat)] == ["one", "yes"]
    await execute(conn, "DROP INDEX jobs.chat_message_history_end")
    await chats.answer(conn, chat, turn, "no")  # the index is what refuses it


async def test_a_turn_that_failed_says_so_once_and_its_messages_are_not_bound_again(
    jobs: Jobs, conn: Connection
) -> None:
    received = await say(jobs, "one")
    turn, _ = await bind(conn, received.session_id)
    assert await chats.left_turns(conn, received.session_id) == [turn]
    for _ in range(2):
        await chats.fail(conn, received.session_id, turn, "no key")
    assert await chats.left_turns(conn, received.session_id) == []
    assert (await bind(conn, received.session_id))[1] == []
    reply = Reply("failed", "This could not be answered: no key")
    assert await chat_history.replies_to(conn, [received.message_id]) == {received.message_id: reply}
    lines = await chat_history.newest(conn, received.session_id)
    assert [(line.type, line.state) for line in lines] == [("human", "failed"), ("system", None)]


async def test_history_is_read_from_its_newest_end_in_pages(jobs: Jobs, conn: Connection) -> None:
    chat = (await say(jobs, "1")).session_id
    for number in range(2, 6):
        await say(jobs, str(number), chat)
    page = await chat_history.newest(conn, chat, limit=2)
    assert [(line.content, line.state) for line in page] == [("4", "waiting"), ("5", "waiting")]
    page = await chat_history.newest(conn, chat, limit=9, before_id=page[0].id)
    assert [line.content for line in page] == ["1", "2", "3"]
    with pytest.raises(NoSuchChat):
        await chat_history.newest(conn, "web_unknown")
