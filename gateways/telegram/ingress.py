"""Takes in what an account's client hands over, in order: what has come in one transaction, with how far that brings us.

    client ─ batch ─▶ [ … ] ─▶ fence ─ messages, jobs, peers, states ─ commit ─▶ wake workers ─┐
                        ▲                └─ the database is away: again, until it is there     │
                        └──────────────────────────────────────────────────────────────────────┘

Plain words of several chats take the same few statements (plain.py), all else is taken in one by one. Where one message cannot
be, each has a transaction of its own.

Chats take turns (line.py). The state that is written is never ahead of what is committed: that of a batch goes with its last
message, or whichever of those before it is taken last. So a crash plays messages again that were taken in, and they are known;
none is passed over. Parts of an album come one by one and are one message: the last part waits a moment for more.
"""

import asyncio
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from itertools import chain, groupby, islice, takewhile
from typing import Any

import structlog

from assistant.notifications import notify
from gateways import metrics
from gateways.telegram.after import After
from gateways.telegram.door import Door
from gateways.telegram.errors import AccountLost
from gateways.telegram.incoming import Incoming, Pressed, place_of, read
from gateways.telegram.lease import fence
from gateways.telegram.line import Entry, Line, album_of
from gateways.telegram.plain import is_plain, take_plain
from gateways.telegram.presses import take_press
from gateways.telegram.session import AccountSession, Peer, States, save_peers, save_states
from gateways.telegram.taking import take
from gateways.telegram.unseen import LookUp, ToBeSeen
from jobs_core import Connection, Database, db
from jobs_core.tasks import wait_at_most

log = structlog.get_logger()

ALBUM_S = 0.4
"""How long a part of an album waits for the next one: they come within some 100 ms."""
REST_S = 0.02
"""Between two transactions of the same chats: what they say meanwhile is taken in together, and whoever else comes finds
nothing under way. What a person types is further apart."""
_SEEN_AHEAD = 200
_AWAY_S = 0.5
_ATTEMPTS = 5  # of a message that a process which held the account before is taking in, too


_Message = Sequence[Entry]
"""Entries that are one message: one, or the parts of an album."""


