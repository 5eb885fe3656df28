"""A proxy before Postgres that holds one statement, or its answer, until whoever asked for that has struck.

client ─▶ is it this one? ─ before: kept back, not one byte of it gets there ─┐
                           ─ after: done, and its answer is kept back ────────┴─▶ go (on its way) │ drop (the line ends)
"""

import asyncio
import socket
import struct
from collections.abc import AsyncIterator, Collection, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Literal

from tests.support.wire import READY, Statements, serving

Moment = Literal["before", "after"]
_RESET = struct.pack("ii", 1, 0)
_DONE, _ROW = b"C", b"D"  # CommandComplete, which the answer to a mere Parse lacks; DataRow


@dataclass(frozen=True, slots=True)
class Stop:
    """A statement to hold. within: what a statement before it in its transaction begins with. rows: its answer brings some.
    nth: the first of these, the second, …"""

    statement: str
    moment: Moment
    within: str = ""
    rows: bool = False
    nth: int = 1


class HeldLine:
    """One client's connection; while it is held, `go` or `drop` it."""

    def __init__(self, proxy: "HoldingProxy", client: asyncio.StreamWriter, server: asyncio.StreamWriter) -> None:
        self.port: int = client.get_extra_info("peername")[1]
        self.arrived = asyncio.Event()
        """Something came back, or the line was ended, since it was let go."""
        self._proxy = proxy
        self._client = client
        self._server = server
        self._asked = ""
        self._transaction = set[str]()
        self._held: asyncio.Future[bool] | None = None
        self._resets = False
        proxy.lines.add(self)

    def go(self) -> None:
        """Let what is held go its way."""
        if self in self._proxy.lines:
            self.arrived.clear()
        self._decide(goes=True)

    def drop(self, *, reset: bool = False) -> None:
        """End the line; what is held gets nowhere. reset: by a TCP reset at both ends."""
        self._resets = reset
        self._decide(goes=False)
        self.cut()

    async def forward(self, reader: asyncio.StreamReader) -> None:
        """From the client to the server; returns when the line is to end."""
        statements = Statements()
        with suppress(ConnectionError):
            while data := await reader.read(65_536):
                self._asked = statements.statement(data)
                if self._asked == "begin":
                    self._transaction.clear()
                self._transaction.add(self._asked)
                if self._is_at("before") and not await self._hold():
                    return
                self._server.write(data)
                await self._server.drain()

    async def back(self, reader: asyncio.StreamReader) -> None:
        """From the server to the client; returns when the line is to end."""
        answer = b""
        with suppress(ConnectionError):
            while data := await reader.read(65_536):
                answer += data
                if self._is_at("after"):
                    if answer[-6:-1] != READY:
                        continue
                    kinds = set(_kinds(answer))
                    done = _DONE in kinds and (_ROW in kinds or not self._proxy.wants_rows)
                    if done and self._is_at("after") and not await self._hold():
                        return
                self._client.write(answer)
                answer = b""
                await self._client.drain()
                self.arrived.set()

    def cut(self) -> None:
        """End both ends."""
        self._proxy.lines.discard(self)
        self.arrived.set()
        for end in (self._client, self._server):
            sock = end.get_extra_info("socket")
            if self._resets and sock and not end.is_closing():
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
                end.transport.abort()
            else:
                end.close()

    def _is_at(self, moment: Moment) -> bool:
        return self._proxy.stops(self._asked, moment, self._transaction)

    async def _hold(self) -> bool:
        if not self._proxy.is_the_one():
            return True
        self._held = asyncio.get_running_loop().create_future()
        self._proxy.hold(self)
        return await self._held

    def _decide(self, *, goes: bool) -> None:
        if self._held and not self._held.done():
            self._held.set_result(goes)


class HoldingProxy:
    """`arm` it with a stop: all that come there are held until one of them is chosen (`keep`). `holding` makes one.

    `reached` chooses the first.
    """

    def __init__(self) -> None:
        self.dsn = ""
        self.lines = set[HeldLine]()
        self._stop: Stop | None = None
        self._seen = 0
        self._held = list[HeldLine]()
        self._untaken = asyncio.Queue[HeldLine]()

    @property
    def wants_rows(self) -> bool:
        """Whether an answer without rows is let pass."""
        return self._stop is not None and self._stop.rows

    def arm(self, stop: Stop) -> None:
        """Hold whoever comes there from now on."""
        self._stop, self._seen, self._held, self._untaken = stop, 0, [], asyncio.Queue()

    def keep(self, *lines: HeldLine) -> None:
        """Hold nobody else; who else is held goes on."""
        self._stop = None
        for line in self._held:
            if line not in lines:
                line.go()

    async def holds(self) -> bool:
        """Whether `take` has one to return."""
        return not self._untaken.empty()

    async def take(self) -> HeldLine:
        """The next line that is held, once one is."""
        return await self._untaken.get()

    async def reached(self) -> HeldLine:
        """The first line that is held, once one is; all others pass."""
        line = await self.take()
        self.keep(line)
        return line

    def cut(self, ports: Collection[int]) -> None:
        """Reset the connections that clients have from these ports."""
        for line in [line for line in self.lines if line.port in ports]:
            line.drop(reset=True)

    def stops(self, statement: str, moment: Moment, transaction: Collection[str]) -> bool:
        """Whether to hold this one."""
        stop = self._stop
        if stop is None or (stop.statement, stop.moment) != (statement, moment):
            return False
        return not stop.within or any(one.startswith(stop.within) for one in transaction)

    def is_the_one(self) -> bool:
        """Count it; whether it is the nth, or later."""
        self._seen += 1
        return self._stop is not None and self._seen >= self._stop.nth

    def hold(self, line: HeldLine) -> None:
        """This line is there."""
        self._held.append(line)
        self._untaken.put_nowait(line)


@asynccontextmanager
async def holding(dsn: str) -> AsyncIterator[HoldingProxy]:
    """A proxy before the server of this DSN, on the running event loop."""
    proxy = HoldingProxy()
    async with serving(dsn, lambda client, server: HeldLine(proxy, client, server)) as proxy.dsn:
        yield proxy


def _kinds(answer: bytes) -> Iterator[bytes]:
    """The type of each message in an answer."""
    at = 0
    while at + 5 <= len(answer):
        yield answer[at : at + 1]
        at += 1 + int.from_bytes(answer[at + 1 : at + 5])
