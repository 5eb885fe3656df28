"""Waiting for replies: one look for all who wait, so that many of them take one connection now and then and hold none.

wait ─▶ look for all that wait ─▶ tell those who got a reply ─▶ sleep 20 ms, up to 250 ms while nothing comes ─┐
          ▲                                                                  │ nobody waits: end              │
          └──────────────────────────────────────────────────────────────────┴────────────────────────────────┘
"""

import asyncio
from collections.abc import Iterable
from contextlib import suppress
from typing import Annotated

import structlog
from fastapi import Depends, Request

from assistant.chat_history import Reply, replies_to
from jobs_core import ConnectionFailed, Database

log = structlog.get_logger()

SHORTEST_S, LONGEST_S = 0.02, 0.25


class Replies:
    """Those who wait for a reply, and the one task that looks for them; it lives while somebody waits."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._waiting: dict[asyncio.Future[Reply | None], int] = {}  # message ids
        self._came = asyncio.Event()
        self._looking: asyncio.Task[None] | None = None
        self._closed = False

    async def wait(self, message_id: int, timeout_s: float) -> Reply | None:
        """The reply to a message; None where none came in time, or the door is closing."""
        if self._closed:
            return None
        reply: asyncio.Future[Reply | None] = asyncio.get_running_loop().create_future()
        self._waiting[reply] = message_id
        self._came.set()
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._run(), name="replies")
        try:
            async with asyncio.timeout(timeout_s):
                return await reply
        except TimeoutError:
            return None
        finally:
            self._waiting.pop(reply)

    def close(self) -> None:
        """Let go of all who wait: the door closes, and their messages are in the queue."""
        self._closed = True
        for reply in self._waiting:
            if not reply.done():
                reply.set_result(None)
        self._came.set()  # so that the look ends at once, before the database's pool is closed

    async def _run(self) -> None:
        pause_s = SHORTEST_S
        while self._waiting:
            await asyncio.sleep(SHORTEST_S)
            came = self._came.is_set()
            self._came.clear()
            told = await self.run_once()
            pause_s = SHORTEST_S if told or came else min(pause_s * 1.5, LONGEST_S)
            with suppress(TimeoutError):
                async with asyncio.timeout(pause_s - SHORTEST_S):
                    await self._came.wait()

    async def run_once(self) -> int:
        """Look once for all; returns how many got their reply. A database that is away is looked for again."""
        waiting = {reply: message_id for reply, message_id in self._waiting.items() if not reply.done()}
        if not waiting:
            return 0
        try:
            async with self._database.connection() as conn:
                replies = await replies_to(conn, list(set(waiting.values())))
        except ConnectionFailed as error:
            log.warning("database.away", error=str(error))
            return 0
        except Exception as error:  # whoever waits must hear of it, and who comes next must be looked for
            log.exception("replies.broke")
            _tell_all(waiting, error)
            return 0
        for reply, message_id in waiting.items():
            if message_id in replies and not reply.done():
                reply.set_result(replies[message_id])
        return len(replies)


def _tell_all(waiting: Iterable[asyncio.Future[Reply | None]], error: Exception) -> None:
    for reply in waiting:
        if not reply.done():
            reply.set_exception(error)


def _of(request: Request) -> Replies:
    replies: Replies = request.app.state.replies
    return replies


Waiting = Annotated[Replies, Depends(_of)]
"""A route's parameter: those who wait for a reply at its door."""
