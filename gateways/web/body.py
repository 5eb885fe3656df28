"""Reads what a caller sent: bounded before it is parsed, then through the gate that all data passes."""

from collections.abc import Callable
from typing import TypeVar, cast

from fastapi import Request
from pydantic import BaseModel
from starlette.requests import ClientDisconnect

from gateways.web.errors import Refused
from jobs_core import InvalidInput, gate

MAX_BODY_BYTES = 1024 * 1024

_WHOLE = "body"

ModelT = TypeVar("ModelT", bound=BaseModel)


async def read(
    request: Request,
    model: type[ModelT],
    *,
    if_empty: bytes = b"",
    max_bytes: int = MAX_BODY_BYTES,
    if_large: Callable[[], None] | None = None,
) -> ModelT:
    """The body, or what stands for one that is empty, as an instance of `model`.

    if_large: called, once, before more than MAX_BODY_BYTES of it are kept; what it raises ends the reading.
    Raises Refused where it is too long (413) or no JSON (400), InvalidInput naming the field that does not fit.
    """
    raw = await _bytes(request, max_bytes, if_large) or if_empty
    try:
        return cast("ModelT", gate.fit(model, gate.from_json(raw, field=_WHOLE, max_bytes=max_bytes), field=_WHOLE))
    except InvalidInput as error:
        if error.field == _WHOLE:
            raise Refused(400, "bad_json", str(error), field=_WHOLE) from None
        raise InvalidInput(_inside(str(error)), field=_inside(error.field)) from None


def _inside(place: str) -> str:
    """A place as the caller knows it: `message`, where the gate says `body.message`."""
    return place.removeprefix(f"{_WHOLE}.")


async def _bytes(request: Request, max_bytes: int, if_large: Callable[[], None] | None) -> bytes:
    """The bytes; what is too long is read to its end and dropped, for a caller that still sends sees no early answer."""
    body, size = bytearray(), 0
    try:
        async for chunk in request.stream():
            size += len(chunk)
            if if_large and size > MAX_BODY_BYTES:
                if_large()
                if_large = None
            if size <= max_bytes:
                body += chunk
    except ClientDisconnect:
        raise Refused(400, "cut_off", "The request's body was cut off") from None
    if size > max_bytes:
        raise Refused(413, "too_long", f"The request's body has {size} bytes, at most {max_bytes} are taken")
    return bytes(body)
