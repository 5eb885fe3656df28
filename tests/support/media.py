"""A Telegram account of ours that takes in what a person sends: its door as the ingress has it, and its worker by hand."""

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from telethon.tl.functions.upload import GetFileRequest

from assistant import chats, people
from assistant.arrivals import FETCH_MEDIA, queue_of
from assistant.chats import CHAT_TURN
from assistant.deliveries import DELIVER
from assistant.incoming import NewChat, begin_chat
from assistant.settings import MediaSettings, VoiceSettings
from assistant.transcription import QUEUE, TRANSCRIBE
from gateways.telegram.fetching import Fetching
from gateways.telegram.media import describe
from gateways.telegram.waiting import Arrival, hold
from handlers.transcribe import Transcriptions
from jobs_core import Database, HandlerTable, Jobs, fetch
from tests.support.telegram import Telegram
from tests.support.telegram.listening import Listening, listening
from workers import testing

ACCOUNT = "main"
HEARS = """
import json, sys
clip = sys.stdin.buffer.read()
print(json.dumps({"seconds": 7.0, "language": "en"}), flush=True)
for nth, word in enumerate(clip.decode().split(), start=1):
    print(json.dumps({"done_s": float(nth), "text": f" {word}"}), flush=True)
print('{"end": true}')
"""
"""Stands in for whisper.py: a clip is the text that is heard in it."""


def program(source: str) -> tuple[str, ...]:
    """A program for `hear` of this source."""
    return (sys.executable, "-S", "-c", source)


@dataclass
class Account:
    """An account of ours: what people say to it goes into one chat."""

    telegram: Telegram
    heard: Listening
    jobs: Jobs
    settings: MediaSettings
    user: people.User
    session_id: str
    me: Any
    alice: Any

    async def take(self, count: int = 1) -> None:
        """Take in so many messages, each in its transaction, as the ingress does."""
        for _ in range(count):
            event = await self.heard.next()
            message = event.message
            arrival = Arrival(
                ACCOUNT,
                event.chat_id,
                message.id,
                self.session_id,
                self.user.id,
                "",
                message.message,
                message.fwd_from is not None,
                message.grouped_id,
                describe(message),
            )
            async with self.jobs.database.transaction() as conn:
                if not await hold(conn, self.jobs, [arrival], self.settings):
                    await chats.receive(
                        conn,
                        self.jobs,
                        session_id=self.session_id,
                        channel="telegram",
                        message=arrival.content,
                        user_id=self.user.id,
                    )

    async def say(self, text: str = "", **how: Any) -> None:
        """Have Alice say something, and take it in."""
        self.telegram.say(self.alice, text, to=self.me, **how)
        await self.take()

    async def work(self, span: timedelta = timedelta(0)) -> None:
        """Let so much time pass, and run all that is ready."""
        await testing.pass_time(self.jobs, span)
        await testing.drain(self.jobs, queue_of(ACCOUNT), QUEUE)

    async def came(self, span: timedelta = timedelta(0)) -> list[chats.Said]:
        """What stands in the chat of Alice's once all that is due in that span was done."""
        await self.work(span)
        return await self.said()

    async def said(self) -> list[chats.Said]:
        """What of Alice's stands in the chat, with its files."""
        async with self.jobs.database.connection() as conn:
            rows = await fetch(
                conn,
                "SELECT id, content, file_bytes FROM jobs.chat_message_history WHERE type = 'human' ORDER BY id",
            )
            return await chats._with_files(conn, rows)

    async def remarks(self) -> list[str]:
        """What was said in the chat to Alice."""
        async with self.jobs.database.connection() as conn:
            rows = await fetch(conn, "SELECT content FROM jobs.chat_message_history WHERE type = 'system' ORDER BY id")
        return [row["content"] for row in rows]

    def asked(self) -> list[int]:
        """From where on Telegram was asked for bytes, one after another."""
        return [one.offset for one in self.telegram.server.requests if isinstance(one, GetFileRequest)]


@asynccontextmanager
async def account(database: Database, *, hears: str = HEARS, **limits: Any) -> AsyncIterator[Account]:
    """An account with a person who writes to it. hears: what hears voice messages, a program's source."""
    settings = MediaSettings.read(**limits)
    async with Telegram() as telegram:
        me, alice = telegram.bot(), telegram.person("Alice")
        async with database.transaction() as conn:
            user = await people.contact(conn, "telegram", str(alice.id), name="Alice", tg_user_id=alice.id)
            session_id = await begin_chat(conn, NewChat("telegram", user.id, account=ACCOUNT), None)
        async with listening(telegram, me) as heard, Jobs(database, HandlerTable()) as jobs:
            clients: dict[str, Any] = {ACCOUNT: heard.client}
            jobs.table.declare_all([CHAT_TURN, DELIVER])
            jobs.table.register_handler(FETCH_MEDIA, Fetching(database, jobs, clients.get, settings).run)
            hearing = Transcriptions(database, VoiceSettings.read(), program(hears))
            jobs.table.register_handler(TRANSCRIBE, hearing.run)
            yield Account(telegram, heard, jobs, settings, user, session_id, me, alice)
