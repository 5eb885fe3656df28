"""A proxy before Postgres that cuts connections at chosen points of the protocol.

    client ─▶ which statement is this? ─▶ cut it? ─ unsent: not one byte gets there ─ torn: half of them do
                                                   ─ unanswered: all, and the line is cut at once
                                                   ─ half_answered: half of the answer comes back ─ answered: none of it does

A statement is known by its file (`job/claim`), or else by its first word (`commit`); what a connection begins with is
`connect`. Each statement is cut at each point about as often, frequent ones and rare ones.
"""

import asyncio
import random
import re
import socket
import struct
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from functools import cache
from importlib import resources
from urllib.parse import urlsplit, urlunsplit

from jobs_core.statements import fill_in

POINTS = ("unsent", "torn", "unanswered", "half_answered", "answered")
_PARAMETER = re.compile(r"%\(\w+\)[sbt]|\$\d+")
_READY = b"Z\x00\x00\x00\x05"  # ReadyForQuery, which a status byte follows: the end of an answer
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


class _Client:
    """The statements that one client sends, named as its bytes go by."""

    def __init__(self) -> None:
        self._rest = b""
        self._begun = False
        self._prepared: dict[bytes, str] = {}

    def statement(self, data: bytes) -> str:
        """The first statement named in these bytes."""
        names = list(self._names(data))
        return names[0] if names else "other"

    def _names(self, data: bytes) -> Iterator[str]:
        self._rest += data
        while len(self._rest) >= 5:
            typed = self._begun  # but the first message, which has no type byte
            length = int.from_bytes(self._rest[typed : typed + 4]) + typed
            if len(self._rest) < length:
                return
            kind, body = (self._rest[:1], self._rest[5:length]) if typed else (b"", b"")
            self._rest, self._begun = self._rest[length:], True
            if name := self._name(kind, body):
                yield name

    def _name(self, kind: bytes, body: bytes) -> str | None:
        if kind in {b"", b"p"}:
            return "connect"
        if kind == b"Q":
            return _name_of(body.rstrip(b"\0").decode())
        if kind == b"P":
            name, text, _ = body.split(b"\0", 2)
            self._prepared[name] = _name_of(text.decode())
            return self._prepared[name]
        return self._prepared[body.split(b"\0", 2)[1]] if kind == b"B" else None


class _Line:
    """One client's connection, on to the server."""

    def __init__(self, cutter: Cutter, client: asyncio.StreamWriter, server: asyncio.StreamWriter) -> None:
        self._cutter = cutter
        self._client = client
        self._server = server
        self._loses: str | None = None

    async def forward(self, reader: asyncio.StreamReader) -> None:
        """From the client to the server; returns when the line is to be cut."""
        client = _Client()
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
                    if data[-6:-1] == _READY:
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
    address = urlsplit(dsn)
    tasks = set[asyncio.Task[None]]()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            server_reader, server_writer = await asyncio.open_connection(address.hostname, address.port)
        except OSError:
            writer.close()
            return
        line = _Line(cutter, writer, server_writer)
        ways = [asyncio.create_task(line.forward(reader)), asyncio.create_task(line.back(server_reader))]
        tasks.update(ways)
        await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        line.cut()
        tasks.difference_update(ways)
        for way in ways:
            way.cancel()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    login = address.netloc.rpartition("@")[0]
    try:
        yield urlunsplit(
            address._replace(netloc=f"{login}@127.0.0.1:{port}", query="sslmode=disable&gssencmode=disable")
        )
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _name_of(text: str) -> str:
    if not text:
        return "check"  # the pool's
    return _files().get(_PARAMETER.sub("?", text)) or text.split(None, 1)[0].lower()


@cache
def _files() -> dict[str, str]:
    """The text of each statement of the queue, without its parameters, and its name."""
    names = {}
    with resources.as_file(resources.files("jobs_core") / "sql") as folder:
        for path in folder.rglob("*.sql"):
            text = _PARAMETER.sub("?", fill_in(path.read_text(encoding="utf-8")))
            names[text.replace("%%", "%")] = str(path.relative_to(folder).with_suffix(""))
    return names
