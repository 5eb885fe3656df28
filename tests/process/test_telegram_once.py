"""Messages by Telegram from a real process, which is killed when Telegram has one and nobody has recorded that."""

import asyncio
import sys
from asyncio.subprocess import Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from telethon import functions

from assistant.deliveries import list_deliveries
from jobs_core import Database
from tests.support.telegram_egress import Office, office

MESSAGES = 4


@asynccontextmanager
async def sending(at: Office, dsn: str) -> AsyncIterator[Process]:
    """A process that sends, killed at the end."""
    session = at.telegram.session(at.account).save()
    command = ["-m", "tests.support.telegram_sending", dsn, session]
    process = await asyncio.create_subprocess_exec(sys.executable, *command)
    try:
        yield process
    finally:
        process.kill()
        await process.wait()


async def test_a_process_that_is_killed_between_sending_and_recording_shows_nothing_twice(
    database_url: str, database: Database
) -> None:
    async with database.connection() as conn, office(database, conn) as at:
        sent = at.telegram.sent
        await at.chat_with(at.telegram.person("Alice"), "a")
        for n in range(MESSAGES):
            await at.owe(str(n))
        at.telegram.faults.never_answer(functions.messages.SendMessageRequest, carried_out=True)
        async with sending(at, database_url):
            await at.telegram.until(lambda: len(sent()) == 1)  # Telegram has it, and its sender will never hear so
        async with sending(at, database_url) as process, asyncio.timeout(60):
            while {one.state for one in await list_deliveries(conn)} != {"sent"}:
                assert process.returncode is None
                await asyncio.sleep(0.05)
        assert [post.text for post in sent()] == [str(n) for n in range(MESSAGES)]
        assert max(one.tries for one in await list_deliveries(conn)) > 1
