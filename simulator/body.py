"""Reads what a stranger sent: bounded in bytes, in depth and in number of values, or refused in the API's words."""

import json
from typing import Any, Final

from starlette.requests import ClientDisconnect, Request

from simulator import values
from simulator.errors import ApiError, invalid

MAX_BODY_BYTES: Final = 32_000_000  # the API's own limit for a Messages request
_MAX_VALUES: Final = 2_000_000  # 32 MB of "[]," would take more than a gigabyte once parsed; prose has far fewer


async def read(request: Request, max_bytes: int = MAX_BODY_BYTES) -> bytes:
    """Return a request's body; raises ApiError 413 when it is longer than `max_bytes`, 400 when it is cut off.

    The rest of a body that is too long is read and dropped: a caller that is still sending would take an early answer
    for a broken connection.
    """
    body = bytearray()
    too_long = False
    try:
        async for chunk in request.stream():
            too_long = too_long or len(body) + len(chunk) > max_bytes
            if too_long:
                body.clear()
            else:
                body += chunk
    except ClientDisconnect:
        raise invalid("The request body was cut off") from None
    if too_long:
        raise ApiError(413, "Request exceeds the maximum size")
    return bytes(body)


def parse(body: bytes) -> dict[str, Any]:
    """Return the JSON object that `body` holds; raises ApiError 400 when it holds none."""
    if sum(body.count(mark) for mark in (b"[", b"{", b",")) > _MAX_VALUES:
        raise invalid("The request body holds too many values")
    try:
        value = json.loads(body)
        values.check(value)
    except RecursionError:
        raise invalid("The request body is not valid JSON: nested too deeply") from None
    except ValueError as error:
        raise invalid(f"The request body is not valid JSON: {error}") from None
    if not isinstance(value, dict):
        raise invalid("The request body is not valid JSON: expected an object")
    return value