class Ingress:
    """The one who takes in for an account, for as long as this process holds it."""

    def __init__(self, database: Database, door: Door, session: AccountSession) -> None:
        self._database = database
        self._door = door
        self._session = session
        self._show: Callable[[int, str], object]
        self._line = Line()
        self._arrived = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._others = asyncio.Event()
        """Somebody has come of whom nothing was taken in the last time."""
        self._taken_last = frozenset[int]()
        self._rests_until_s = 0.0
        self._left: States | None = None
        """States that came with nothing to take in: they are written with the next message, or by `settle`."""
        self.seen = defaultdict[int, set[int]](set)
        """Of each mailbox (OWN, or a supergroup) the messages that came, also those with nothing to do about them."""

    def put(self, updates: Sequence[Any], states: States) -> None:
        """Have a batch of updates taken in; returns at once."""
        for mailbox, message_id in filter(None, map(place_of, updates)):
            self.seen[mailbox].add(message_id)
        said = [one for update in updates if (one := self._read(update)) is not None]
        self._left = states
        if said:
            self.put_messages(said, states)
            self._left = None

    def _read(self, update: Any) -> Incoming | Pressed | None:
        """What it says; a raise would end Telethon's loop, and the same update would come again for ever."""
        try:
            return read(update, self._door.held)
        except Exception:
            log.exception("telegram.not_read", account=self._door.held.name, update=type(update).__name__)
            return None

    def put_messages(self, said: Sequence[Incoming | Pressed], states: States | None = None) -> None:
        """Have messages taken in; states: with the last of them, where they brought some."""
        if said:
            self._line.put(said, states)
            self._idle.clear()
            self._arrived.set()
            if any(one.chat_id not in self._taken_last for one in said):
                self._others.set()

    async def settle(self) -> None:
        """Return when all that came so far is committed, and how far that is."""
        await self._idle.wait()
        if self._left is not None:
            await self._until_done(self._write_left)

    async def run(self, show: Callable[[int, str], object], look_up: LookUp) -> None:
        """Take in what comes, until cancelled. Raises AccountLost.

        show: tells who pressed a button what came of it. look_up: asks Telegram for what somebody answers.
        """
        self._show, self._look_up = show, look_up
        while True:
            await self._arrived.wait()
            while self._line:
                await self._rest()
                messages = await self._next()
                self._taken_last = frozenset(message[0].said.chat_id for message in messages)
                self._others.clear()
                await self._take(messages)
                self._rests_until_s = time.monotonic() + REST_S
            self._arrived.clear()
            self._idle.set()

    async def _rest(self) -> None:
        """Where only those wait of whom something was taken just now, let a moment pass, or until somebody else comes."""
        left_s = self._rests_until_s - time.monotonic()
        waiting = (entry.said.chat_id for entry in islice(self._line, _SEEN_AHEAD))
        if left_s > 0 and self._taken_last.issuperset(waiting):
            await wait_at_most(self._others, left_s)

    async def _next(self) -> list[_Message]:
        """What is taken in next, in one transaction: one message, or as many as have come by now."""
        messages = list[_Message]()
        for _, parts in groupby(self._line.next(), key=_album_or_self):
            messages.append(list(parts))
        if album_of(messages[-1][-1].said) is not None:
            if len(messages) > 1:  # more of the album may come: the next time
                return messages[:-1]
            return [await self._whole_album()]
        return messages

    async def _whole_album(self) -> _Message:
        """The album that comes first, with all its parts: those that come within a moment of another."""
        album = album_of(next(iter(self._line)).said)
        while True:
            parts = list(takewhile(lambda entry: album_of(entry.said) == album, self._line))
            if len(parts) < len(self._line) or not await self._more():
                return parts

    async def _more(self) -> bool:
        """Whether something more came within a moment."""
        self._arrived.clear()
        await wait_at_most(self._arrived, ALBUM_S)
        return self._arrived.is_set()

    async def _take(self, messages: Sequence[_Message]) -> None:
        """Take these in, and drop them from what waits."""
        try:
            await self._until_done(lambda: self._write(messages))
        except AccountLost:
            raise
        except Exception as error:  # noqa: BLE001 - one message that cannot be taken in must not stop all others
            if len(messages) > 1:
                for message in messages:
                    await self._take([message])
                return
            metrics.telegram_passed_over.labels(self._door.held.name).inc()
            await self._pass_over(messages[0], error)
        now_s = time.monotonic()
        for message in messages:
            metrics.telegram_commit_seconds.labels(self._door.held.name).observe(now_s - message[0].came_s)
        self._line.taken(chain.from_iterable(messages))

    async def _until_done(self, verb: Callable[[], Awaitable[After | None]]) -> None:
        """Run a transaction until it is committed, however long the database is away."""
        attempts = 0
        while True:
            try:
                after = await db.retried(verb)
            except AccountLost:
                raise
            except ToBeSeen as which:
                await self._door.unseen.ask(which, self._look_up)
            except Exception as error:
                attempts += isinstance(error, db.UniqueViolation)
                if not (db.will_pass(error) or 0 < attempts < _ATTEMPTS):
                    raise
                log.warning("telegram.not_yet_taken_in", account=self._door.held.name, error=db.describe(error))
                await asyncio.sleep(_AWAY_S)
            else:
                if after:
                    await self._do(after)
                return

    async def _do(self, after: After) -> None:
        """What is done after a commit: what fails of it must not be taken for the message's, which is in."""
        for query_id, text in after.shown:
            self._show(query_id, text)
        try:
            await after.do(self._door.jobs)
        except Exception as error:  # noqa: BLE001 - whatever it is, workers find by themselves what they were to be told of
            log.warning("telegram.not_told", account=self._door.held.name, error=db.describe(error))

    async def _write(self, messages: Sequence[_Message]) -> After:
        async with self._database.transaction() as conn:
            await fence(conn, self._door.held)
            after = await self._take_in_all(conn, messages)
            met = await self._write_progress(conn, self._line.states_with(chain.from_iterable(messages)))
        self._session.forget_met(met)
        return after

    async def _take_in_all(self, conn: Connection, messages: Sequence[_Message]) -> After:
        """Chats of which only plain words came together, then the others' messages one by one."""
        others = {message[0].said.chat_id for message in messages if not is_plain(self._door, message[0].said)}
        plain = [message[0].said for message in messages if message[0].said.chat_id not in others]
        after, done = await take_plain(conn, self._door, [one for one in plain if isinstance(one, Incoming)])
        for message in messages:
            if message[0].said.chat_id not in done:
                after += await self._take_in(conn, message)
        return after

    async def _take_in(self, conn: Connection, message: _Message) -> After:
        said = message[0].said
        if isinstance(said, Pressed):
            return await take_press(conn, self._door, said)
        return await take(conn, self._door, [part.said for part in message if isinstance(part.said, Incoming)])

    async def _write_left(self) -> None:
        async with self._database.transaction() as conn:
            await fence(conn, self._door.held)
            states = self._left
            met = await self._write_progress(conn, states)
        self._session.forget_met(met)
        if self._left is states:
            self._left = None

    async def _write_progress(self, conn: Connection, states: States | None) -> Sequence[Peer]:
        """Returns whom the client had met, who are written now."""
        name, met = self._door.held.name, list(self._session.met.values())
        await save_peers(conn, name, met)
        if states is not None:
            await save_states(conn, name, states)
        return met

    async def _pass_over(self, message: _Message, error: Exception) -> None:
        """Go on behind something that cannot be taken in: a defect of ours. The owner is told where to look."""
        said = message[0].said
        where = {"account": self._door.held.name, "chat": said.chat_id, "message": said.message_id}
        log.error("telegram.not_taken_in", **where, exc_info=error)

        async def write() -> None:
            async with self._database.transaction() as conn:
                await fence(conn, self._door.held)
                await notify(
                    conn,
                    user_id=None,
                    title="A Telegram message was not taken in",
                    body=f"Message {said.message_id} of chat {said.chat_id}, which came by {self._door.held.name}, could "
                    f"not be taken in: {db.describe(error)}. It is left out; the log has the details.",
                    category="telegram",
                    severity="error",
                    metadata=where,
                )
                await self._write_progress(conn, self._line.states_with(message))

        await self._until_done(write)


def _album_or_self(entry: Entry) -> object:
    """What entries that are one message have in common."""
    return album_of(entry.said) or id(entry)
