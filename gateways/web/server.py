"""Serves the door on a socket that its caller has bound, so that a taken port is found before anything else starts."""

import asyncio
import socket
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn
from fastapi import FastAPI

_LAST_REQUESTS_S = 5
_NOTHING_TAKEN_S = 30.0
"""A client that takes nothing of what it is sent for so long is cut off (Linux): it would hold its connection for ever."""


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
