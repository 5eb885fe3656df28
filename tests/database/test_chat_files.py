"""Files in messages: kept beside the text, bound with it, and never in a job."""

from typing import Any
from uuid import uuid4

import pytest

from assistant import chat_history, chats
from assistant.content import File, Spoken, blocks_of, read_content
from jobs_core import Connection, Database, InvalidInput, Jobs, KeyReused, fetch
from tests.support.pictures import PDF, PNG
from tests.unit.test_content import block

PICTURE = File("image/png", PNG, None, 5)
LOOK = ["Look:", block(PNG, "image/png"), "Well?", block(PDF, "application/pdf", "document", title="a.pdf")]


async def say(jobs: Jobs, content: Any, session_id: str | None = None, key: str | None = None) -> chats.Received:
    said = read_content(content)
    async with jobs.database.transaction() as conn:
        return await chats.receive(
            conn,
            jobs,
            session_id=session_id,
            channel="web",
            message=said.text,
            files=said.files,
            user_id=None,
            idempotency_key=key,
        )


async def bind(conn: Connection, chat: str) -> list[chats.Said]:
    async with conn.transaction():
        return await chats.bind(conn, chat, uuid4())


async def test_files_are_bound_with_their_messages_and_stand_in_the_prompt_where_they_were_said(
    jobs: Jobs, conn: Connection
) -> None:
    first = await say(jobs, LOOK)
    await say(jobs, "And?", first.session_id)
    said = await bind(conn, first.session_id)
    assert chats.prompt_of(said) == blocks_of([read_content(LOOK), Spoken("And?")])
    (row,) = await fetch(conn, "SELECT turn_id FROM jobs.chat_message_history WHERE file_bytes > 0")
    assert await chats.bound(conn, row["turn_id"]) == said
    assert (await chat_history.newest(conn, first.session_id))[0].files == [
        chat_history.FileNote("image/png", None, len(PNG)),
        chat_history.FileNote("application/pdf", "a.pdf", len(PDF)),
    ]
    inputs = await fetch(conn, "SELECT input FROM jobs.jobs")
    assert [row["input"] for row in inputs] == [{"session_id": first.session_id}] * 2


async def test_a_picture_needs_no_words(jobs: Jobs, conn: Connection) -> None:
    received = await say(jobs, [block(PNG, "image/png")])
    assert chats.prompt_of(await bind(conn, received.session_id)) == [block(PNG, "image/png")]
    with pytest.raises(InvalidInput):
        await say(jobs, [" "])


async def test_a_repeat_brings_the_same_files_or_is_refused(jobs: Jobs, conn: Connection) -> None:
    first = await say(jobs, LOOK, key="k")
    assert (await say(jobs, LOOK, key="k")).message_id == first.message_id
    for other in (LOOK[:3], [*LOOK[:3], block(PDF, "application/pdf", "document")], [LOOK[1], "Look:", *LOOK[2:]]):
        with pytest.raises(KeyReused, match="other files"):
            await say(jobs, other, key="k")
    assert len(await fetch(conn, "SELECT FROM jobs.chat_files")) == 2


async def test_more_files_than_a_turn_takes_are_left_to_the_next(
    jobs: Jobs, conn: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chats, "MAX_FILES_BYTES", 2 * len(PNG))
    chat = (await say(jobs, [block(PNG, "image/png"), "0"])).session_id
    for number in range(1, 5):
        await say(jobs, [block(PNG, "image/png"), str(number)], chat)
    assert [[said.content for said in await bind(conn, chat)] for _ in range(4)] == [["0", "1"], ["2", "3"], ["4"], []]


async def test_a_message_whose_transaction_is_rolled_back_leaves_no_files(jobs: Jobs, database: Database) -> None:
    with pytest.raises(ZeroDivisionError):
        async with database.transaction() as conn:
            await chats.receive(conn, jobs, session_id=None, channel="web", message="x", files=[PICTURE], user_id=None)
            raise ZeroDivisionError
    async with database.connection() as conn:
        assert await fetch(conn, "SELECT FROM jobs.chat_files") == []
