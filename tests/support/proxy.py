"""A proxy before Postgres, which loses answers, stalls, or is not there, as networks do."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from urllib.parse import urlsplit, urlunsplit


class Proxy:
    """What goes wrong from now on; `proxied` makes one."""

    def __init__(self, dsn: str) -> None:
        self._server = urlsplit(dsn)
        self._port = 0
        self._tasks = set[asyncio.Task[None]]()
        self.lose_answer_to: bytes | None = None
        """The connection is cut when the answer to a statement with this in it has come: it was run, nobody hears of it."""
        self.lost = 0
        """How many answers were lost."""
        self.stalled = False
        """Connections stay open, and nothing goes either way."""
        self.refusing = False
        """New connections are closed at once."""
        self.refused = 0

    @property
    def dsn(self) -> str:
        """The server's DSN, through here."""
        name = self._server.netloc.rpartition("@")[0]
        return urlunsplit(self._server._replace(netloc=f"{name}@127.0.0.1:{self._port}"))

    def cut(self) -> None:
        """End every connection there is."""
        for task in self._tasks:
            task.cancel()

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[None]:
        """Serve on a port that the system chose; every connection is cut at the end."""
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self._port = server.sockets[0].getsockname()[1]
        try:
            yield
        finally:
            server.close()
            self.cut()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.refusing:
            self.refused += 1
            writer.close()
            return
        server_reader, server_writer = await asyncio.open_connection(self._server.hostname, self._server.port)
        asked = asyncio.Event()
        ways = (
            self._pump(reader, server_writer, asked, from_client=True),
            self._pump(server_reader, writer, asked, from_client=False),
        )
        tasks = [asyncio.create_task(way) for way in ways]
        self._tasks.update(tasks)
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for end in (writer, server_writer):
            end.transport.abort()

    async def _pump(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, asked: asyncio.Event, *, from_client: bool
    ) -> None:
        with suppress(ConnectionError):
            while data := await reader.read(65_536):
                if self.stalled:
                    await asyncio.Event().wait()
                if from_client and self.lose_answer_to and self.lose_answer_to in data:
                    asked.set()
                elif asked.is_set() and not from_client:
                    self.lose_answer_to = None
                    self.lost += 1
                    return
                writer.write(data)
                await writer.drain()


@asynccontextmanager
async def proxied(dsn: str) -> AsyncIterator[Proxy]:
    """A proxy before the server of this DSN, on the running event loop."""
    proxy = Proxy(dsn)
    async with proxy.listening():
        yield proxy
