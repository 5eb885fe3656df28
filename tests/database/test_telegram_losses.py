"""Updates that come twice, late, in another order or not at all: each message is taken in once, in its chat's order."""

import asyncio
from typing import Any
from unittest.mock import Mock

import pytest
from telethon.tl.functions.messages import GetMessagesRequest

from gateways.telegram import ingress, reconcile
from gateways.telegram.session import AccountSession, Progress, save_states
from jobs_core import Connection, Database
from tests.support.telegram import Telegram
from tests.support.telegram.people import Account
from tests.support.telegram.posts import Post
from tests.support.telegram_door import door, logged_in, said_comes
from tests.support.telegram_storm import Storm, blow


async def test_through_losses_doubles_cuts_and_restarts_each_message_is_one_and_each_turn_answered_once(
    database: Database,
) -> None:
    """R26; the whole of it is `./jobs drill telegram`."""
    assert await blow(database, Storm(messages=2_000, chats=50, disconnects=12, restarts=2, seed=7)) == []


async def crash_with(database: Database, telegram: Telegram, bot: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    """Say two things; the process is gone after the second was received and before anything of it is committed."""
    alice = telegram.person("Alice")
    reached = asyncio.Event()

    async def hang(*_: object) -> None:
        reached.set()
        await asyncio.Event().wait()

    async with door(database) as opened:
        await opened.holds("bot")
        telegram.say(alice, "one", to=bot)
        await said_comes(database, 1)
        monkeypatch.setattr(ingress.Ingress, "_take_in_all", hang)
        telegram.say(alice, "two", to=bot)
        await reached.wait()
    monkeypatch.undo()


async def test_what_was_received_and_not_committed_comes_again(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """K1."""
    async with Telegram() as telegram:
        bot = telegram.bot()
        await logged_in(database, telegram, bot)
        await crash_with(database, telegram, bot, monkeypatch)
        async with door(database):
            assert await said_comes(database, 2) == ["one", "two"]


async def test_with_the_states_that_telethon_saves_a_crash_would_lose_messages(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The mutant: a session that keeps what Telethon hands it, as those that come with it do."""
    saved: dict[int, Progress] = {}

    def keep(_: AccountSession, entity_id: int, state: Any) -> None:
        saved[entity_id] = Progress(state.pts, state.qts, state.date, state.seq)

    async with Telegram() as telegram:
        bot = telegram.bot()
        await logged_in(database, telegram, bot)
        monkeypatch.setattr(AccountSession, "set_update_state", keep)
        await crash_with(database, telegram, bot, monkeypatch)
        async with database.connection() as conn:
            await save_states(conn, "bot", saved)
        async with door(database) as opened:
            await opened.holds("bot")
            telegram.say(telegram.person("Bob"), "three", to=bot)
            assert await said_comes(database, 2) == ["one", "three"]


async def test_an_update_that_telegram_never_told_is_found_by_its_id(database: Database, conn: Connection) -> None:
    """Its pts is known, so that no difference brings it; a later message shows that there is one."""
    async with Telegram() as telegram:
        bot, alice = telegram.bot(), telegram.person("Alice")
        await logged_in(database, telegram, bot)
        async with door(database) as opened:
            await opened.holds("bot")
            telegram.say(alice, "one", to=bot)
            await said_comes(database, 1)
            await opened.reconciled("bot")
            bot.mailbox.log.append(bot.mailbox.log[-1])  # a pts that is counted, and stands for nothing new
            lost = Post(sender=alice, chat=telegram.server.world.private(alice, bot), text="two")
            telegram.server.world.posts.append(lost)
            bot.mailbox.ids[lost] = 2
            bot.mailbox.posts[2] = lost
            telegram.say(alice, "three", to=bot)
            await said_comes(database, 2)
            await opened.reconciled("bot")
            await opened.reconciled("bot")
            assert sorted(await said_comes(database, 3)) == ["one", "three", "two"]
            asked = [one for one in telegram.server.requests if isinstance(one, GetMessagesRequest)]
            await opened.reconciled("bot")
            assert [one.id[0].id for one in asked] == [2], "what was asked for once is not asked for again"


async def test_what_cannot_be_read_is_looked_for_once_and_ends_nothing(database: Database) -> None:
    """Else the account broke each minute, for all who write to it."""
    async with Telegram() as telegram:
        bot, alice = telegram.bot(), telegram.person("Alice")
        group = telegram.group("B", bot, alice)
        await logged_in(database, telegram, bot)
        async with door(database) as opened:
            await opened.holds("bot")
            telegram.say(alice, "one", to=bot)
            await said_comes(database, 1)
            await opened.reconciled("bot")
            telegram.say(alice, "to others", to=group)
            telegram.say(alice, "two", to=bot)
            await said_comes(database, 2)
        async with door(database) as opened:  # which has not seen it come
            await opened.holds("bot")
            await opened.reconciled("bot")
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(reconcile, "read_message", Mock(side_effect=ValueError))
                await opened.reconciled("bot")
            await opened.reconciled("bot")
        asked = [one for one in telegram.server.requests if isinstance(one, GetMessagesRequest)]
        assert [one.id[0].id for one in asked] == [2]


async def test_a_user_account_finds_what_came_last_and_was_not_told(database: Database) -> None:
    """No later message shows that there is one; its dialogs do."""
    async with Telegram() as telegram:
        me, alice = telegram.user("4912345", "Me"), telegram.person("Alice")
        await logged_in(database, telegram, me, "me")
        async with door(database) as opened:
            await opened.holds("me")
            telegram.say(alice, "one", to=me)
            await said_comes(database, 1)
            await opened.reconciled("me")
            telegram.faults.updates(me).drop = 1
            telegram.say(alice, "two", to=me)
            await opened.reconciled("me")
            assert await said_comes(database, 2) == ["one", "two"]


async def test_what_came_while_the_connection_was_broken_is_asked_for_when_it_is_there_again(
    database: Database,
) -> None:
    """Telethon by itself would learn of it with the next update."""
    async with Telegram() as telegram:
        bot, alice = telegram.bot(), telegram.person("Alice")
        await logged_in(database, telegram, bot)
        async with door(database) as opened:
            await opened.holds("bot")
            await opened.reconciled("bot")
            telegram.disconnect(bot)
            telegram.say(alice, "meanwhile", to=bot)
            assert await said_comes(database, 1) == ["meanwhile"]
