"""The recording of requests: bounded, searchable, and able to be waited on.

Bodies are kept as the bytes that came, because a parsed body takes many times their room; what else a request says is
read from them when it is asked for. When there is too much, the oldest go first.
"""

import asyncio
import json
import time
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from simulator import conversation
from simulator.conversation import Conversation
from simulator.records import Outcome, RecordedRequest

MAX_REQUESTS: Final = 1000
MAX_BODY_BYTES: Final = 64 * 1024 * 1024  # of all recorded bodies together: two of the largest the API takes
MATCHED_CHARACTERS: Final = 10_000  # of each request: enough for a prompt and the beginning of what tools brought
_SECRET_HEADERS: Final = frozenset({"x-api-key", "authorization", "cookie", "proxy-authorization"})


@dataclass(eq=False)
class Entry:
    """One request while it is being answered; only the recorder changes it."""

    number: int
    path: str
    headers: dict[str, str]
    received_at: float = field(default_factory=time.time)
    body: bytes = b""
    asked: str = ""
    outcome: Outcome = "open"
    status: int | None = None
    holding: str | None = None

    def record(self) -> RecordedRequest:
        """Return what is known of the request now."""
        body = json.loads(self.body) if self.body else None
        said = conversation.read(body["messages"] if body else [])
        return RecordedRequest(
            number=self.number,
            path=self.path,
            received_at=self.received_at,
            headers=self.headers,
            body=body,
            prompt=said.prompt,
            round=said.round,
            outcome=self.outcome,
            status=self.status,
            holding=self.holding,
        )


@dataclass(frozen=True)
class Filter:
    """Which requests are meant; what is None does not matter.

    `match` is looked for in the turn's prompt and in what the request brings new, in its first 10,000 characters; `after`
    leaves out older numbers.
    """

    match: str = ""
    after: int = 0
    holding: str | None = None
    outcome: Outcome | None = None

    def takes(self, entry: Entry) -> bool:
        """Say whether `entry` is meant."""
        return (
            entry.number > self.after
            and self.match in entry.asked
            and self.holding in {None, entry.holding}
            and self.outcome in {None, entry.outcome}
        )


class Recorder:
    """The requests that came, oldest first."""

    def __init__(self, max_requests: int = MAX_REQUESTS, max_body_bytes: int = MAX_BODY_BYTES) -> None:
        self._entries: deque[Entry] = deque()
        self._max_requests = max_requests
        self._max_body_bytes = max_body_bytes
        self._body_bytes = 0
        self._last_number = 0
        self._changed = asyncio.Event()

    def open(self, path: str, headers: Mapping[str, str]) -> Entry:
        """Record that a request came; the caller ends it with `close`."""
        self._last_number += 1
        kept = {name: value for name, value in headers.items() if name not in _SECRET_HEADERS}
        entry = Entry(self._last_number, path, kept)
        self._entries.append(entry)
        self._trim()
        self._tell()
        return entry

    def understood(self, entry: Entry, body: bytes, said: Conversation) -> None:
        """Record what a valid request says."""
        entry.asked = said.asked[:MATCHED_CHARACTERS]
        if entry in self._entries and len(body) <= self._max_body_bytes:
            entry.body = body
            self._body_bytes += len(body)
            self._trim()
        self._tell()

    def hold(self, entry: Entry, name: str | None) -> None:
        """Record at which hold a request stands, None when it goes on."""
        entry.holding = name
        self._tell()

    def close(self, entry: Entry, outcome: Outcome, status: int | None = None) -> None:
        """Record how a request ended; only the first end counts."""
        if entry.outcome == "open":
            entry.outcome, entry.status, entry.holding = outcome, status, None
            self._tell()

    def find(self, wanted: Filter) -> Iterator[Entry]:
        """Yield the recorded requests that are meant, oldest first."""
        return (entry for entry in list(self._entries) if wanted.takes(entry))

    async def wait(self, wanted: Filter) -> Entry:
        """Return the oldest request that is meant, as soon as there is one; the caller bounds the time."""
        while True:
            changed = self._changed
            if (entry := next(self.find(wanted), None)) is not None:
                return entry
            await changed.wait()

    def clear(self) -> None:
        """Forget all requests; numbers go on."""
        self._entries.clear()
        self._body_bytes = 0

    def _trim(self) -> None:
        while len(self._entries) > self._max_requests or self._body_bytes > self._max_body_bytes:
            self._body_bytes -= len(self._entries.popleft().body)

    def _tell(self) -> None:
        """Wake all waiters; each event serves once, so that a change between look and wait is never missed."""
        self._changed.set()
        self._changed = asyncio.Event()
