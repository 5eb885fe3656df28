"""A proxy before Postgres that cuts connections at chosen points of the protocol.

    client ─▶ which statement is this? ─▶ cut it? ─ unsent: not one byte gets there ─ torn: half of them do
                                                   ─ unanswered: all, and the line is cut at once
                                                   ─ half_answered: half of the answer comes back ─ answered: none of it does

Each statement is cut at each point about as often, frequent ones and rare ones.
"""

import asyncio
import random
import socket
import struct
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from functools import partial

from tests.support.wire import READY, Statements, serving

POINTS = ("unsent", "torn", "unanswered", "half_answered", "answered")
_RESET = struct.pack("ii", 1, 0)


class Cutter:
    """Chooses what to cut: `left` more times, `pause_s` apart at least; then, until `stopped`, only what was never cut.

    `cuts` counts them by (statement, point).
    """

    def __init__(self, rng: random.Random, *, cuts: int, pause_s: float) -> None:
        self.left = cuts
        self.stopped = False
        self.cuts = Counter[tuple[str, str]]()
        self.rng = rng
        self._pause_s = pause_s
        self._next_at = 0.0

    def choose(self, statement: str) -> str | None:
        """The point at which to cut this one, or None."""
        point = min(POINTS, key=lambda point: (self.cuts[statement, point], self.rng.random()))
        before = self.cuts[statement, point]
        if self.stopped or time.monotonic() < self._next_at or not (self.left or before == 0):
            return None
        if self.rng.random() * (1 + before) >= 1:
            return None  # so that rare statements get their share
        self.left = max(self.left - 1, 0)
        self.cuts[statement, point] += 1
        self._next_at = time.monotonic() + self._pause_s
        return point


class _Line:
    """One client's connection, on to the server."""

    def __init__(self, cutter: Cutter, client: asyncio.StreamWriter, server: asyncio.StreamWriter) -> None:
        self._cutter = cutter
        self._client = client
        self._server = server
        self._loses: str | None = None

    async def forward(self, reader: asyncio.StreamReader) -> None:
        """From the client to the server; returns when the line is to be cut."""
        client = Statements()
        with suppress(ConnectionError):
            while data := await reader.read(65_536):
                statement = client.statement(data)
                point = None if self._loses else self._cutter.choose(statement)
                if point == "unsent":
                    return
                self._server.write(data[: len(data) // 2] if point == "torn" else data)
                await self._server.drain()
                if point in {"torn", "unanswered"}:
                    return
                self._loses = self._loses or point

    async def back(self, reader: asyncio.StreamReader) -> None:
        """From the server to the client; returns when the line is to be cut."""
        with suppress(ConnectionError):
            while data := await reader.read(65_536):
                if self._loses == "answered":
                    if data[-6:-1] == READY:
                        return
                    continue
                self._client.write(data[: len(data) // 2] if self._loses else data)
                await self._client.drain()
                if self._loses:
                    return

    def cut(self) -> None:
        """Both ends, each in order or by a reset; what was forwarded gets there."""
        for end in (self._client, self._server):
            if self._cutter.rng.random() < 0.5:
                end.close()
            elif not end.transport.get_write_buffer_size() and (sock := end.get_extra_info("socket")):
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
                end.transport.abort()
            else:
                end.close()


@asynccontextmanager
async def cutting(dsn: str, cutter: Cutter) -> AsyncIterator[str]:
    """The DSN of a proxy before this one's server, on the running event loop."""
    async with serving(dsn, partial(_Line, cutter)) as cut_dsn:
        yield cut_dsn
