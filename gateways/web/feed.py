"""One chat as its watchers at this door see it: what its turn shows by now, how far that goes, and who is to be told.

    rows of the run ─▶ taken in ─▶ a chunk of events, made once ─▶ every listener's queue ─▶ its socket
    end of the turn ─▶ what it showed is forgotten ─▶ `answer` ─▶ likewise
    what the chat says of itself ─▶ `remark` ─▶ likewise, and to who comes before the next end

No I/O here: `feeds` looks into the database, `live` writes to sockets.
"""

import asyncio
import json
import re
from collections import deque
from collections.abc import Collection, Mapping
from typing import Any, NamedTuple, Self
from uuid import UUID

from assistant.ends import NEWEST, End
from assistant.remarks import NEWEST_REMARKS, Remark
from jobs_core import InvalidInput
from sessions.live_rows import LiveRow, Place
from sessions.shown import Shown

MAX_WAITING_BYTES = 2 * 1024 * 1024
"""For one listener; one that is further behind has to come again, and is told in one piece what it missed."""


class Cursor(NamedTuple):
    """How far a watcher of a chat has come: the last end of a turn it was told, and its place in the run. Text: `31.17.4`."""

    message: int = 0
    place: Place = Place()

    @classmethod
    def parse(cls, text: str, *, field: str) -> Self:
        """The cursor of that text. Raises InvalidInput naming the field."""
        if not re.fullmatch(r"[0-9]{1,18}(\.[0-9]{1,18}){2}", text):
            raise InvalidInput(f"{field}: is no id of an event of a chat", field=field)
        message, token, seq = map(int, text.split("."))
        return cls(message, Place(token, seq))

    def __str__(self) -> str:
        return f"{self.message}.{self.place.token}.{self.place.seq}"


