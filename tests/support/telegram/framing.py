"""TcpFull, the framing that Telethon uses by default: length, running number, payload, CRC-32, all little-endian."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING
from zlib import crc32

if TYPE_CHECKING:
    import asyncio

MAX_PACKET_BYTES = 2**24
"""Longer than any that a client sends (a file's part is 512 KiB): a longer one is a mistake in the framing."""


class BadFrame(Exception):
    """A client's bytes are no TcpFull frame, or not the next one. The connection cannot be read any further."""


class Frames:
    """The frames of one connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._read = 0
        self._written = 0

    async def read(self) -> bytes:
        """Give the payload of the next frame. Raises `asyncio.IncompleteReadError` at the end of the stream, and `BadFrame`."""
        head = await self._reader.readexactly(8)
        length, number = struct.unpack("<ii", head)
        if number != self._read or not 12 <= length <= MAX_PACKET_BYTES:
            raise BadFrame(f"frame {number} of {length} bytes came where frame {self._read} was due")
        self._read += 1
        body = await self._reader.readexactly(length - 8)
        payload, checksum = body[:-4], struct.unpack("<I", body[-4:])[0]
        if checksum != crc32(head + payload):
            raise BadFrame(f"frame {number} has a wrong checksum")
        return payload

    def write(self, payload: bytes) -> None:
        """Put one frame into the connection's buffer."""
        frame = struct.pack("<ii", len(payload) + 12, self._written) + payload
        self._written += 1
        self._writer.write(frame + struct.pack("<I", crc32(frame)))

    def close(self, *, abruptly: bool) -> None:
        """Close the connection: with what was written, or with a reset that drops it."""
        if abruptly:
            self._writer.transport.abort()
        else:
            self._writer.close()
