"""`./jobs telegram` as a process: killed, frozen, and beside others that stand by."""

import asyncio
import os
import signal
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from uuid import uuid4

from assistant import chats
from assistant.deliveries import owe
from gateways.telegram.accounts import CHANNEL
from jobs_core import Connection, Database, fetch, fetch_one
from tests.support.telegram import Telegram
from tests.support.telegram_door import logged_in, said, said_comes
from tests.support.up import Home, Started

ENVIRONMENT = {"JOBS_HANDLERS": "tests.support.telegram_trust", "JOBS_UNKNOWN_SENDERS": "serve", "JOBS_POLL_S": "0.5"}


async def answer_all(conn: Connection, text: str) -> None:
    """Answer what was said and not answered, as a turn's settle does."""
    rows = await fetch(conn, "SELECT session_id FROM jobs.chat_sessions")
    for row in rows:
        async with conn.transaction():
            if await chats.bind(conn, row["session_id"], turn := uuid4()):
                await chats.answer(conn, row["session_id"], turn, text)


async def owe_by_no_account(conn: Connection, text: str) -> None:
    """Owe whoever has a chat something that names no account of ours."""
    [row] = await fetch(conn, "SELECT user_id FROM jobs.chat_sessions")
    async with conn.transaction():
        await owe(
            conn, owed_for=text, kind="notification", payload={"text": text}, user_id=row["user_id"], channel=CHANNEL
        )


async def test_what_is_asked_by_telegram_is_answered_there(
    tmp_path: Path, database_url: str, database: Database
) -> None:
    async with Telegram() as telegram, database.connection() as conn:
        bot, alice = telegram.bot(), telegram.person("Alice")
        await logged_in(database, telegram, bot)
        with Home(tmp_path, database_url=database_url).start("telegram", **ENVIRONMENT):
            telegram.say(alice, "What is new?", to=bot)
            telegram.say(alice, "/whoami", to=bot)
            await said_comes(database, 1)
            await answer_all(conn, "Nothing.")
            await telegram.until(lambda: len(telegram.sent(to=alice)) == 2)
            await owe_by_no_account(conn, "By the first one.")
            await telegram.until(lambda: len(telegram.sent(to=alice)) == 3)
        words = sorted(post.text.splitlines()[0] for post in telegram.sent(to=alice))
        assert words == ["Alice", "By the first one.", "Nothing."]


async def in_the_end(condition: Callable[[], Awaitable[object]]) -> None:
    """Wait for what takes seconds on any machine, and more on a busy one."""
    async with asyncio.timeout(60):
        while not await condition():
            await asyncio.sleep(0.05)


async def holder(conn: Connection) -> str | None:
    """The pid of the process that holds the account."""
    row = await fetch_one(conn, "SELECT split_part(holder, ':', 2) AS pid FROM jobs.telegram_accounts")
    assert row
    return row["pid"]  # type: ignore[no-any-return]


async def test_another_process_takes_over_from_one_that_was_frozen_or_killed(
    tmp_path: Path, database_url: str, database: Database
) -> None:
    """Within ten seconds, and nothing is taken in twice when the frozen one goes on; each sends what is owed."""
    async with Telegram() as telegram, database.connection() as conn:
        bot, alice = telegram.bot(), telegram.person("Alice")
        await logged_in(database, telegram, bot)
        home = Home(tmp_path, database_url=database_url)

        async def held_by(started: Started) -> bool:
            return await holder(conn) == str(started.process.pid)

        with home.start("telegram", **ENVIRONMENT) as first:
            await in_the_end(lambda: held_by(first))
            with home.start("telegram", **ENVIRONMENT) as second:
                telegram.say(alice, "one", to=bot)
                await said_comes(database, 1)
                await answer_all(conn, "One it is.")
                await telegram.until(lambda: len(telegram.sent(to=alice)) == 1)
                os.kill(first.process.pid, signal.SIGSTOP)
                frozen_s = time.monotonic()
                telegram.say(alice, "two", to=bot)
                await in_the_end(lambda: held_by(second))
                await said_comes(database, 2)
                assert time.monotonic() - frozen_s < 3 * 10
                os.kill(first.process.pid, signal.SIGCONT)
                telegram.say(alice, "three", to=bot)
                await said_comes(database, 3)
                await telegram.until(lambda: len(telegram.server.connections(bot)) == 1)
            telegram.faults.burn_keys_in_two_places = True
            telegram.say(alice, "four", to=bot)
            await in_the_end(lambda: held_by(first))
            await said_comes(database, 4)
            await answer_all(conn, "Four it is.")
            await telegram.until(lambda: len(telegram.sent(to=alice)) == 2)
    assert await said(database) == ["one", "two", "three", "four"]
    assert [post.text for post in telegram.sent(to=alice)] == ["One it is.", "Four it is."]
