"""The few things that Telethon's classes cannot write, because a client only reads them."""

from __future__ import annotations

import struct
from typing import Any

UNKNOWN_KEY = struct.pack("<i", -404)
"""A whole packet: the transport's error for a key that the server does not know."""

_RPC_RESULT, _VECTOR, _TRUE, _FALSE = 0xF35C6D01, 0x1CB5C415, 0x997275B5, 0xBC799737


def result_bytes(request_id: int, result: Any) -> bytes:
    """Write the answer to a request: an object, a list of objects, or a truth value."""
    return struct.pack("<Iq", _RPC_RESULT, request_id) + _value_bytes(result)


def _value_bytes(value: Any) -> bytes:
    if isinstance(value, bool):
        return struct.pack("<I", _TRUE if value else _FALSE)
    if isinstance(value, list):
        return struct.pack("<Ii", _VECTOR, len(value)) + b"".join(map(_value_bytes, value))
    return bytes(value)
