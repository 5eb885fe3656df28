"""A client whose events a test awaits one by one."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from telethon import events

from tests.support.telegram.control import LONGEST_WAIT_S

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.support.telegram.control import Telegram
    from tests.support.telegram.people import Account


class Listening:
    """What a client's handlers were called with."""

    def __init__(self, client: Any) -> None:
        self.client = client
        self._events: asyncio.Queue[Any] = asyncio.Queue()
        for kind in (events.NewMessage(incoming=True), events.MessageEdited(incoming=True), events.MessageDeleted()):
            client.add_event_handler(self._events.put, kind)
        client.add_event_handler(self._events.put, events.CallbackQuery())

    async def next(self) -> Any:
        """Wait for the next event."""
        return await asyncio.wait_for(self._events.get(), LONGEST_WAIT_S)

    async def texts(self, count: int) -> list[str]:
        """Wait for so many events and give the texts of their messages."""
        return [(await self.next()).raw_text for _ in range(count)]

    @property
    def is_quiet(self) -> bool:
        """Whether every event was looked at."""
        return self._events.empty()


@asynccontextmanager
async def listening(
    telegram: Telegram, account: Account, session: Any = None, **options: Any
) -> AsyncIterator[Listening]:
    """Run a client of an account that is logged in already; its handlers are called in order."""
    client = telegram.client(session or telegram.session(account), sequential_updates=True, **options)
    heard = Listening(client)
    await client.connect()
    try:
        yield heard
    finally:
        await client.disconnect()
