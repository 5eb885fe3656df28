"""What waits to be taken in: of each chat in its order, the chats by turns; and how far the account is when some of it is done.

    came    m1 m2 m3 m4 b1 ─▶ taken    m1 m2 · b1 m3 m4        (m1 and m2 were being taken when b1 came)

So who says ten thousand things waits behind themselves. What is taken ahead of others does not count for how far the account
is until those are taken, too: after a crash it comes again, and is known.
"""

import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice, takewhile

from gateways.telegram.incoming import Incoming, Pressed
from gateways.telegram.session import States

MOST_AT_ONCE = 20
"""Messages that are taken in together where more wait: their chats' lanes are locked for so long, some 10 ms, or 40 where they
are more than words."""
MOST_OF_A_CHAT = 10
"""Of these, where more chats than one may come: others wait for so many at least."""


@dataclass(slots=True, eq=False)
class Entry:
    """Something to take in. turn: when. states: how far the account is with it; None: others of its batch follow."""

    said: Incoming | Pressed
    turn: int
    states: States | None = None
    is_done: bool = False
    came_s: float = field(default_factory=time.monotonic)


class Line:
    """Iterating gives what waits, in the order in which it is taken."""

    def __init__(self) -> None:
        self._waiting = deque[Entry]()
        self._came = deque[Entry]()
        """As it came, what was taken ahead of others too."""
        self._last = dict[int, Entry]()
        """Of each chat."""
        self._turn = 0

    def __len__(self) -> int:
        return len(self._waiting)

    def __iter__(self) -> Iterator[Entry]:
        return iter(self._waiting)

    def put(self, said: Sequence[Incoming | Pressed], states: States | None = None) -> None:
        """Have these wait. states: how far the account is with the last of them."""
        for one in said:
            entry = Entry(one, self._turn_of(one))
            self._last[one.chat_id] = entry
            self._came.append(entry)
            self._insert(entry)
        self._came[-1].states = states

    def next(self) -> list[Entry]:
        """What is taken now. Until it is `taken` nothing comes before it."""
        first = self._waiting[0]
        soon = takewhile(lambda entry: entry.turn < first.turn + MOST_OF_A_CHAT, self._waiting)
        found = list(islice(soon, MOST_AT_ONCE))
        self._turn = found[-1].turn
        return found

    def taken(self, entries: Iterable[Entry]) -> None:
        """Those that come first wait no longer: they are committed."""
        for entry in entries:
            self._waiting.popleft()
            entry.is_done = True
        while self._came and self._came[0].is_done:
            self._came.popleft()
        if not self._waiting:
            self._last.clear()

    def states_with(self, entries: Iterable[Entry]) -> States | None:
        """How far the account is when these are taken: up to what came first of all that still waits; None: no farther."""
        now, states = set(entries), None
        for entry in takewhile(lambda entry: entry.is_done or entry in now, self._came):
            states = entry.states or states
        return states

    def _turn_of(self, said: Incoming | Pressed) -> int:
        """One behind the chat's last; parts of an album have one turn."""
        last = self._last.get(said.chat_id)
        if last is None:
            return self._turn
        album = album_of(said)
        goes_on = album is not None and album == album_of(last.said)
        return max(self._turn, last.turn + (not goes_on))

    def _insert(self, entry: Entry) -> None:
        if not self._waiting or self._waiting[-1].turn <= entry.turn:
            self._waiting.append(entry)
            return
        self._waiting.insert(next(n for n, one in enumerate(self._waiting) if one.turn > entry.turn), entry)


def album_of(said: Incoming | Pressed) -> tuple[int, int, int] | None:
    """Which album of whom a message is a part of; an edit of one is a message by itself."""
    if not isinstance(said, Incoming) or said.album is None or said.edited_at is not None:
        return None
    return said.chat_id, said.sender_id, said.album
