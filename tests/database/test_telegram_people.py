"""Who is heard by Telegram: strangers held until an owner presses a button, the owner by a code; presses of others."""

import pytest
from telethon.tl.functions.upload import GetFileRequest

from assistant import pairing
from assistant.deliveries import list_deliveries
from assistant.held import Verdict, answer
from assistant.people import contact, list_users, owner, set_role
from assistant.person_links import link, unlink
from assistant.recipients import recipient, ways_to
from jobs_core import Connection, Database, fetch
from tests.support.pictures import PNG
from tests.support.telegram import Telegram
from tests.support.telegram_door import door, logged_in, said, said_comes
from tests.support.worker import until

WAITING = "SELECT content FROM jobs.telegram_waiting"


async def test_a_stranger_is_answered_when_an_owner_has_pressed_the_button(
    database: Database, conn: Connection
) -> None:
    async with Telegram() as telegram:
        bot, owner, eve = telegram.bot(), telegram.person("Owner"), telegram.person("Eve")
        await logged_in(database, telegram, bot)
        settings = {"owner_tg_user_id": owner.id, "unknown_senders": "hold"}
        async with door(database, sends=True, **settings):
            telegram.say(owner, "/whoami", to=bot)
            await telegram.until(lambda: len(telegram.sent(to=owner)) == 1)
            telegram.say(eve, "Hello?", to=bot)
            await telegram.until(lambda: len(telegram.sent(to=owner)) == 2)
            card = telegram.sent(to=owner)[1]
            telegram.say(eve, "Anybody?", to=bot)
            telegram.say(eve, "/status", to=bot)
            await until(lambda: is_kept(conn, 3))
            theirs = telegram.press_data(card, card.callback("Allow"), by=eve)
            assert "not yours" in (await theirs.answer).message
            assert await said(database) == []
            press = telegram.press(card, "Allow", by=owner)
            assert (await press.answer).message.startswith("Allowed.")
            assert await said_comes(database, 3) == ["Hello?", "Anybody?", "/status"]
            again = telegram.press_data(card, press.data, by=owner)
            assert "already" in (await again.answer).message
            telegram.say(eve, "Good.", to=bot)
            assert (await said_comes(database, 4))[-1] == "Good."
        assert "role owner" in telegram.sent(to=owner)[0].text
        assert telegram.sent(to=eve) == []
    presses = await fetch(conn, "SELECT sender_id FROM jobs.telegram_presses ORDER BY created_at")
    assert [row["sender_id"] for row in presses] == [eve.id, owner.id, owner.id]


