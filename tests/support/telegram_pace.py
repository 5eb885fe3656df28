"""How long a message takes from being said to being committed, at so many a second."""

import asyncio
import random
import time
from collections.abc import Sequence
from typing import Any
from unittest.mock import patch

from gateways.telegram.ingress import Ingress
from jobs_core import Database
from tests.support.telegram import Telegram
from tests.support.telegram_door import door, logged_in, said_comes

_CHATS = 50


async def pace(database: Database, *, per_s: float, messages: int) -> list[float]:
    """Milliseconds of each, ascending. What the tests' Telegram needs to encrypt and send them is in it."""
    said, committed = dict[str, float](), dict[str, float]()
    write = Ingress._write

    async def noting(ingress: Ingress, group: Sequence[Any]) -> Any:
        after = await write(ingress, group)
        committed.update((entry.said.text, time.monotonic()) for parts in group for entry in parts)
        return after

    async with Telegram() as telegram:
        bot, people = telegram.bot(), [telegram.person(f"P{n}") for n in range(_CHATS)]
        await logged_in(database, telegram, bot)
        with patch.object(Ingress, "_write", noting):
            async with door(database) as opened:
                await opened.holds("bot")
                for person in people:  # first contacts and new chats take longer, once
                    telegram.say(person, "hello", to=bot)
                await said_comes(database, _CHATS)
                began = time.monotonic()
                for n in range(messages):
                    await asyncio.sleep(max(began + n / per_s - time.monotonic(), 0))
                    said[str(n)] = time.monotonic()
                    telegram.say(random.choice(people), str(n), to=bot)
                await said_comes(database, _CHATS + messages)
    return sorted(1000 * (committed[text] - at) for text, at in said.items())
