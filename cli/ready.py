"""Waiting for our own web server, without an HTTP library: `up` has no other use for one."""

import asyncio
from urllib.parse import urlsplit

_AGAIN_S = 0.05
_ANSWER_S = 10.0


async def answers(url: str) -> None:
    """Return when a GET of this http URL answers 200."""
    while not await _status_is_200(url):  # noqa: ASYNC110 - what is awaited is in another process
        await asyncio.sleep(_AGAIN_S)


async def _status_is_200(url: str) -> bool:
    place = urlsplit(url)
    request = f"GET {place.path} HTTP/1.1\r\nHost: {place.netloc}\r\nConnection: close\r\n\r\n"
    try:
        async with asyncio.timeout(_ANSWER_S):
            reader, writer = await asyncio.open_connection(place.hostname, place.port)
            try:
                writer.write(request.encode())
                status_line = await reader.readline()
            finally:
                writer.close()
    except OSError:  # TimeoutError is one
        return False
    return status_line.split()[1:2] == [b"200"]
