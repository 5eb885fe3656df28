"""Serves the door on a socket that its caller has bound, so that a taken port is found before anything else starts."""

import asyncio
import socket
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn
from fastapi import FastAPI
from uvicorn.protocols.http.h11_impl import H11Protocol

_LAST_REQUESTS_S = 5
_NOTHING_TAKEN_S = 30.0
"""A client that takes nothing of what it is sent for so long is cut off (Linux): it would hold its connection for ever."""
_HEAD_WITHIN_S = 10.0
"""So would one that sends nothing, or a request's head byte by byte; and a process can have no more than so many open."""


async def serve(door: FastAPI, listener: socket.socket) -> None:
    """Serve until cancelled; then take nothing more, let go of those who wait for a reply (202) or watch, and end the
    other requests.

    Cancelled again, it ends at once.
    """
    # Both are taken over by the sockets of its connections. asyncio sets the first only for sockets that name their protocol,
    # which those of socket.create_server do not: a body, or an event, then waits 40 ms for the client to acknowledge the head.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if hasattr(socket, "TCP_USER_TIMEOUT"):
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, round(1000 * _NOTHING_TAKEN_S))
    config = uvicorn.Config(
        door,
        http=_Protocol,
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_graceful_shutdown=_LAST_REQUESTS_S,
    )
    server = _Server(config)
    serving = asyncio.create_task(server.serve(sockets=[listener]), name="web server")
    try:
        await asyncio.wait({serving})
    except asyncio.CancelledError:
        server.should_exit = True
        door.state.replies.close()
        door.state.streams.close()
        door.state.feeds.close()
        door.state.inbox.close()
        await serving
        raise
    await serving


class _Server(uvicorn.Server):
    """Leaves signals alone: what a signal ends is more than this server, and its caller's to order."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class _Protocol(H11Protocol):
    """Cuts off who does not send a whole head in time. A connection that lies idle after an answer is uvicorn's to end."""

    _over: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        super().connection_made(transport)
        self._watch()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._stop()

    def _watch(self) -> None:
        if not self._waits_for_head():
            self._stop()
        elif self._over is None:
            self._over = self.loop.call_later(_HEAD_WITHIN_S, self._cut_off)

    def _waits_for_head(self) -> bool:
        return self.cycle is None or self.cycle.response_complete

    def _stop(self) -> None:
        if self._over is not None:
            self._over.cancel()
            self._over = None

    def _cut_off(self) -> None:
        self._over = None
        if self._waits_for_head():
            self.transport.close()
