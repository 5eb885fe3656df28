"""Lists of chats and their titles."""

import pytest

from assistant.chat_list import find_chat, list_chats, rename
from assistant.errors import NoSuchChat
from jobs_core import Connection, InvalidInput, Jobs, execute
from tests.database.test_stops import say


async def test_chats_are_listed_newest_first_in_pages(jobs: Jobs, conn: Connection) -> None:
    """Those of the same moment, too: a page goes on behind the last one's id."""
    ids = [(await say(jobs, f"message {n}", user_id="ada" if n % 2 else "bob")).session_id for n in range(6)]
    await execute(conn, "UPDATE jobs.chat_sessions SET created_at = '2026-01-01' WHERE user_id = 'ada'")
    adas = sorted(ids[1::2], reverse=True)
    everyone = [*reversed(ids[::2]), *adas]
    assert [chat.session_id for chat in await list_chats(conn)] == everyone
    found, before = list[str](), None
    while page := await list_chats(conn, limit=2, before=before):
        assert len(page) == 2
        found += [chat.session_id for chat in page]
        before = found[-1]
    assert found == everyone
    assert [chat.session_id for chat in await list_chats(conn, user_id="ada", before=adas[0])] == adas[1:]
    assert await list_chats(conn, user_id="eve") == []
    with pytest.raises(NoSuchChat):
        await list_chats(conn, before="web_unknown")


async def test_a_list_shows_what_was_said_last(jobs: Jobs, conn: Connection) -> None:
    received = await say(jobs, "hello")
    await say(jobs, "é" * 300, received.session_id)
    (chat,) = await list_chats(conn)
    assert (chat.last_message, chat.title) == ("é" * 200, None)
    assert chat.last_message_at
    await execute(conn, "DELETE FROM jobs.chat_message_history")
    (chat,) = await list_chats(conn)
    assert (chat.last_message, chat.last_message_at) == (None, None)


async def test_a_chat_is_named_and_renamed(jobs: Jobs, conn: Connection) -> None:
    chat = (await say(jobs, "hello")).session_id
    for title, kept in ((" Tax returns ", "Tax returns"), ("👩‍🚀 2026", "👩‍🚀 2026"), (None, None)):
        await rename(conn, chat, title)
        assert (await find_chat(conn, chat)).title == kept
    with pytest.raises(NoSuchChat):
        await rename(conn, "web_unknown", "x")


async def test_a_title_that_a_terminal_or_a_page_would_obey_is_refused(jobs: Jobs, conn: Connection) -> None:
    chat = (await say(jobs, "hello")).session_id
    for title in ("", "  ", "a\nb", "a\x1b[2J", "a\0", "\u202egnp", "\ud800", "x" * 201):
        with pytest.raises(InvalidInput) as caught:
            await rename(conn, chat, title)
        assert caught.value.field == "title"
    assert (await find_chat(conn, chat)).title is None
