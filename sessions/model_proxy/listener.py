"""The proxy's socket on 127.0.0.1, served by uvicorn's protocol in the worker's own event loop.

uvicorn's server would take over the process' signals and wake up ten times a second; its protocol does neither.
"""

import asyncio
import socket
import struct
from contextlib import suppress
from typing import cast

import uvicorn
from starlette.types import ASGIApp, Scope
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

_RESET_ON_CLOSE = struct.pack("ii", 1, 0)  # SO_LINGER on with zero seconds: close() sends RST instead of FIN
_KEPT_IDLE_S = 300  # longer than the CLI keeps a connection: it must not find it closed as it sends


class _Protocol(H11Protocol):
    """HTTP over a connection that its requests can reset."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in uvicorn itself
        super().connection_made(transport)
        self.app_state = {"transport": transport}


class Listener:
    """The server, from `start` to `stop`."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._state = ServerState()
        self._server: asyncio.Server | None = None
        self.url = ""

    async def start(self) -> None:
        """Serve at `url`, at a port that the system picks."""
        config = uvicorn.Config(
            self._app,
            lifespan="off",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            timeout_keep_alive=_KEPT_IDLE_S,
        )
        config.load()
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            lambda: _Protocol(config, self._state, {}, loop), "127.0.0.1", 0, reuse_address=False
        )
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def stop(self) -> None:
        """Take nothing more, cut what is open, and return when all requests have ended."""
        if self._server:
            self._server.close()
        for connection in list(self._state.connections):
            cast("H11Protocol", connection).transport.abort()
        if self._state.tasks:
            await asyncio.wait(self._state.tasks)


def cut(scope: Scope) -> None:
    """Reset the connection that a request came over, as the API's was: the CLI then sees what it would have seen."""
    transport: asyncio.Transport = scope["state"]["transport"]
    connection: socket.socket = transport.get_extra_info("socket")
    with suppress(OSError):  # it is gone already
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
    transport.abort()
