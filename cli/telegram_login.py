"""`./jobs telegram login` and `logout`: asks the person, Telegram and the database, in that order."""

import asyncio
import io
from dataclasses import dataclass

import segno

from assistant.settings import AssistantSettings
from cli.errors import CommandFailed
from cli.printing import note
from gateways.telegram import login as logins
from gateways.telegram.accounts import Account, LoggingOut, begin_log_out, check_name, log_out
from gateways.telegram.errors import LoginFailed
from gateways.telegram.lease import LEASE_S
from gateways.telegram.settings import TelegramSettings
from jobs_core import Connection

_LOOK_S = 0.2


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which account is to be logged in, and how: a bot by its token, a user by phone, or by a link."""

    account: str
    token: str | None
    phone: str | None
    by_link: bool


async def log_in(
    conn: Connection, wanted: Wanted, settings: TelegramSettings, ask: logins.Ask
) -> tuple[Account, str | None]:
    """Log an account in; returns it, and why the test message did not go out (None: it did). Raises LoginFailed."""
    check_name(wanted.account)
    api_id = settings.telegram_api_id or _number(ask("API id, from my.telegram.org"))
    api_hash = settings.telegram_api_hash or ask("API hash, from there, too")
    async with logins.begin(api_id, api_hash, settings.telegram_server) as logging_in:
        if wanted.by_link:
            await logging_in.link(_show_link, ask)
        elif wanted.phone:
            await logging_in.phone(wanted.phone, ask)
        else:
            await logging_in.bot(wanted.token or ask("The bot's token, from @BotFather"))
        login, state = await logging_in.done()
        async with conn.transaction():
            try:
                account = await logins.keep(conn, wanted.account, login, state)
            except BaseException:
                await logging_in.undo()
                raise
            not_greeted = await logging_in.greet(account.name, AssistantSettings.read().owner_tg_user_id)
            await logging_in.leave()  # before the commit: whoever holds the account connects by this key then
        return account, not_greeted


async def log_out_account(conn: Connection, name: str) -> str | None:
    """Log an account out; returns why Telegram could not be told (None: it was). Raises NoSuchAccount."""
    leaving = await _let_go(conn, name)
    why = None
    if leaving.key and leaving.state == "logged_out":  # one that Telegram ended is ended
        try:
            await logins.end(leaving.api_id, leaving.api_hash, leaving.key)
        except LoginFailed as error:
            why = str(error)
    await log_out(conn, name, leaving.login)
    return why


async def _let_go(conn: Connection, name: str) -> LoggingOut:
    """Wait until nobody is connected as the account: a key that is used in two places is burnt."""
    for _ in range(int(2 * LEASE_S / _LOOK_S)):
        leaving = await begin_log_out(conn, name)
        if not leaving.held:
            return leaving
        await asyncio.sleep(_LOOK_S)
    raise CommandFailed(f"a process still holds {name}: end it, and log out again")


def _show_link(link: str) -> None:
    drawn = io.StringIO()
    segno.make(link, micro=False).terminal(drawn, border=2, compact=True)
    note(
        "In Telegram, where the account is logged in: Settings, Devices, Link a device; scan this, or open the link below it. "
        f"A new one comes each half minute.\n{drawn.getvalue()}{link}"
    )


def _number(text: str) -> int:
    if not text.strip().isdecimal():
        raise CommandFailed("the API id is a number: my.telegram.org shows it")
    return int(text)
