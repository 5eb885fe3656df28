"""Serves the simulator on 127.0.0.1 with uvicorn, in a way that tests can rely on.

It says where it serves once it does, ends at once on a signal however many answers are held, and can cut a connection
with a TCP reset, for which it has to know the transport behind each request.
"""

import asyncio
import os
import signal
import socket
import struct
import threading
from collections.abc import Callable
from types import FrameType
from typing import ClassVar

import uvicorn
from starlette.types import Scope
from uvicorn.protocols.http.h11_impl import H11Protocol

from simulator.app import create_app

_RESET_ON_CLOSE = struct.pack("ii", 1, 0)  # SO_LINGER on with zero seconds: close() sends RST instead of FIN


class _CuttableProtocol(H11Protocol):
    """HTTP over connections that can be looked up by their caller's address."""

    transports: ClassVar[dict[tuple[str, int], asyncio.Transport]] = {}

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in uvicorn itself
        super().connection_made(transport)
        if self.client:
            self.transports[self.client] = transport

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        if self.client:
            self.transports.pop(self.client, None)


class _Server(uvicorn.Server):
    """A server that announces itself and does not wait for held answers when it is told to end."""

    def __init__(self, config: uvicorn.Config, started: Callable[[], None]) -> None:
        super().__init__(config)
        self._announce = started

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._announce()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End as if all callers had gone away, which is what ends the answers that are held."""
        for transport in list(_CuttableProtocol.transports.values()):
            transport.abort()
        await super().shutdown(sockets)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002 - the signature is uvicorn's
        self.should_exit = True
        self.force_exit = True  # a caller that comes in at the last moment is not waited for either


def serve(
    port: int,
    *,
    api_key: str | None,
    control_token: str | None,
    exit_with_stdin: bool,
    started: Callable[[str], None],
) -> None:
    """Serve on 127.0.0.1:`port` (0: the system picks one) until SIGTERM, SIGINT or, if asked for, the end of stdin.

    `started` is told the base URL once requests are taken. Raises OSError when the port is taken.
    """
    listener = socket.create_server(("127.0.0.1", port))
    listener.setsockopt(
        socket.IPPROTO_TCP, socket.TCP_NODELAY, 1
    )  # asyncio does it only where a socket names its protocol
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    app = create_app(api_key=api_key, control_token=control_token, cut=_cut)
    config = uvicorn.Config(
        app, http=_CuttableProtocol, lifespan="off", log_level="error", access_log=False, timeout_keep_alive=60
    )
    server = _Server(config, lambda: started(url))
    if exit_with_stdin:
        threading.Thread(target=_end_with_stdin, args=(server,), daemon=True).start()
    with listener:
        server.run(sockets=[listener])


def _cut(scope: Scope) -> None:
    """Reset the connection that a request came over, unless it is gone already."""
    transport = _CuttableProtocol.transports.get(tuple(scope["client"] or ()))
    if transport is None:
        return
    connection: socket.socket = transport.get_extra_info("socket")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
    transport.abort()


def _end_with_stdin(server: _Server) -> None:
    """Wait for the end of stdin by plain reads: a buffered read would block the interpreter's own end."""
    while os.read(0, 4096):
        pass
    server.handle_exit(signal.SIGTERM, None)
