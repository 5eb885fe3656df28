"""`./jobs telegram` as a process: killed, frozen, and beside others that stand by."""

import asyncio
import os
import signal
import time
from contextlib import ExitStack
from pathlib import Path
from uuid import uuid4

import pytest
from telethon import functions

from assistant import chats
from jobs_core import Connection, Database, Jobs, fetch, fetch_one
from tests.support.telegram import Telegram
from tests.support.telegram_door import logged_in, said, said_comes
from tests.support.up import Home
from tests.support.worker import until

ENVIRONMENT = {"JOBS_HANDLERS": "tests.support.telegram_trust", "JOBS_UNKNOWN_SENDERS": "serve", "JOBS_POLL_S": "0.5"}


async def answer_all(conn: Connection, text: str) -> None:
    """Answer what was said and not answered, as a turn's settle does."""
    rows = await fetch(conn, "SELECT session_id FROM jobs.chat_sessions")
    for row in rows:
        async with conn.transaction():
            if await chats.bind(conn, row["session_id"], turn := uuid4()):
                await chats.answer(conn, row["session_id"], turn, text)


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
        assert sorted(post.text.splitlines()[0] for post in telegram.sent(to=alice)) == ["Alice", "Nothing."]
