"""The chats that are watched at this door: one look into the database for all of them, however many watch.

listen ─▶ its feed ◀─ look: where is something new? ─▶ ends of turns, what runs wrote, there ─▶ told ─▶ sleep 0.1 to 0.2 s ─┐
             ▲           └─ every 5 s: everywhere                               │ nobody watches: end                        │
             └──────────────────────────────────────────────────────────────────┴────────────────────────────────────────────┘

What is new is read from each feed's own place on, so that nothing is missed or told twice. Where to look is told by the newest
rows of all, whose number knows nothing of how many watch; what was committed late is found by the look everywhere. A look
takes one connection, and none is held in between. Nothing here needs LISTEN.
"""

import asyncio
import resource
import time
from collections import Counter, defaultdict, deque
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager
from itertools import chain
from typing import Annotated

import structlog
from fastapi import Depends, Request

from assistant.ends import End, ends_after, newest_ends, recent_ends
from assistant.remarks import remarks_after
from gateways.web.errors import Refused
from gateways.web.feed import Cursor, Feed, Listener
from jobs_core import Connection, Database, db
from jobs_core.tasks import wait_at_most
from sessions.live_rows import LiveRow, live_news, newest_runs, recent_topics

log = structlog.get_logger()

BETWEEN_S, SHORTEST_S, LONGEST_S = 0.02, 0.1, 0.2
"""Between two looks: at least; after news; and where nothing comes. A run writes each 0.2 s."""
EVERYWHERE_S = 5.0
RECENT_S = 2.0
"""What was written so long ago is new; where the last look was half of that ago, the next one is everywhere."""
MOST_LISTENERS = 5_000
MOST_ROWS, MOST_ENDS = 500, 100
"""Of one chat in one look."""
_READY_S = 10.0


