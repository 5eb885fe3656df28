"""Accounts: logged in, held by one process at a time, refused by Telegram, logged out."""

import asyncio
import base64
from collections.abc import Callable
from typing import Any

import pytest

from assistant.notifications import list_notifications
from cli import telegram_login
from cli.telegram_login import Wanted, log_in, log_out_account
from gateways.telegram import client, gateway, lease
from gateways.telegram.accounts import find_account, list_accounts
from gateways.telegram.errors import AccountLost, LoginFailed, NoSuchAccount
from gateways.telegram.lease import acquire, fence, release
from gateways.telegram.settings import TelegramSettings
from jobs_core import Connection, Database, InvalidInput, execute
from tests.support.telegram import Telegram
from tests.support.telegram_door import door, logged_in, said_comes
from tests.support.worker import until


def settings(telegram: Telegram) -> TelegramSettings:
    """As what the tests' Telegram is come to."""
    server = f"127.0.0.1:{telegram.server.port}"
    return TelegramSettings.read(telegram_api_id=1, telegram_api_hash="test", telegram_server=server)


def answers(*given: str) -> Callable[[str], str]:
    """A person who answers these, one after another."""
    left = list(given)
    return lambda _question: left.pop(0)


def nobody(question: str) -> str:
    """A person who must not be asked."""
    raise AssertionError(question)


async def is_active(conn: Connection, name: str) -> bool:
    """Whether Telegram still takes the account's key, as far as is known."""
    return (await find_account(conn, name)).state == "active"


@pytest.mark.parametrize(
    ("fault", "state", "said"),
    [
        ("revoke", "revoked", "SessionRevoked"),
        ("burn", "burnt", "AuthKeyDuplicated"),
        ("forget_keys", "revoked", "AuthKeyNotFound"),
    ],
)
async def test_where_telegram_refuses_a_key_the_owner_is_told_once_and_other_accounts_go_on(
    fault: str, state: str, said: str, database: Database, conn: Connection
) -> None:
    async with Telegram() as telegram:
        bot, other, alice = telegram.bot(), telegram.bot("43:t", "OtherBot"), telegram.person("Alice")
        await logged_in(database, telegram, bot)
        await logged_in(database, telegram, other, "other")
        async with door(database) as opened:
            await opened.holds("bot")
            await opened.holds("other")
            getattr(telegram, fault)(bot)
            opened.look_for_missed("bot")
            await until(lambda: refused(conn))
            telegram.say(alice, "and you?", to=other)
            assert await said_comes(database, 1) == ["and you?"]
        async with door(database) as opened:
            await opened.holds("other")
    account = await find_account(conn, "bot")
    assert (account.state, account.said, account.holder) == (state, said, None)
    (told,) = await list_notifications(conn)
    assert (told.category, told.severity, told.metadata) == ("telegram", "error", {"account": "bot", "state": state})
    assert "./jobs telegram login --account bot" in told.body


async def refused(conn: Connection) -> bool:
    """Whether the first account is out of use."""
    return not await is_active(conn, "bot")


async def test_an_account_is_held_by_one_and_taken_over_when_its_lease_ran_out(
    database: Database, conn: Connection
) -> None:
    async with Telegram() as telegram:
        await logged_in(database, telegram, telegram.bot())
    (held,) = await acquire(conn)
    assert await acquire(conn) == []
    async with conn.transaction():
        await fence(conn, held)
    await execute(conn, "UPDATE jobs.telegram_accounts SET lease_until = now() - interval '1 ms'")
    (after,) = await acquire(conn)
    with pytest.raises(AccountLost):
        await fence(conn, held)
    await release(conn, held)
    assert (await find_account(conn, "bot")).holder == after.holder, "who lost it lets go of nothing"


