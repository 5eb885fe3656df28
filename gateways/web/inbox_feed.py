"""People's notifications as watchers at this door see them: one look into the database for all of them, however many watch.

listen ─▶ the place where it begins ◀─ look: what stands behind the last place? ─▶ told to their listeners ─▶ sleep 1 s ─┐
                                         ▲                            │ nobody watches: end                             │
                                         └────────────────────────────┴─────────────────────────────────────────────────┘

A look gives places to what has none, so that nothing comes in between later. It takes one connection, and none is held in
between. There is no NOTIFY that could be lost.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from typing import Annotated, Any

import structlog
from fastapi import Depends, Request
from pydantic import TypeAdapter

from assistant.notifications import Notification, count_unread, notifications_after, place
from assistant.recipients import recipient
from gateways.web.errors import Refused
from gateways.web.feed import Listener
from jobs_core import Connection, Database, db

log = structlog.get_logger()

LOOK_S = 1.0
MOST_LISTENERS = 200
MOST_AT_ONCE = 100
_PLAIN = TypeAdapter(Notification)


class Reader(Listener):
    """One who watches what this person is told; None: the owner."""

    def __init__(self, user_id: str | None, first: bytes, upto: int) -> None:
        super().__init__(first, upto)
        self.user_id = user_id


class Inbox:
    """Those who watch, and the one task that looks for all of them; it lives while somebody watches."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._listeners = set[Reader]()
        self._coming = 0
        self._seq = 0
        self._turn = asyncio.Lock()
        self._looking: asyncio.Task[None] | None = None
        self._closed = False
        self._away = False

    async def listen(self, user_id: str | None = None) -> Reader:
        """Watch from now on, until `leave`; its `first` says how many are unread. Raises Refused where too many do.

        user_id: whose; None: the owner's.
        """
        if self._closed or len(self._listeners) + self._coming >= MOST_LISTENERS:
            message = (
                f"{MOST_LISTENERS} watch notifications through this door already, or it is closing; try again later"
            )
            raise Refused(503, "too_many_streams", message, headers={"Retry-After": "5"})
        self._coming += 1
        try:
            async with self._turn:
                await self._look()
                unread = await self._count_unread(user_id)
                listener = Reader(user_id, _event("unread", {"unread": unread}, self._seq), self._seq)
                self._listeners.add(listener)
        finally:
            self._coming -= 1
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._run(), name="inbox")
        return listener

    def leave(self, listener: Reader) -> None:
        """One has gone, or ended."""
        self._listeners.discard(listener)

    async def missed(self, listener: Reader, after: int) -> AsyncIterator[bytes]:
        """The events of what stands between that place and where it came, a hundred at a time."""
        while after < listener.upto:
            async with self._database.connection() as conn:
                news, after = await _between(conn, listener.user_id, after, listener.upto)
            if news:
                yield _events(news)

    def close(self) -> None:
        """End all listening: the door closes, and watchers come back elsewhere."""
        self._closed = True
        for listener in self._listeners:
            listener.close()
        self._listeners.clear()

    async def _run(self) -> None:
        while self._listeners and not self._closed:
            await self.run_once()
            await asyncio.sleep(LOOK_S)

    async def run_once(self) -> None:
        """Look once for all. A database that is away is looked into again."""
        try:
            async with self._turn:
                await self._look()
            self._away = False
        except Exception as error:
            if not db.will_pass(error):
                log.exception("inbox.broke")
                for listener in self._listeners:
                    listener.close()
            elif not self._away:
                log.warning("database.away", error=db.describe(error))
            self._away = True

    async def _look(self) -> None:
        """Tell what is new to those who watch."""
        async with self._database.connection() as conn:
            last = await place(conn)
            whose = {listener.user_id for listener in self._listeners} if self._seq < last else ()
            news = {user_id: [chunk async for chunk in _told(conn, user_id, self._seq, last)] for user_id in whose}
        self._seq = last
        for listener in self._listeners:
            for chunk in news.get(listener.user_id, ()):
                listener.put(chunk)
        self._listeners = {listener for listener in self._listeners if not listener.closed}

    async def _count_unread(self, user_id: str | None) -> int:
        async with self._database.connection() as conn:
            return await count_unread(conn, await recipient(conn, user_id))


async def _told(conn: Connection, user_id: str | None, after: int, upto: int) -> AsyncIterator[bytes]:
    while after < upto:
        news, after = await _between(conn, user_id, after, upto)
        if news:
            yield _events(news)


async def _between(conn: Connection, user_id: str | None, after: int, upto: int) -> tuple[Sequence[Notification], int]:
    """A person's next notifications between two places, and how far they go."""
    person = await recipient(conn, user_id)
    news = await notifications_after(conn, person, after, upto=upto, limit=MOST_AT_ONCE)
    return news, (news[-1].seq or upto) if len(news) == MOST_AT_ONCE else upto


def _events(news: Sequence[Notification]) -> bytes:
    return b"".join(_event("notification", _PLAIN.dump_python(one, mode="json"), one.seq or 0) for one in news)


def _event(kind: str, about: Any, seq: int) -> bytes:
    return f"id: {seq}\nevent: {kind}\ndata: {json.dumps(about)}\n\n".encode()  # on one line: JSON escapes line breaks


def _of(request: Request) -> Inbox:
    inbox: Inbox = request.app.state.inbox
    return inbox


Watched = Annotated[Inbox, Depends(_of)]
"""A route's parameter: the notifications that are watched at its door."""