class Feeds:
    """The feeds of one door, and the one task that looks for all of them; it lives while somebody watches."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._feeds = dict[str, Feed]()
        self._listening = 0
        # Each takes a descriptor, of which other callers need some, too.
        self._most = min(MOST_LISTENERS, resource.getrlimit(resource.RLIMIT_NOFILE)[0] // 2)
        self._came = asyncio.Event()
        self._looking: asyncio.Task[None] | None = None
        self._closed = False
        self._away = False
        self._everywhere_at_s = 0.0
        self._looked_s = 0.0

    async def listen(self, chat: str, after: Cursor | None) -> Listener:
        """Watch a chat, until `leave`. Raises Refused where too many do, the door closes, or the database is away."""
        if self._closed or self._listening >= self._most:
            message = f"{self._listening} watch chats through this door already, or it is closing; try again later"
            raise Refused(503, "too_many_streams", message, headers={"Retry-After": "5"})
        feed = self._feeds.setdefault(chat, Feed(chat))
        with self._awaited(feed):
            try:
                async with asyncio.timeout(_READY_S):
                    await feed.ready.wait()
            except TimeoutError:
                message = "What is shown of this chat cannot be read; try again in a moment"
                raise Refused(503, "database_away", message, headers={"Retry-After": "2"}) from None
            if self._closed:
                raise Refused(503, "closing", "This door is closing; try again", headers={"Retry-After": "1"})
            return feed.join(after)

    def leave(self, chat: str, listener: Listener) -> None:
        """One has gone, or ended."""
        self._listening -= 1
        if feed := self._feeds.get(chat):
            feed.listeners.discard(listener)

    async def missed(self, chat: str, after: Cursor, upto: int) -> AsyncIterator[Sequence[End]]:
        """The ends of turns between those two, a hundred at a time."""
        at = after.message
        while at < upto:
            async with self._database.connection() as conn:
                ends = [end for end in await ends_after(conn, {chat: at}, most=MOST_ENDS) if end.id <= upto]
            yield ends
            at = ends[-1].id if len(ends) == MOST_ENDS else upto

    def close(self) -> None:
        """End all listening: the door closes, and watchers come back elsewhere."""
        self._closed = True
        for feed in self._feeds.values():
            feed.close()
            feed.ready.set()
        self._came.set()

    @contextmanager
    def _awaited(self, feed: Feed) -> Iterator[None]:
        """Somebody waits for the feed, and counts from now on, unless that comes to nothing."""
        feed.awaited += 1
        self._listening += 1
        self._came.set()
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._run(), name="feeds")
        try:
            yield
        except BaseException:
            self._listening -= 1
            raise
        finally:
            feed.awaited -= 1

    async def _run(self) -> None:
        pause_s = SHORTEST_S
        while not self._closed and self._forget_unwanted():
            self._came.clear()
            told = await self.run_once()
            pause_s = SHORTEST_S if told else min(pause_s * 1.5, LONGEST_S)
            await asyncio.sleep(BETWEEN_S)
            await wait_at_most(self._came, pause_s - BETWEEN_S)

    def _forget_unwanted(self) -> bool:
        """Forget the feeds that nobody watches; returns whether any is left."""
        for chat, feed in list(self._feeds.items()):
            if not feed.is_wanted:
                del self._feeds[chat]
        return bool(self._feeds)

    async def run_once(self) -> bool:
        """Look once for all; returns whether there was anything. A database that is away is looked into again."""
        try:
            async with self._database.connection() as conn:
                began_s = time.monotonic()
                found = await self._look(conn)
            self._looked_s = began_s
            self._away = False
            return found
        except Exception as error:
            if not db.will_pass(error):
                log.exception("feeds.broke")
                for feed in self._feeds.values():
                    feed.close()
            elif not self._away:
                log.warning("database.away", error=db.describe(error))
            self._away = True
            return False

    async def _look(self, conn: Connection) -> bool:
        await self._begin_new(conn)
        places = await self._where(conn)
        if not places:
            return False
        # Ends first: what a run wrote before its turn ended is then among the rows, and is told before the end.
        ends = await ends_after(conn, {chat: cursor.message for chat, cursor in places.items()}, most=MOST_ENDS)
        rows = await live_news(conn, {chat: cursor.place for chat, cursor in places.items()}, most=MOST_ROWS)
        remarks = await remarks_after(conn, {chat: self._feeds[chat].remarked for chat in places})
        self._tell(rows, ends)
        for said in remarks:
            if feed := self._feeds.get(said.chat):
                feed.remark(said)
        behind = {chat for chat, n in Counter(row.topic for row in rows).items() if n == MOST_ROWS}
        for chat in places.keys() - behind:
            if feed := self._feeds.get(chat):
                feed.ready.set()
        if behind:
            self._came.set()
        return bool(rows or ends or remarks)

    async def _where(self, conn: Connection) -> dict[str, Cursor]:
        """The feeds that there may be something new for, and how far each has come."""
        now_s = time.monotonic()
        if now_s >= self._everywhere_at_s or now_s > self._looked_s + RECENT_S / 2:
            self._everywhere_at_s = now_s + EVERYWHERE_S
            recent = set(self._feeds)
        else:
            recent = await recent_ends(conn) | await recent_topics(conn, within_s=RECENT_S)
        return {
            chat: feed.cursor
            for chat, feed in self._feeds.items()
            if feed.cursor and (chat in recent or not feed.ready.is_set())
        }

    async def _begin_new(self, conn: Connection) -> None:
        new = [feed for feed in self._feeds.values() if feed.cursor is None]
        if new:
            chats = [feed.chat for feed in new]
            ends = await newest_ends(conn, chats)
            runs = await newest_runs(conn, chats)
            for feed in new:
                feed.begin(ends.get(feed.chat, {}), runs[feed.chat])

    def _tell(self, rows: Sequence[LiveRow], ends: Sequence[End]) -> None:
        """Tell of each chat what came about in its order: the end of a turn before all that a later one shows."""
        untold = defaultdict[str, deque[End]](deque)
        for end in ends:
            untold[end.chat].append(end)
        for row in rows:
            of_chat = untold[row.topic]
            has_ended = any(end.turn_id == row.turn_id for end in of_chat)
            while of_chat and not (has_ended and of_chat[0].turn_id == row.turn_id):
                self._tell_end(of_chat.popleft())
            self._tell_row(row)
        for end in chain.from_iterable(untold.values()):
            self._tell_end(end)

    def _tell_row(self, row: LiveRow) -> None:
        if feed := self._feeds.get(row.topic):
            try:
                feed.take(row)
            except Exception:  # of another version's making, perhaps; others must not suffer for it
                log.exception("feed.broke", chat=row.topic)
                self._feeds.pop(row.topic).close()

    def _tell_end(self, end: End) -> None:
        if feed := self._feeds.get(end.chat):
            feed.end(end)


def _of(request: Request) -> Feeds:
    feeds: Feeds = request.app.state.feeds
    return feeds


Watched = Annotated[Feeds, Depends(_of)]
"""A route's parameter: the chats that are watched at its door."""