async def test_who_cannot_reach_telegram_leaves_the_account_to_others(
    database: Database, conn: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gateway, "OTHERS_FIRST_S", 3600.0)
    async with Telegram() as telegram:
        await logged_in(database, telegram, telegram.bot())
        async with door(database) as opened:
            await opened.holds("bot")
            for module in (client, gateway):
                monkeypatch.setattr(module, "UNREACHABLE_S", 0.5)
            await telegram.server.stop()
            await until(lambda: is_free(conn))
            await opened.gateway.run_once()
            assert await is_free(conn), "it does not come back at once"
            assert len(await acquire(conn)) == 1


async def is_free(conn: Connection) -> bool:
    """Whether nobody holds the first account."""
    return (await find_account(conn, "bot")).holder is None


async def test_a_take_over_waits_for_what_the_last_holder_is_writing(
    database: Database, conn: Connection, other: Connection
) -> None:
    """So it sees that, and the last holder writes nothing more; a renewal waits for nobody."""
    async with Telegram() as telegram:
        await logged_in(database, telegram, telegram.bot())
    (held,) = await acquire(conn)
    async with conn.transaction():
        await fence(conn, held)
        await execute(other, "UPDATE jobs.telegram_accounts SET lease_until = now() - interval '1 ms'")
        taking = asyncio.create_task(acquire(other))
        done, _ = await asyncio.wait({taking}, timeout=0.2)
        assert not done
    assert len(await taking) == 1


