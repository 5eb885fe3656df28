"""Keeping what passed: the owner's row and the file, as one; and the account at Telegram, which keeps itself."""

import signal
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from assistant import people
from assistant.preferences import hold_preferences, lock_preferences
from assistant.routing import set_preferences
from cli import saved
from cli.database import bring_up_to_date, connected
from cli.rooms import ROOMS
from cli.setup.given import Bot, Known
from cli.table import build_table
from cli.telegram_login import Wanted, log_in
from gateways.telegram.accounts import Account, list_accounts
from gateways.telegram.settings import TelegramSettings
from jobs_core import Connection
from jobs_core.migrations import pending

BOT = "bot"
"""What the account is called."""


async def known(dsn: str) -> Known:
    """What the database says; nothing of a person where it is still to be migrated."""
    async with connected(dsn) as conn:
        place = f"{conn.info.host}:{conn.info.port}/{conn.info.dbname}"
        owner = None if await pending(conn, ROOMS) else await people.first_owner(conn)
        if owner is None:
            return Known(place)
        accounts = tuple(account.name for account in await list_accounts(conn) if account.state == "active")
        return Known(place, owner.name, await _zone(conn, owner.id), accounts)


async def _zone(conn: Connection, owner: str) -> str:
    async with conn.transaction():
        return (await hold_preferences(conn, owner)).zone


async def migrate(dsn: str, handlers: str) -> int:
    """Bring the schema to this program's; returns how many migrations that took."""
    async with connected(dsn) as conn:
        return len(await bring_up_to_date(conn, build_table(handlers)))


async def keep(dsn: str, owner: str | None, zone: str | None, file: Path, variables: Mapping[str, str]) -> None:
    """Keep all of it, or nothing. Raises what does not fit, and what stands in the file's way."""
    async with connected(dsn) as conn, conn.transaction():
        person = await people.owner(conn)
        if owner is not None:
            await people.name_owner(conn, owner)
        if zone is not None:
            said = await lock_preferences(conn, person.id)
            await set_preferences(conn, person.id, said.model_copy(update={"zone": zone}))
        if variables:
            saved.write(file, variables)


async def log_bot_in(dsn: str, bot: Bot) -> tuple[Account, str | None]:
    """Log it in at Telegram; returns it, and why the test message did not go out. Raises LoginFailed."""
    settings = TelegramSettings.read(telegram_api_id=bot.api_id, telegram_api_hash=bot.api_hash)
    async with connected(dsn) as conn:
        return await log_in(conn, Wanted(BOT, bot.token, None, by_link=False), settings, _nothing_is_left_to_ask)


def _nothing_is_left_to_ask(what: str) -> str:
    raise AssertionError(what)


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Ctrl-C, or an end, comes after the block. By handlers: a mask is one thread's, and any other would take the signal."""
    if threading.current_thread() is not threading.main_thread():
        yield  # Python interrupts the main thread alone
        return
    came = list[int]()
    held = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.signal(number, lambda sent, _: came.append(sent)) for number in held}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        for sent in came[:1]:
            signal.raise_signal(sent)
