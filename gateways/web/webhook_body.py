"""Reading a request that nobody has vouched for yet: bounded in bytes, in time, and in what all of them hold together.

A body that is too long is read on for a while, and dropped, for a sender that still sends sees no early answer; then its
connection is cut. Compressed bodies are not taken: what is signed is what was sent, and a kilobyte can become a gigabyte.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from starlette.types import Receive

from gateways.web.errors import Refused
from gateways.webhooks.making import MAX_BODY_BYTES

READ_WITHIN_S = 10.0
_READ_ON_BYTES = 4 * MAX_BODY_BYTES
_FREE_BYTES = 64 * 1024
_MOST_HELD_BYTES = 64 * 1024 * 1024
"""Of all bodies at once, until they are answered, beside the free part of each: strangers keep only long ones out."""
_CUT = {"Connection": "close"}


@dataclass(slots=True)
class Held:
    """How many bytes of bodies a door holds, but for the free part of each."""

    n: int = 0


class Body:
    """One request's body, counted in `held` while this is entered."""

    def __init__(self, headers: Mapping[str, str], receive: Receive, held: Held) -> None:
        self._headers = headers
        self._receive = receive
        self._held = held
        self._mine = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._held.n -= self._mine

    async def read(self, within_s: float = READ_WITHIN_S) -> bytes:
        """The bytes. Raises Refused."""
        encoding = self._headers.get("content-encoding", "").strip().lower()
        if encoding not in ("identity", ""):
            message = f"Content-Encoding {encoding[:20]!r} is not taken: send the body as it is"
            raise Refused(415, "encoded", message, headers=_CUT)
        announced = self._headers.get("content-length", "")
        if announced.isdecimal() and int(announced) > _READ_ON_BYTES:
            raise _too_long(f"{announced} bytes")
        try:
            async with asyncio.timeout(within_s):
                return await self._read()
        except TimeoutError:
            raise Refused(408, "too_slow", f"The body did not come within {within_s:g} s", headers=_CUT) from None

    async def _read(self) -> bytes:
        chunks, size, more = list[bytes](), 0, True
        while more and size <= _READ_ON_BYTES:
            chunk, more = await self._next()
            size += len(chunk)
            if size <= MAX_BODY_BYTES:
                self._hold(size)
                chunks.append(chunk)
        if size > MAX_BODY_BYTES:
            raise _too_long(f"{'more than ' * more}{size} bytes")
        return b"".join(chunks)

    async def _next(self) -> tuple[bytes, bool]:
        message = await self._receive()
        if message["type"] == "http.disconnect":
            raise Refused(400, "cut_off", "The request's body was cut off")
        return message.get("body", b""), message.get("more_body", False)

    def _hold(self, size: int) -> None:
        more = max(0, size - _FREE_BYTES) - self._mine
        self._mine += more
        self._held.n += more
        if more and self._held.n > _MOST_HELD_BYTES:
            message = "Too much is being received at once; nothing was acknowledged. Try again."
            raise Refused(503, "busy", message, headers={**_CUT, "Retry-After": "2"})


def _too_long(what: str) -> Refused:
    return Refused(413, "too_long", f"The body has {what}, at most {MAX_BODY_BYTES} are taken", headers=_CUT)
