"""The Telegram door in the test's own loop: accounts that are logged in, a gateway that holds them, and what it took in."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

from assistant.arrivals import FETCH_MEDIA
from assistant.chats import CHAT_TURN
from assistant.settings import AssistantSettings, MediaSettings
from cli.telegram_process import Sending
from gateways.telegram.accounts import Account as OurAccount
from gateways.telegram.accounts import Key, Login
from gateways.telegram.client import Client
from gateways.telegram.gateway import Gateway
from gateways.telegram.lease import Held
from gateways.telegram.login import keep
from gateways.telegram.session import Progress
from gateways.telegram.settings import TelegramSettings
from jobs_core import Database, HandlerTable, Jobs, fetch
from jobs_core.tasks import end_task
from tests.support.telegram import Telegram
from tests.support.telegram.control import LONGEST_WAIT_S
from tests.support.telegram.people import Account
from tests.support.worker import until

SAID = """
SELECT h.session_id, h.content, h.turn_id FROM jobs.chat_message_history AS h WHERE h.type = 'human' ORDER BY h.id
"""


async def logged_in(database: Database, telegram: Telegram, account: Account, name: str = "bot") -> OurAccount:
    """Keep an account of the test's Telegram under a name, as a login does."""
    session = telegram.session(account)
    login = Login(
        kind="bot" if account.is_bot else "user",
        tg_user_id=account.id,
        username=account.username,
        api_id=1,
        api_hash="test",
        token=account.token,
        key=Key(session.dc_id, session.server_address, session.port, session.auth_key.key),
    )
    now = Progress(account.mailbox.pts, 0, datetime.now(UTC), 0)
    async with database.transaction() as conn:
        return await keep(conn, name, login, now)


class Door:
    """A gateway that runs. clients: of the accounts that it holds."""

    def __init__(self, database: Database, jobs: Jobs, *, sends: bool, **settings: Any) -> None:
        self.clients: dict[str, Client] = {}
        self.jobs = jobs
        media = MediaSettings.read()
        self._send = Sending(database, media).serve if sends else _send_nothing
        people = AssistantSettings.read(**{"unknown_senders": "serve"} | settings)
        read = TelegramSettings.read(**settings)
        self.gateway = Gateway(database, jobs, read, people, media, serve=self._serve)

    async def holds(self, name: str) -> Client:
        """Wait until an account is held and connected; its client."""

        async def held() -> bool:
            return name in self.clients

        await until(held)
        return self.clients[name]

    def look_for_missed(self, name: str) -> None:
        """Have an account reconciled now."""
        self.clients[name]._on_reconnect()

    async def reconciled(self, name: str) -> None:
        """Have an account reconciled, and return when it was."""
        hurry: Any = self.clients[name]._on_reconnect
        await hurry.__self__.run_once(self.clients[name])

    async def _serve(self, held: Held, client: Client) -> None:
        self.clients[held.name] = client
        try:
            await self._send(held, client)
        finally:
            del self.clients[held.name]


async def _send_nothing(_held: Held, _client: Client) -> None:
    await asyncio.Event().wait()


@asynccontextmanager
async def door(database: Database, *, sends: bool = False, **settings: Any) -> AsyncIterator[Door]:
    """Run a gateway over the database. sends: what is owed, and fetches files, as the process does; else nothing."""
    table = HandlerTable()
    table.declare_all([CHAT_TURN, FETCH_MEDIA])
    async with Jobs(database, table) as jobs:
        opened = Door(database, jobs, sends=sends, **settings)
        running = asyncio.create_task(opened.gateway.run())
        try:
            yield opened
        finally:
            await end_task(running)


async def said(database: Database) -> Sequence[str]:
    """What people said in chats, in order."""
    async with database.connection() as conn:
        return [row["content"] for row in await fetch(conn, SAID)]


async def said_comes(database: Database, count: int) -> Sequence[str]:
    """Wait until so much was said. Raises TimeoutError where nothing more comes for half a minute."""
    there = -1
    while there < count:
        before = there
        async with asyncio.timeout(LONGEST_WAIT_S):
            while there == before:
                there = await _count(database)
    return await said(database)


async def _count(database: Database) -> int:
    await asyncio.sleep(0.05)
    async with database.connection() as conn:
        (row,) = await fetch(conn, "SELECT count(*) AS n FROM jobs.chat_message_history WHERE type = 'human'")
    return int(row["n"])
