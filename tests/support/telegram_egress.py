"""A process that sends by Telegram, in the test's own loop: an account, its chats, and jobs that are run by hand."""

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from telethon import TelegramClient, utils

from assistant.deliveries import Delivery, find_delivery, owe, queue_of
from assistant.senders import Senders
from gateways.telegram.egress.progress import Progress
from gateways.telegram.egress.sender import TelegramSender
from handlers import deliver
from jobs_core import Connection, Database, HandlerTable, Jobs, execute
from tests.support.telegram import Telegram, show
from tests.support.telegram.chats import Group, Topic
from tests.support.telegram.people import Account, Person
from workers import testing

ACCOUNT = "jobs"
QUEUE = queue_of("telegram", ACCOUNT)

_ACCOUNT = """
INSERT INTO jobs.telegram_accounts (name, kind, prefix, tg_user_id, api_id, api_hash, dc_id, server_address, port)
VALUES (%(name)s, %(kind)s, 'telegram', %(id)s, 1, 'test', 2, '127.0.0.1', %(port)s)
"""
_PEER = """
INSERT INTO jobs.telegram_peers (account, peer_id, access_hash) VALUES (%(name)s, %(peer_id)s, %(access_hash)s)
ON CONFLICT DO NOTHING
"""
_CHAT = """
INSERT INTO jobs.telegram_chats (session_id, account, chat_id, topic_id, user_id, reply_to)
VALUES (%(session_id)s, %(name)s, %(chat_id)s, %(topic_id)s, 'ada', %(reply_to)s)
"""


@dataclass
class Office:
    """The account's deliveries and what sends them. clients: those of this process, by account."""

    telegram: Telegram
    account: Account
    client: Any
    conn: Connection
    jobs: Jobs
    sender: TelegramSender
    clients: dict[str, TelegramClient] = field(default_factory=dict)

    async def chat_with(self, whom: Person | Group | Topic, session_id: str, *, reply_to: int = 0) -> str:
        """A chat session that lies there."""
        chat = whom.group if isinstance(whom, Topic) else whom
        peer = show.peer(self.telegram._chat(self.account, chat), self.account)
        chat_id = utils.get_peer_id(peer)
        values = {"name": ACCOUNT, "peer_id": chat_id, "access_hash": self.account.access_hash(chat)}
        await execute(self.conn, _PEER, values)
        topic_id = whom.id if isinstance(whom, Topic) else 0
        values = {"session_id": session_id, "chat_id": chat_id, "topic_id": topic_id, "reply_to": reply_to}
        await execute(self.conn, _CHAT, {"name": ACCOUNT, **values})
        return session_id

    async def owe(self, text: str = "Hi.", *, chat: str | None = "a", **way: Any) -> int:
        """A delivery, committed with its job; its id. Keys of a payload: markdown, buttons, edits, files, reply_to."""
        payload = {"text": text} | {key: way.pop(key) for key in _PAYLOAD & way.keys()}
        values = {"channel": "telegram", "account": ACCOUNT, "kind": "answer", "user_id": "ada", **way}
        owed_for = f"test:{secrets.token_hex(8)}"
        owed = await owe(self.conn, owed_for=owed_for, payload=payload, chat=chat, **values)
        assert owed is not None
        return owed.id

    async def run(self) -> list[testing.Run]:
        """Run what is ready."""
        return await testing.drain(self.jobs, QUEUE)

    async def one(self, delivery_id: int) -> Delivery:
        """The delivery as it is now."""
        return await find_delivery(self.conn, delivery_id)

    async def deliver(self, text: str = "Hi.", **way: Any) -> Delivery:
        """Owe it, run what is ready, and see what it came to."""
        delivery_id = await self.owe(text, **way)
        await self.run()
        return await self.one(delivery_id)


_PAYLOAD = {"markdown", "buttons", "edits", "files", "reply_to"}


def table_of(database: Database, sender: Any) -> HandlerTable:
    """A table that knows how to deliver by this sender."""
    table, senders = HandlerTable(), Senders()
    senders.register("telegram", sender, accounts=[ACCOUNT])
    deliver.register(table, database=database, senders=senders)
    return table


async def add_account(conn: Connection, telegram: Telegram, account: Account) -> None:
    """The row of the account."""
    kind = "bot" if account.is_bot else "user"
    values = {"name": ACCOUNT, "kind": kind, "id": account.id, "port": telegram.server.port}
    await execute(conn, _ACCOUNT, values)


@asynccontextmanager
async def office(
    database: Database, conn: Connection, *, is_bot: bool = True, with_progress: bool = False
) -> AsyncIterator[Office]:
    """An account that is logged in, its client connected, and its sender."""
    clients: dict[str, TelegramClient] = {}

    def client_of(account: str) -> Any:
        return clients.get(account)

    progress = Progress(database, client_of) if with_progress else None
    sender = TelegramSender(database, client_of, progress)
    async with Telegram() as telegram, Jobs(database, table_of(database, sender)) as jobs:
        account = telegram.bot() if is_bot else telegram.user("1", "Me")
        await add_account(conn, telegram, account)
        client = clients[ACCOUNT] = telegram.client(telegram.session(account))
        await client.connect()
        try:
            yield Office(telegram, account, client, conn, jobs, sender, clients)
        finally:
            await client.disconnect()
