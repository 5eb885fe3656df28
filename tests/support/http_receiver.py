"""A receiver of callbacks on a socket of this machine: it takes requests off the wire, and answers as it is told."""

import asyncio
import ssl
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from gateways.webhooks.settings import CallbackSettings

SETTINGS = CallbackSettings(callback_networks="127.0.0.0/8", callback_http="on")
"""Under which this machine may be called."""
Script = Callable[[asyncio.StreamWriter], Awaitable[None]]


@dataclass
class Taken:
    """One request. line: its first, method and path; headers: by lower-case name."""

    line: str
    headers: dict[str, str]
    body: bytes


@dataclass
class HttpReceiver:
    """port: where it listens. answers: status and further headers, or a script of its own, for each request; else 200."""

    port: int = 0
    answers: deque[tuple[int, dict[str, str]] | Script] = field(default_factory=deque)
    taken: list[Taken] = field(default_factory=list)

    @property
    def url(self) -> str:
        """Where it takes events."""
        return f"http://127.0.0.1:{self.port}/in"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection with one request."""
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
            pairs = (line.partition(": ") for line in head[1:] if line)
            headers = {name.lower(): value for name, _, value in pairs}
            self.taken.append(Taken(head[0], headers, await reader.readexactly(int(headers["content-length"]))))
            answer = self.answers.popleft() if self.answers else (200, {})
            if not isinstance(answer, tuple):
                await answer(writer)
                return
            status, more = answer
            lines = [f"HTTP/1.1 {status} Told", *(f"{name}: {value}" for name, value in more.items())]
            writer.write("\r\n".join([*lines, "content-length: 0", "", ""]).encode())
            await writer.drain()
        except (OSError, EOFError):
            pass
        finally:
            writer.close()


@asynccontextmanager
async def receiving(tls: ssl.SSLContext | None = None) -> AsyncIterator[HttpReceiver]:
    """A receiver that listens."""
    receiver = HttpReceiver()
    server = await asyncio.start_server(receiver.serve, "127.0.0.1", 0, ssl=tls)
    receiver.port = server.sockets[0].getsockname()[1]
    try:
        yield receiver
    finally:
        server.close()
