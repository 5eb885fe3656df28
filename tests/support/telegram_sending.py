"""A process that sends by Telegram until it is killed: `python -m tests.support.telegram_sending DSN SESSION`.

SESSION: a session string of the server for tests, whose account is `jobs`.
"""

import asyncio
import sys

from telethon import TelegramClient
from telethon.sessions import StringSession

from assistant.deliveries import DELIVER
from gateways.telegram.egress.sender import TelegramSender
from jobs_core import Database
from tests.support.telegram.numbers import trust_test_key
from tests.support.telegram_egress import ACCOUNT, QUEUE, table_of
from tests.support.worker import working


async def main(dsn: str, session: str) -> None:
    """Serve the account's queue."""
    trust_test_key()
    client = TelegramClient(StringSession(session), 1, "test", flood_sleep_threshold=0, retry_delay=0.02)
    await client.connect()
    async with Database(dsn, name="sending") as database:
        sender = TelegramSender(database, {ACCOUNT: client}.get)
        handler = table_of(database, sender).handler(DELIVER.name)
        async with working(database, {DELIVER: handler}, queues=[QUEUE], poll_s=0.2):
            await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
