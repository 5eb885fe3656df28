"""Who is heard by Telegram: strangers held until an owner presses a button, the owner by a code; presses of others."""

from assistant import pairing
from assistant.people import list_users
from jobs_core import Connection, Database, fetch
from tests.support.telegram import Telegram
from tests.support.telegram_door import door, logged_in, said, said_comes
from tests.support.worker import until


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
            await telegram.until(lambda: len(telegram.sent(to=phone)) >= 1)
        assert any("You are the owner now" in post.text for post in telegram.sent(to=phone))
    owners = await list_users(conn, role="owner")
    assert [one.tg_user_id for one in owners] == [phone.id]
