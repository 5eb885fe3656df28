"""What goes by between a client and Postgres, for proxies that do something to it: statements known by their names.

client ─▶ forward ─▶ server        a statement is known by its file (`job/claim`), or else by its first word (`commit`);
client ◀─  back  ◀── server        what a connection begins with is `connect`, a pool's look at it `check`
"""

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from functools import cache
from importlib import resources
from typing import Protocol
from urllib.parse import urlsplit, urlunsplit

from jobs_core.statements import fill_in

READY = b"Z\x00\x00\x00\x05"
"""ReadyForQuery, which a status byte follows: the end of an answer."""
_PARAMETER = re.compile(r"%\(\w+\)[sbt]|\$\d+")


class Line(Protocol):
    """One client's connection, on to the server. A way that returns ends the line."""

    async def forward(self, reader: asyncio.StreamReader) -> None:
        """From the client to the server."""

    async def back(self, reader: asyncio.StreamReader) -> None:
        """From the server to the client."""

    def cut(self) -> None:
        """End both ends."""


@asynccontextmanager
async def serving(
    dsn: str, line_of: Callable[[asyncio.StreamWriter, asyncio.StreamWriter], Line]
) -> AsyncIterator[str]:
    """The DSN of a proxy before this one's server, on the running event loop; `line_of` gets its client and its server."""
    address = urlsplit(dsn)
    tasks = set[asyncio.Task[None]]()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            server_reader, server_writer = await asyncio.open_connection(address.hostname, address.port)
        except OSError:
            writer.close()
            return
        line = line_of(writer, server_writer)
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


class Statements:
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


def _name_of(text: str) -> str:
    if not text:
        return "check"  # the pool's
    if "pg_notify" in text:
        return "notify"
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