class Listener:
    """One who watches: what it is still to be sent.

    first: what it is sent before all else, of what was there when it came; upto: the last end of a turn at that time.
    """

    def __init__(self, first: bytes, upto: int) -> None:
        self.first = first
        self.upto = upto
        self.closed = False
        self._chunks = deque[bytes]()
        self._bytes = 0
        self._came = asyncio.Event()

    def put(self, chunk: bytes) -> None:
        """Have it sent; too much for it ends the listening."""
        self._bytes += len(chunk)
        if self._bytes > MAX_WAITING_BYTES:
            self.close()
            return
        self._chunks.append(chunk)
        self._came.set()

    def close(self) -> None:
        """Send it nothing more; what waits is forgotten."""
        self.closed = True
        self._chunks.clear()
        self._came.set()

    async def next(self, timeout_s: float) -> bytes | None:
        """What came, b"" where nothing did in time; None: it is over."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._came.wait()
        except TimeoutError:
            return b""
        if self.closed:
            return None
        chunk = b"".join(self._chunks)
        self._chunks.clear()
        self._bytes = 0
        self._came.clear()
        return chunk


class Feed:
    """A chat that somebody watches. Before `begin` nothing is known of it, before `ready` not all."""

    def __init__(self, chat: str) -> None:
        self.chat = chat
        self.listeners = set[Listener]()
        self.awaited = 0
        """How many wait for it to be ready."""
        self.cursor: Cursor | None = None
        self.ready = asyncio.Event()
        self.remarked = 0
        """The last line of the chat's own that was told."""
        self._ended = deque[UUID](maxlen=NEWEST)
        self._shown: Shown | None = None
        self._turn_id: UUID | None = None
        self._remarks = deque[bytes](maxlen=NEWEST_REMARKS)  # since the last end
        self._whole: bytes | None = None  # what the turn shows by now, as it was last sent: many may come at once

    @property
    def is_wanted(self) -> bool:
        """Whether anybody watches or is about to."""
        return bool(self.listeners or self.awaited)

    def begin(self, ends: Mapping[int, UUID], run: Place) -> None:
        """Start from the chat's newest run; `ends` are its last turns that have ended, by the ids of their ends."""
        self.cursor = Cursor(max(ends, default=0), run)
        self.remarked = self.cursor.message
        self._ended.extend(turn_id for _, turn_id in sorted(ends.items()))

    def join(self, after: Cursor | None) -> Listener:
        """A new listener, who has come as far as `after`; the feed is ready."""
        assert self.cursor
        there_already = after and after.place == self.cursor.place
        shown = b"" if there_already else self._so_far()
        listener = Listener(shown + b"".join(self._remarks), self.cursor.message)
        self.listeners.add(listener)
        return listener

    def take(self, row: LiveRow) -> None:
        """Take in and tell what a run has written. What comes of a turn that has ended is late, and not told."""
        assert self.cursor
        if row.token != self.cursor.place.token:
            self._shown = None
        self.cursor = Cursor(self.cursor.message, Place(row.token, row.seq))
        self._whole = None
        if row.turn_id in self._ended:
            return
        if self._shown is None:
            self._shown, self._turn_id = Shown(), row.turn_id
        events = json.loads(row.events)
        for kind, about in events:
            self._shown.apply(kind, about)
        self._tell(
            b"".join(self._chunk(kind, about, last=n == len(events)) for n, (kind, about) in enumerate(events, 1))
        )

    def end(self, end: End) -> None:
        """Tell that a turn has ended, and how."""
        assert self.cursor
        self.cursor = Cursor(end.id, self.cursor.place)
        self._whole = None
        self._remarks.clear()
        self._ended.append(end.turn_id)
        if end.turn_id == self._turn_id:
            self._shown = None
        self._tell(answer_chunk(end, self.cursor))

    def remark(self, said: Remark) -> None:
        """Tell what the chat says of itself, unless a turn has ended since: what waited then waits no more."""
        assert self.cursor
        self.remarked = said.id
        if said.id > self.cursor.message:
            chunk = _event("remark", {"message_id": said.id, "text": said.text}, None)
            self._remarks.append(chunk)
            self._tell(chunk)

    def close(self) -> None:
        """End all listening."""
        for listener in self.listeners:
            listener.close()
        self.listeners.clear()

    def _so_far(self) -> bytes:
        """What the turn shows by now, b"" where none is shown."""
        if self._whole is None:
            self._whole = self._chunk("reset", self._shown.as_reset(), last=True) if self._shown else b""
        return self._whole

    def _chunk(self, kind: str, about: Mapping[str, Any], *, last: bool) -> bytes:
        assert self.cursor
        of_run = {"turn_id": str(self._turn_id)} | ({"token": self.cursor.place.token} if kind == "reset" else {})
        # Of what was written together the last one has the id: a watcher that has only some of it has not come so far.
        return _event(kind, {**of_run, **about}, self.cursor if last else None)

    def _tell(self, chunk: bytes) -> None:
        for listener in self.listeners:
            listener.put(chunk)
        self.listeners = {listener for listener in self.listeners if not listener.closed}


def answer_chunk(end: End, cursor: Cursor) -> bytes:
    """The event that a turn has ended; `cursor` is the place right after it."""
    about = {
        "turn_id": str(end.turn_id),
        "state": end.state,
        "text": end.text,
        "message_id": end.id,
        "answers": list(end.answers),
    }
    return _event("answer", about, cursor)


def missed(ends: Collection[End], cursor: Cursor) -> bytes:
    """The events of ends that a watcher which had come as far as `cursor` has missed."""
    return b"".join(answer_chunk(end, Cursor(end.id, cursor.place)) for end in ends)


def _event(kind: str, about: Mapping[str, Any], cursor: Cursor | None) -> bytes:
    its_id = f"id: {cursor}\n" if cursor else ""
    return f"{its_id}event: {kind}\ndata: {json.dumps(about)}\n\n".encode()  # on one line: JSON escapes line breaks
