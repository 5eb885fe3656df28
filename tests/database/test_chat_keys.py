"""A message that comes with a key is one message in its chat, however often it comes, on a real Postgres."""

import asyncio
from typing import Any

import pytest

from assistant import chats
from assistant.errors import ChatClosed, NoSuchChat
from jobs_core import Connection, Database, InvalidInput, Jobs, KeyReused, execute, fetch
from tests.support.database import until_blocked
from tests.support.mutants import mutated

KEY = "8e03978e-40d5-43dd-bc93-6894a57f9324"


async def receive(conn: Connection, jobs: Jobs, message: str = "hello", **changes: Any) -> chats.Received:
    given: dict[str, Any] = {"session_id": None, "channel": "web", "user_id": None, "idempotency_key": KEY, **changes}
    return await chats.receive(conn, jobs, message=message, **given)


async def say(jobs: Jobs, message: str = "hello", **changes: Any) -> chats.Received:
    """Say something in a transaction of its own, as a door does."""
    async with jobs.database.transaction() as conn:
        return await receive(conn, jobs, message, **changes)


async def counts(conn: Connection) -> list[int]:
    """How many chats, Claude sessions, messages and jobs there are."""
    tables = ("chat_sessions", "sessions", "chat_message_history", "jobs")
    return [len(await fetch(conn, f"SELECT FROM jobs.{table}")) for table in tables]


async def test_a_repeat_is_the_same_message_of_the_same_job_in_the_chat_that_it_began(
    jobs: Jobs, conn: Connection
) -> None:
    first, second = await say(jobs), await say(jobs)
    assert first.job is not None
    assert second == chats.Received(first.session_id, first.message_id, first.job.id, None)
    assert await counts(conn) == [1, 1, 1, 1]
    assert (await say(jobs, session_id=first.session_id)).message_id == first.message_id


async def test_a_repeat_after_its_turn_and_job_have_ended_is_still_that_message(jobs: Jobs, conn: Connection) -> None:
    first = await say(jobs)
    await execute(conn, "DELETE FROM jobs.jobs")
    await execute(conn, "UPDATE jobs.chat_sessions SET is_active = false")
    second = await say(jobs)
    assert (second.message_id, second.job_id, second.job) == (first.message_id, first.job_id, None)
    with pytest.raises(ChatClosed):
        await say(jobs, session_id=first.session_id, idempotency_key="another")


async def test_a_key_is_one_chats_and_one_beginners_alone(jobs: Jobs, conn: Connection) -> None:
    begun = [await say(jobs, user_id=user) for user in (None, "ada", "bob")]
    assert len({received.session_id for received in begun}) == 3
    other = await say(jobs, idempotency_key=None)
    inside = [await say(jobs, session_id=other.session_id) for _ in range(2)]
    assert inside[0].message_id == inside[1].message_id
    assert await counts(conn) == [4, 4, 5, 5]


async def test_messages_without_a_key_are_each_their_own(jobs: Jobs, conn: Connection) -> None:
    first = await say(jobs, idempotency_key=None)
    await say(jobs, idempotency_key=None, session_id=first.session_id)
    await say(jobs, idempotency_key=None)
    assert await counts(conn) == [2, 2, 3, 3]
    assert await fetch(conn, "SELECT FROM jobs.chat_message_history WHERE job_id IS NOT NULL") == []


async def test_the_same_key_with_another_text_is_refused_and_nothing_written(jobs: Jobs, conn: Connection) -> None:
    first = await say(jobs)
    with pytest.raises(KeyReused, match=f"was given to message {first.message_id}, with another text") as refused:
        await say(jobs, "another")
    assert refused.value.field == "idempotency_key"
    assert await counts(conn) == [1, 1, 1, 1]


async def test_a_repeat_on_another_channel_or_with_an_unfit_key_is_refused(jobs: Jobs, conn: Connection) -> None:
    first = await say(jobs)
    with pytest.raises(NoSuchChat):
        await say(jobs, session_id=first.session_id, channel="telegram")
    for key in ("k" * 201, "\0"):
        with pytest.raises(InvalidInput, match=r"^idempotency_key: "):
            await say(jobs, idempotency_key=key)
    assert await counts(conn) == [1, 1, 1, 1]


async def twice_at_once(jobs: Jobs, database: Database, conn: Connection, session_id: str | None) -> bool:
    """Whether a second call, which comes before the first has committed, is the same message."""
    async with database.transaction() as own:
        first = await receive(own, jobs, session_id=session_id)
        repeat = asyncio.create_task(say(jobs, session_id=session_id))
        await until_blocked(conn)
    second = await repeat
    return (first.session_id, first.message_id, first.job_id) == (second.session_id, second.message_id, second.job_id)


async def test_two_at_once_are_one_message_in_a_chat_that_is_there_and_in_a_new_one(
    jobs: Jobs, database: Database, conn: Connection
) -> None:
    there = (await say(jobs, idempotency_key=None)).session_id
    assert await twice_at_once(jobs, database, conn, there)
    assert await counts(conn) == [1, 1, 2, 2]
    assert await twice_at_once(jobs, database, conn, None)
    assert await counts(conn) == [2, 2, 3, 3]


async def test_without_its_index_a_message_sent_twice_at_once_would_stand_twice(
    jobs: Jobs, database: Database, conn: Connection
) -> None:
    there = (await say(jobs, idempotency_key=None)).session_id
    await execute(conn, "DROP INDEX jobs.chat_message_history_key")
    with mutated(("ON CONFLICT (session_id, idempotency_key) WHERE idempotency_key IS NOT NULL DO NOTHING\n", "")):
        assert not await twice_at_once(jobs, database, conn, there)
    assert await counts(conn) == [1, 1, 3, 3]
