"""What people write by Telegram, from the update to the message and its job."""

from typing import Any
from unittest.mock import MagicMock

import pytest
from telethon import types

from assistant.notifications import list_notifications
from jobs_core import Connection, Database, fetch
from tests.support.telegram import Telegram, show
from tests.support.telegram.posts import now
from tests.support.telegram_door import door, logged_in, said, said_comes
from tests.support.worker import until

TAKEN = "SELECT chat_id, message_id, direction, sender_id, session_id FROM jobs.telegram_messages ORDER BY message_id"
JOBS = "SELECT job_type, lane, user_id FROM jobs.jobs ORDER BY id"


async def test_a_private_message_is_one_message_of_its_chat_and_one_job(database: Database, conn: Connection) -> None:
    async with Telegram() as telegram:
        bot, alice = telegram.bot(), telegram.person("Alice")
        await logged_in(database, telegram, bot)
        async with door(database):
            telegram.say(alice, "What is new?", to=bot)
            assert await said_comes(database, 1) == ["What is new?"]
    (taken,) = await fetch(conn, TAKEN)
    chat = f"telegram_{alice.id}"
    assert taken == {
        "chat_id": alice.id,
        "message_id": 1,
        "direction": "in",
        "sender_id": alice.id,
        "session_id": chat,
    }
    (user,) = await fetch(conn, "SELECT id, name, role, tg_user_id FROM jobs.users")
    assert (user["name"], user["role"], user["tg_user_id"]) == ("Alice", "external", alice.id)
    assert await fetch(conn, JOBS) == [{"job_type": "chat_turn", "lane": f"turn:{chat}", "user_id": user["id"]}]


async def test_what_came_while_nobody_held_the_account_is_taken_in_once(database: Database) -> None:
    async with Telegram() as telegram:
        bot, alice = telegram.bot(), telegram.person("Alice")
        await logged_in(database, telegram, bot)
        async with door(database):
            telegram.say(alice, "one", to=bot)
            await said_comes(database, 1)
        telegram.say(alice, "two", to=bot)
        telegram.say(alice, "three", to=bot)
        async with door(database):
            await said_comes(database, 3)
    assert await said(database) == ["one", "two", "three"]


async def test_what_fails_after_the_commit_is_not_told_as_a_message_that_was_not_taken_in(
    database: Database, conn: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with Telegram() as telegram:
        bot, alice = telegram.bot(), telegram.person("Alice")
        await logged_in(database, telegram, bot)
        async with door(database) as opened:
            with monkeypatch.context() as patch:
                patch.setattr(opened.jobs.notifier, "wake", MagicMock(side_effect=ConnectionResetError))
                telegram.say(alice, "one", to=bot)
                await said_comes(database, 1)
                telegram.say(alice, "two", to=bot)  # once it was dealt with
                await said_comes(database, 2)
            telegram.say(alice, "three", to=bot)
            assert await said_comes(database, 3) == ["one", "two", "three"]
    assert await list_notifications(conn) == []


async def test_a_short_update_is_given_its_sender_and_of_a_bot_nothing_is_taken_in(
    database: Database, conn: Connection
) -> None:
    """Telegram sends them to user accounts, and says nothing in them of who it is."""
    async with Telegram() as telegram:
        me, alice, other = telegram.user("4912345", "Me"), telegram.person("Alice"), telegram.bot("43:t", "OtherBot")
        await logged_in(database, telegram, me, "me")
        async with door(database) as opened:
            await opened.holds("me")
            for who, text in ((other, "I am a bot"), (alice, "I am not")):
                telegram.faults.updates(me).drop = 1
                telegram.say(who, text, to=me)
                number, pts = len(me.mailbox.ids), me.mailbox.pts
                short = types.UpdateShortMessage(number, who.id, text, pts, 1, now())
                for connection in telegram.server.connections(me):
                    connection.push(short)
            assert await said_comes(database, 1) == ["I am not"]
    (user,) = await fetch(conn, "SELECT name FROM jobs.users")
    assert user == {"name": "Alice"}
    assert await fetch(conn, "SELECT name FROM jobs.telegram_peers WHERE peer_id = %(id)s", {"id": alice.id})


async def test_whom_a_group_has_told_of_without_a_way_to_write_to_them_is_asked_for(
    database: Database, conn: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Telegram tells a group's members of each other in short."""
    entities = show.entities

    def in_short(*given: Any) -> Any:
        named = entities(*given)
        for user in named["users"]:
            user.min = True
        return {**named, "users": [*named["users"], types.UserEmpty(5)]}

    async with Telegram() as telegram:
        me, alice = telegram.user("4912345", "Me"), telegram.person("Alice")
        group = telegram.group("G", me, alice)
        await logged_in(database, telegram, me, "me")
        async with door(database) as opened:
            client: Any = await opened.holds("me")
            with monkeypatch.context() as patch:
                patch.setattr(show, "entities", in_short)
                telegram.say(alice, "to others", to=group)
                await until(lambda: has_seen(client))
            telegram.faults.updates(me).drop = 1
            telegram.say(alice, "to you", to=me)
            short = types.UpdateShortMessage(len(me.mailbox.ids), alice.id, "to you", me.mailbox.pts, 1, now())
            for connection in telegram.server.connections(me):
                connection.push(short)
            await said_comes(database, 1)
    assert await fetch(conn, "SELECT name FROM jobs.telegram_peers WHERE peer_id = %(id)s", {"id": alice.id})


async def has_seen(client: Any) -> bool:
    """Whether something has come."""
    return bool(client._on_batch.__self__.seen)