async def test_what_a_stranger_changed_and_sent_besides_words_comes_with_the_rest_when_they_are_allowed(
    database: Database, conn: Connection
) -> None:
    async with Telegram() as telegram:
        bot, eve = telegram.bot(), telegram.person("Eve")
        await logged_in(database, telegram, bot)
        async with door(database, sends=True, unknown_senders="hold") as opened:
            first = telegram.say(eve, "Hallo?", to=bot)
            telegram.say(eve, "look", to=bot, file=telegram.photo(PNG))
            for nth in range(2):
                telegram.say(eve, "" if nth else "more", to=bot, file=telegram.photo(PNG), album=5)
            telegram.say(eve, "bye", to=bot)
            await until(lambda: is_kept(conn, 4))
            telegram.edit(first, "Hello?")
            await until(lambda: waits_as(conn, "Hello?"))
            assert await said(database) == []
            assert not any(isinstance(one, GetFileRequest) for one in telegram.server.requests)
            async with conn.transaction():
                (held,) = await list_users(conn, admission="held")
                answered = await answer(conn, opened.jobs, held.id, "allowed", "somebody")
            answered.wake()
            assert await said_comes(database, 4) == ["Hello?", "look", "more", "bye"]
            telegram.edit(first, "Hello, you?")
            await until(lambda: stands_first(database, "Hello, you?"))
    rows = await fetch(conn, "SELECT file_bytes FROM jobs.chat_message_history WHERE type = 'human' ORDER BY id")
    assert [row["file_bytes"] // len(PNG) for row in rows] == [0, 1, 2, 0]
    assert (await fetch(conn, "SELECT FROM jobs.held_messages"), await fetch(conn, WAITING)) == ([], [])


@pytest.mark.parametrize("verdict", ["denied", "blocked"])
async def test_of_who_is_not_allowed_nothing_is_left(database: Database, conn: Connection, verdict: Verdict) -> None:
    async with Telegram() as telegram:
        bot, eve = telegram.bot(), telegram.person("Eve")
        await logged_in(database, telegram, bot)
        async with door(database, unknown_senders="hold") as opened:
            telegram.say(eve, "look", to=bot, file=telegram.photo(PNG))
            await until(lambda: waits_as(conn, "look"))
            async with conn.transaction():
                (held,) = await list_users(conn, admission="held")
                await answer(conn, opened.jobs, held.id, verdict, "somebody")
    left = "SELECT FROM jobs.held_messages UNION ALL SELECT FROM jobs.telegram_waiting UNION ALL SELECT FROM jobs.media_files"
    assert await fetch(conn, left) == []


async def test_what_was_kept_of_whoever_becomes_an_owner_otherwise_comes_with_the_next_word(
    database: Database, conn: Connection
) -> None:
    async with Telegram() as telegram:
        bot, eve = telegram.bot(), telegram.person("Eve")
        await logged_in(database, telegram, bot)
        async with door(database, sends=True, unknown_senders="hold"):
            telegram.say(eve, "first", to=bot)
            await until(lambda: is_kept(conn, 1))
            async with conn.transaction():
                (held,) = await list_users(conn, admission="held")
                await set_role(conn, held.id, "owner")
            telegram.say(eve, "second", to=bot)
            assert await said_comes(database, 2) == ["first", "second"]
    assert [user.admission for user in await list_users(conn, role="owner")] == ["allowed"]


async def test_what_was_kept_of_whom_the_settings_name_the_owner_then_comes_with_their_next_word(
    database: Database, conn: Connection
) -> None:
    """They become whoever holds the web API's token, of whom nobody was ever asked."""
    async with Telegram() as telegram:
        bot, me = telegram.bot(), telegram.person("Me")
        await logged_in(database, telegram, bot)
        async with conn.transaction():
            await owner(conn)
        async with door(database, sends=True, unknown_senders="hold"):
            telegram.say(me, "first", to=bot)
            await until(lambda: is_kept(conn, 1))
        async with door(database, sends=True, unknown_senders="hold", owner_tg_user_id=me.id):
            telegram.say(me, "second", to=bot)
            assert await said_comes(database, 2) == ["first", "second"]
    assert await fetch(conn, "SELECT FROM jobs.contact_requests WHERE state = 'open'") == []


@pytest.mark.parametrize("unknown", ["hold", "serve"])
async def test_what_was_kept_of_whoever_is_linked_to_somebody_who_is_heard_is_not_lost(
    database: Database, conn: Connection, unknown: str
) -> None:
    """It comes before their next word where an owner has allowed that person, else when one does."""
    async with Telegram() as telegram:
        bot, eve = telegram.bot(), telegram.person("Eve")
        await logged_in(database, telegram, bot)
        async with door(database, sends=True, unknown_senders="hold") as opened:
            telegram.say(eve, "first", to=bot)
            await until(lambda: is_kept(conn, 1))
            async with conn.transaction():
                bob = await contact(conn, "telegram", "7", name="Bob", tg_user_id=7)
                if unknown == "hold":
                    await answer(conn, opened.jobs, bob.id, "allowed", "somebody")
                await link(conn, "telegram", str(eve.id), bob.id)
        async with door(database, sends=True, unknown_senders=unknown) as opened:
            telegram.say(eve, "second", to=bot)
            if unknown == "serve":
                assert await said_comes(database, 1) == ["second"]
                async with conn.transaction():
                    answered = await answer(conn, opened.jobs, bob.id, "allowed", "somebody")
                answered.wake()
            assert sorted(await said_comes(database, 2)) == ["first", "second"]
    assert await said(database) == (["first", "second"] if unknown == "hold" else ["second", "first"])
    assert await list_deliveries(conn) == []


async def test_a_number_that_was_unlinked_begins_anew_and_sees_nothing_of_whose_it_was(
    database: Database, conn: Connection
) -> None:
    async with Telegram() as telegram:
        bot, alice = telegram.bot(), telegram.person("Alice")
        await logged_in(database, telegram, bot)
        async with door(database):
            first = telegram.say(alice, "my secret", to=bot)
            await said_comes(database, 1)
            async with conn.transaction():
                before = await unlink(conn, "telegram", str(alice.id))
            telegram.say(alice, "/status", to=bot)
            telegram.say(alice, "What did I say?", to=bot, reply_to=first)
            await said_comes(database, 2)
            telegram.edit(first, "my other secret")
            telegram.say(alice, "/stop", to=bot)
            telegram.say(alice, "Nothing?", to=bot)
            assert await said_comes(database, 3) == [
                "my secret",
                "[In reply to:]\n> (a message that is not known here)\nWhat did I say?",
                "Nothing?",
            ]
    (now,) = [one for one in await list_users(conn) if one.id != before.id]
    place = f"telegram_{alice.id}"
    chats = await fetch(conn, "SELECT session_id, user_id FROM jobs.chat_sessions ORDER BY session_id")
    assert [(row["session_id"], row["user_id"]) for row in chats] == [
        (place, before.id),
        (f"{place}.{now.id}", now.id),
    ]
    assert "Everything you wrote is answered" in [one.payload["text"] for one in await list_deliveries(conn)][-1]
    assert [way.chat for way in await ways_to(conn, await recipient(conn, now.id))] == [f"{place}.{now.id}"]
    assert await ways_to(conn, await recipient(conn, before.id)) == []


async def waits_as(conn: Connection, words: str) -> bool:
    return words in [row["content"] for row in await fetch(conn, WAITING)]


async def stands_first(database: Database, words: str) -> bool:
    return (await said(database))[0] == words


async def is_kept(conn: Connection, count: int) -> bool:
    """Whether so much was kept of strangers."""
    rows = await fetch(conn, "SELECT count(*) AS n FROM jobs.held_messages")
    return bool(rows[0]["n"] >= count)


async def test_whoever_sends_the_code_is_the_owner_and_others_are_not(database: Database, conn: Connection) -> None:
    async with Telegram() as telegram:
        bot, phone, eve = telegram.bot(), telegram.person("Me"), telegram.person("Eve")
        await logged_in(database, telegram, bot)
        async with door(database, sends=True, unknown_senders="hold"):
            async with conn.transaction():
                code = await pairing.begin(conn)
            telegram.say(eve, "/start WRONGWRONG23", to=bot)
            words = telegram.say(phone, f"/start {code.code}", to=eve)
            telegram.say(eve, "", to=bot, forward_of=words)
            telegram.say(phone, f"/start {code.code}", to=bot)
            # A card of Eve may come first.
            await telegram.until(lambda: any("You are the owner now" in post.text for post in telegram.sent(to=phone)))
    owners = await list_users(conn, role="owner")
    assert [one.tg_user_id for one in owners] == [phone.id]