async def test_what_may_not_send_any_more_lets_no_byte_out(
    database: Database, conn: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a process that was frozen and goes on: its deadline is over before anything of it runs."""
    async with Telegram() as telegram:
        bot = telegram.bot()
        await logged_in(database, telegram, bot)
        async with door(database) as opened:
            client = await opened.holds("bot")
            await opened.reconciled("bot")
            before = len(telegram.server.requests)
            monkeypatch.setattr(lease, "boottime_s", lambda: float("inf"))
            with pytest.raises((ConnectionError, asyncio.CancelledError)):
                await client.get_me()
            await until(lambda: let_go(opened.clients))
            assert len(telegram.server.requests) == before


async def let_go(clients: dict[str, Any]) -> bool:
    """Whether no account is held."""
    return not clients


async def test_a_bot_is_logged_in_by_its_token_and_greets_the_owner(
    conn: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with Telegram() as telegram:
        bot, owner = telegram.bot(), telegram.person("Owner")
        monkeypatch.setenv("JOBS_OWNER_TG_USER_ID", str(owner.id))
        wanted = Wanted("bot", "42:token", None, by_link=False)
        account, not_greeted = await log_in(conn, wanted, settings(telegram), nobody)
        assert (account.kind, account.prefix, account.tg_user_id, not_greeted) == ("bot", "telegram", bot.id, None)
        (hello,) = telegram.sent(to=owner)
        assert "bot is logged in" in hello.text


async def test_what_comes_between_the_login_and_the_first_holder_is_taken_in(
    database: Database, conn: Connection
) -> None:
    async with Telegram() as telegram:
        bot, alice = telegram.bot(), telegram.person("Alice")
        telegram.say(alice, "before", to=bot)
        await log_in(conn, Wanted("bot", "42:token", None, by_link=False), settings(telegram), nobody)
        telegram.say(alice, "after", to=bot)
        async with door(database):
            assert await said_comes(database, 1) == ["after"]


async def test_what_came_while_a_key_was_refused_is_taken_in_after_the_next_login(database: Database) -> None:
    """In its order, though nobody writes again; nor may a login pass over what its holder has not committed."""
    async with Telegram() as telegram:
        bot, alice = telegram.bot(), telegram.person("Alice")
        await logged_in(database, telegram, bot)
        async with door(database):
            telegram.say(alice, "before", to=bot)
            await said_comes(database, 1)
        telegram.revoke(bot)
        telegram.say(alice, "meanwhile", to=bot)
        await logged_in(database, telegram, bot)
        async with door(database):
            assert await said_comes(database, 2) == ["before", "meanwhile"]


async def test_a_user_account_is_logged_in_by_phone_code_and_password(conn: Connection) -> None:
    async with Telegram() as telegram:
        me = telegram.user("491234567", "Me", password="secret")
        wanted = Wanted("me", None, "+491234567", by_link=False)
        with pytest.raises(LoginFailed, match="the code is another one"):
            await log_in(conn, wanted, settings(telegram), answers("99999"))
        account, not_greeted = await log_in(conn, wanted, settings(telegram), answers("12345", "secret"))
        assert (account.kind, account.tg_user_id, not_greeted) == ("user", me.id, None)
        assert len(telegram.sent(by=me)) == 1


async def test_a_user_account_is_logged_in_by_a_code_that_is_scanned(
    conn: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with Telegram() as telegram:
        me = telegram.user("491234567", "Me", password="secret")
        shown = list[str]()

        def show(text: str) -> None:
            drawn, _, link = text.rpartition("\n")
            shown.append(drawn)
            token = base64.urlsafe_b64decode(link.partition("token=")[2] + "==")
            asyncio.get_running_loop().call_later(0.05, telegram.scan, token, me)

        monkeypatch.setattr(telegram_login, "note", show)
        wanted = Wanted("me", None, None, by_link=True)
        account, _ = await log_in(conn, wanted, settings(telegram), answers("secret"))
        assert account.tg_user_id == me.id
        (drawn,) = shown
        assert "█▄▄▄█" in drawn


async def test_logins_that_come_to_nothing_leave_nothing(conn: Connection) -> None:
    async with Telegram() as telegram:
        telegram.bot()
        telegram.bot("43:t", "OtherBot")
        wanted = Wanted("bot", "wrong", None, by_link=False)
        with pytest.raises(LoginFailed, match="no bot's token"):
            await log_in(conn, wanted, settings(telegram), nobody)
        with pytest.raises(InvalidInput, match="no account's name"):
            await log_in(conn, Wanted("Bot 1", "42:token", None, by_link=False), settings(telegram), nobody)
        assert await list_accounts(conn) == []
        await log_in(conn, Wanted("bot", "42:token", None, by_link=False), settings(telegram), nobody)
        for name, token, why in (
            ("second", "42:token", "under another name"),
            ("bot", "43:t", "another account's"),
            ("telegram", "43:t", "stands for the first account"),
        ):
            with pytest.raises(LoginFailed, match=why):
                await log_in(conn, Wanted(name, token, None, by_link=False), settings(telegram), nobody)
        assert [account.name for account in await list_accounts(conn)] == ["bot"]
        assert len([key for key in telegram.server.keys._by_id.values() if key.account]) == 1, (
            "they are logged out again"
        )


async def test_a_new_login_is_taken_up_by_whoever_holds_the_account_and_a_logout_ends_it(
    database: Database, conn: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its key is never used by two: the holder lets go first."""
    monkeypatch.setattr(lease, "RENEW_S", 0.1)
    async with Telegram() as telegram:
        telegram.faults.burn_keys_in_two_places = True
        bot, alice = telegram.bot(), telegram.person("Alice")
        await logged_in(database, telegram, bot)
        async with door(database) as opened:
            first = await opened.holds("bot")
            await log_in(conn, Wanted("bot", "42:token", None, by_link=False), settings(telegram), nobody)
            await until(lambda: replaced(opened.clients, first))
            telegram.say(alice, "hello", to=bot)
            await said_comes(database, 1)
            assert await log_out_account(conn, "bot") is None
            assert not opened.clients
    account = await find_account(conn, "bot")
    assert (account.state, account.holder) == ("logged_out", None)
    with pytest.raises(NoSuchAccount):
        await log_out_account(conn, "nobody")


async def replaced(clients: dict[str, Any], first: Any) -> bool:
    """Whether another client holds the account."""
    return clients.get("bot") not in {None, first}
