"""Messages that others answer and that never came here: said before there was a door, or in a group to nobody of ours.

    take ─ not known, never asked for ─▶ ToBeSeen, rolled back ─▶ asked for by its id, once, 2 s at most ─▶ take, with its words
                                  └─ twenty in a minute were ─▶ taken in without them

Nothing is asked of Telegram while a transaction is open. What is found is somebody else's words: they are quoted, and no more.
"""

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import structlog
from telethon import utils
from telethon.errors import RPCError

from gateways.telegram.attachments import attachment_of
from gateways.telegram.incoming import TELEGRAM_ITSELF
from jobs_core import db

log = structlog.get_logger()

MOST_A_MINUTE = 20
"""Of an account: all its chats wait while one is asked for."""
WITHIN_S = 2.0
_MINUTE_S = 60
_MOST_KEPT = 1_000

LookUp = Callable[[int, int], Awaitable[Any]]
"""The message of a chat (marked id) and a number, as Telethon has it; None: it is not there. Raises what Telethon raises."""


class ToBeSeen(Exception):
    """A message is asked for before what answers it is taken in."""

    def __init__(self, chat_id: int, message_id: int) -> None:
        super().__init__(f"message {message_id} of chat {chat_id} is to be asked for")
        self.chat_id = chat_id
        self.message_id = message_id


@dataclass(frozen=True, slots=True)
class Seen:
    """Whose words these are: a marked id."""

    sender_id: int
    words: str


class Unseen:
    """What was asked for, of one account that is held."""

    def __init__(self) -> None:
        self._found = dict[tuple[int, int], Seen | None]()
        self._asked_s = deque[float](maxlen=MOST_A_MINUTE)

    def find(self, chat_id: int, message_id: int) -> Seen | None:
        """What was found; None: it is not to be had, or too many were asked for. Raises ToBeSeen where nobody asked."""
        if (chat_id, message_id) in self._found:
            return self._found[chat_id, message_id]
        if len(self._asked_s) == MOST_A_MINUTE and time.monotonic() - self._asked_s[0] < _MINUTE_S:
            return None
        raise ToBeSeen(chat_id, message_id)

    async def ask(self, which: ToBeSeen, look_up: LookUp) -> None:
        """Ask for it; whatever comes of that, it is not asked for again."""
        self._asked_s.append(time.monotonic())
        if len(self._found) >= _MOST_KEPT:
            self._found.clear()
        self._found[which.chat_id, which.message_id] = None
        try:
            async with asyncio.timeout(WITHIN_S):
                message = await look_up(which.chat_id, which.message_id)
        except (RPCError, OSError, ValueError) as error:  # ValueError: Telethon does not know the chat
            log.warning("telegram.not_looked_up", chat=which.chat_id, error=db.describe(error))
            return
        if message is not None:
            self._found[which.chat_id, which.message_id] = _seen(message)


def _seen(message: Any) -> Seen | None:
    sender_id = utils.get_peer_id(message.from_id or message.peer_id)
    words = "\n".join(filter(None, (attachment_of(message.media), message.message)))
    return None if sender_id == TELEGRAM_ITSELF or not words else Seen(sender_id, words)
