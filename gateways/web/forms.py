"""A message with files as a form (multipart/form-data): read as it comes, to disk, within bounds, and summed up in a digest.

Fields `session_id`, `message`, `user_id`; files as `file`, and as `voice` what is to be heard.
"""

import asyncio
import hashlib
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from fastapi import Request
from python_multipart.multipart import parse_options_header
from starlette.datastructures import FormData, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect

from assistant.content import MAX_FILES
from assistant.media import PIECE_BYTES
from gateways.web.errors import Refused
from jobs_core import InvalidInput, gate

KINDS = {"file": "document", "voice": "voice"}
"""What a file's field says that it is, as media.py calls it."""
_FIELDS = ("session_id", "message", "user_id")
_MARGIN_BYTES = 1024 * 1024
"""Of all that is not a file's."""
_CHARSETS = (b"utf-8", b"utf8")
"""The parser decodes by whatever codec the request names: by punycode one form of text kept the whole door for 4 s."""

_TEXT, _FILES = {"type": "string"}, {"type": "array", "items": {"type": "string", "format": "binary"}}
SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": dict.fromkeys(_FIELDS, _TEXT) | dict.fromkeys(KINDS, _FILES),
    "additionalProperties": False,
}
"""What /openapi.json says of the form."""


@dataclass(frozen=True, slots=True)
class Upload:
    """A file that was sent. kind: as of `KINDS`."""

    kind: str
    name: str | None
    size: int
    file: UploadFile

    async def pieces(self) -> AsyncIterator[bytes]:
        """Its bytes, in pieces of PIECE_BYTES."""
        await self.file.seek(0)
        while piece := await self.file.read(PIECE_BYTES):
            yield piece


@dataclass(frozen=True, slots=True)
class Form:
    """What was sent. digest: of all of it, so that a repeat under its key is known from something else."""

    session_id: str | None
    message: str
    user_id: str | None
    uploads: Sequence[Upload]
    digest: bytes


def is_form(request: Request) -> bool:
    """Whether the body says that it is a form with files."""
    return request.headers.get("content-type", "").split(";")[0].strip().lower() == "multipart/form-data"


@asynccontextmanager
async def read_form(request: Request, *, max_file_bytes: int) -> AsyncIterator[Form]:
    """The form; its files lie on disk until the block ends.

    Raises Refused where it is too long or no form, InvalidInput naming the field that does not fit.
    """
    charset = parse_options_header(request.headers["content-type"])[1].get(b"charset", _CHARSETS[0])
    if charset.lower() not in _CHARSETS:
        raise Refused(400, "bad_form", "The form is in another charset than utf-8; send it in that")
    stream = _bounded(request, MAX_FILES * max_file_bytes + _MARGIN_BYTES)
    parser = MultiPartParser(
        request.headers, stream, max_files=MAX_FILES, max_fields=len(_FIELDS), max_part_size=gate.MAX_INPUT_BYTES
    )
    try:
        parts = await parser.parse()
    except MultiPartException as error:
        raise Refused(400, "bad_form", f"The body is no form that is taken here: {error.message}") from None
    except (ClientDisconnect, KeyError, UnicodeError, ValueError):  # a head without a boundary, with an odd charset
        raise Refused(400, "bad_form", "The body is no multipart/form-data, or was cut off") from None
    try:
        yield await _read(parts, max_file_bytes)
    finally:
        await parts.close()


async def _read(parts: FormData, max_file_bytes: int) -> Form:
    fields, uploads = dict[str, str](), list[Upload]()
    for name, part in parts.multi_items():
        match part:
            case str(text) if name in _FIELDS and name not in fields:
                fields[name] = gate.check_text(text, field=name)
            case UploadFile() if name in KINDS:
                uploads.append(_upload(name, part, max_file_bytes))
            case _:
                known = ", ".join((*_FIELDS, *KINDS))
                raise InvalidInput(f"{name[:40]}: is none of {known}, or comes a second time", field=name[:40])
    digest = hashlib.sha256()
    for given in (fields.get("session_id", ""), fields.get("message", "")):
        digest.update(f"{len(given)} {given}".encode())
    for upload in uploads:
        digest.update(f"{upload.kind} {upload.name!r} {upload.size} ".encode())
        async for piece in upload.pieces():
            await asyncio.to_thread(digest.update, piece)
    return Form(
        fields.get("session_id") or None,
        fields.get("message", ""),
        fields.get("user_id") or None,
        uploads,
        digest.digest(),
    )


def _upload(field: str, part: UploadFile, max_bytes: int) -> Upload:
    size, name = part.size or 0, part.filename or None
    if size > max_bytes:
        raise Refused(413, "too_long", f"{field}: {size} bytes, at most {max_bytes} are taken of one file", field=field)
    if size == 0:
        raise InvalidInput(f"{field}: is empty", field=field)
    return Upload(KINDS[field], name and gate.check_text(name, field=field), size, part)


async def _bounded(request: Request, max_bytes: int) -> AsyncGenerator[bytes, Any]:
    """The body, and where it is too long no more of it than may be; the rest is read and dropped, as in body.py."""
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size <= max_bytes:
            yield chunk
    if size > max_bytes:
        raise Refused(413, "too_long", f"The request's body has {size} bytes, at most {max_bytes} are taken")
