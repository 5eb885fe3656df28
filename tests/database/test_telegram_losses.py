"""Updates that come twice, late, in another order or not at all: each message is taken in once, in its chat's order."""

import asyncio
import random
from typing import Any
from uuid import uuid4

import pytest
from telethon.tl.functions.messages import GetMessagesRequest

from assistant import chats
from gateways.telegram import ingress
from gateways.telegram.session import AccountSession, Progress, save_states
from jobs_core import Connection, Database, fetch, fetch_one
from tests.support.telegram import Telegram
from tests.support.telegram.people import Account
from tests.support.telegram.posts import Post
from tests.support.telegram_door import door, logged_in, said_comes

MESSAGES, CHATS, DISCONNECTS = 2_000, 50, 12


async def test_through_losses_doubles_and_cuts_each_message_is_one_in_its_chats_order(
    database: Database, conn: Connection
) -> None:
    """Each is bound to one turn besides, by whichever of the jobs that came with them binds first."""
    chance = random.Random(7)
    async with Telegram() as telegram:
        bot = telegram.bot()
        people = [telegram.person(f"P{n}") for n in range(CHATS)]
        await logged_in(database, telegram, bot)
        telegram.faults.shake(bot, seed=7, drop=0.05, double=0.05, reverse=0.05)
        async with door(database) as opened:
            await opened.holds("bot")
            for n in range(MESSAGES):
                telegram.say(chance.choice(people), str(n), to=bot)
                if n % 10 == 0:
                    await asyncio.sleep(0)
                if n % (MESSAGES // DISCONNECTS) == 100:
                    await said_comes(database, n // 2)
                    telegram.disconnect(bot)
            telegram.faults.shake(bot, seed=7)
            opened.look_for_missed("bot")
            await said_comes(database, MESSAGES)
    rows = await fetch(
        conn, "SELECT session_id, content FROM jobs.chat_message_history WHERE type = 'human' ORDER BY id"
    )
    assert sorted(int(row["content"]) for row in rows) == list(range(MESSAGES))
    for person in people:
        theirs = [int(row["content"]) for row in rows if row["session_id"] == f"telegram_{person.id}"]
        assert theirs == sorted(theirs)
    await bind_all(conn)
    (unbound,) = await fetch(conn, "SELECT count(*) AS n FROM jobs.chat_message_history WHERE turn_id IS NULL")
    jobs_made = await fetch_one(conn, "SELECT count(*) AS n FROM jobs.jobs WHERE job_type = 'chat_turn'")
    assert (unbound["n"], jobs_made) == (0, {"n": MESSAGES})


async def bind_all(conn: Connection) -> None:
    """Bind as the jobs' runs do: each chat's first one takes all."""
    rows = await fetch(conn, "SELECT session_id FROM jobs.chat_sessions")
    for row in rows:
        while await chats.bind(conn, row["session_id"], uuid4()):
            pass


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
        monkeypatch.setattr(ingress, "take", hang)
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
