"""What was said, whatever form it comes in: content is a string or a list of blocks, from the web, from Telegram, from a file.

    "text" │ [{"type": "text", …}, {"type": "image", …}, "more"] ─▶ read_content ─▶ Spoken(text, files at their places in it)
                                   the prompt, a string or blocks in that order ◀─ blocks_of ◀─┘

What a file is, its first bytes say; what its sender says must agree.
"""

import base64
import binascii
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from jobs_core import InvalidInput, gate

MAX_FILE_BYTES = 3_750_000  # of one picture or PDF: the API takes 5 MiB of base64
MAX_TEXT_FILE_BYTES = gate.MAX_INPUT_BYTES  # of one text: as much as a message may have
MAX_BLOCKS = 100
MAX_FILES = 10
MAX_FILES_BYTES = 8_000_000  # of one message, and of one turn

_PICTURES: dict[str, bytes | tuple[bytes, ...]] = {
    "image/png": b"\x89PNG\r\n\x1a\n",
    "image/jpeg": b"\xff\xd8\xff",
    "image/gif": (b"GIF87a", b"GIF89a"),
    "image/webp": b"RIFF",
}
_PDF, _TEXT = "application/pdf", "text/plain"
TYPES = (*_PICTURES, _PDF, _TEXT)


@dataclass(frozen=True, slots=True)
class File:
    """A picture or a document, and how many characters of its message's text stand before it."""

    media_type: str
    content: bytes
    name: str | None = None
    after_chars: int = 0


@dataclass(frozen=True, slots=True)
class Spoken:
    """What somebody said: its text, in paragraphs, and its files in their order."""

    text: str
    files: Sequence[File] = ()


def read_content(content: str | Sequence[Any], *, field: str = "content") -> Spoken:
    """What a content says; blank blocks are left out.

    A block is a string, `{"type": "text", "text": …}`, an image (png, jpeg, gif, webp) or a document (PDF, text) as the
    Messages API has them, with its bytes in base64. Raises InvalidInput naming the block that is none, or too large, or not
    what it says: what a person sent is never dropped without a word.
    """
    if isinstance(content, str):
        return Spoken(content)
    if len(content) > MAX_BLOCKS:
        raise InvalidInput(f"{field}: has {len(content)} blocks, at most {MAX_BLOCKS} are taken", field=field)
    text, files = "", list[File]()
    for index, block in enumerate(content):
        said = _block(block, f"{field}.{index}", after_chars=len(text))
        if isinstance(said, File):
            files.append(said)
        elif said.strip():
            text = f"{text}\n\n{said}" if text else said
    if len(files) > MAX_FILES:
        raise InvalidInput(f"{field}: has {len(files)} files, at most {MAX_FILES} are taken", field=field)
    size = sum(len(file.content) for file in files)
    if size > MAX_FILES_BYTES:
        raise InvalidInput(f"{field}: its files have {size} bytes, at most {MAX_FILES_BYTES} are taken", field=field)
    return Spoken(text, files)


def blocks_of(said: Iterable[Spoken]) -> str | list[dict[str, Any]]:
    """Several messages as one prompt: a string, or, where there are files, blocks in the order in which they were said."""
    parts = [part for spoken in said for part in _parts(spoken)]
    if not any(isinstance(part, File) for part in parts):
        return "\n\n".join(str(part) for part in parts)
    return [_file_block(part) if isinstance(part, File) else {"type": "text", "text": part} for part in parts]


def picture_or_pdf(content: bytes) -> str | None:
    """Which picture these bytes begin as, or a PDF; None for another type."""
    for media_type, beginning in _PICTURES.items():
        if content.startswith(beginning) and (media_type != "image/webp" or content[8:12] == b"WEBP"):
            return media_type
    return _PDF if content.startswith(b"%PDF-") else None


def type_of(content: bytes) -> str | None:
    """Which of the types that are taken these bytes are, None for another."""
    if known := picture_or_pdf(content):
        return known
    try:
        return _TEXT if content.decode().strip() and b"\0" not in content else None
    except UnicodeDecodeError:
        return None


def file_block(content: bytes, name: str | None) -> dict[str, Any] | None:
    """A block that brings these bytes, None where they are of no type that is taken."""
    media_type = type_of(content)
    return _file_block(File(media_type, content, name)) if media_type else None


def _block(block: Any, place: str, *, after_chars: int) -> str | File:
    match block:
        case str(text) | {"type": "text", "text": str(text)}:
            return text
        case {"type": "image" | "document", "source": {"type": "base64", "media_type": str(said), "data": str(data)}}:
            content = _decoded(data, place)
        case {"type": "document", "source": {"type": "text", "media_type": "text/plain" as said, "data": str(data)}}:
            content = gate.check_text(data, field=place).encode()
        case {"type": "image" | "document" as kind}:
            raise InvalidInput(f"{place}: its source must be base64, with media_type and data ({kind})", field=place)
        case {"type": str(kind)}:
            raise InvalidInput(f"{place}: is of type {kind[:40]!r}; text, image and document are taken", field=place)
        case _:
            raise InvalidInput(f'{place}: is neither a string nor {{"type": "text", "text": …}}', field=place)
    if block["type"] == "image" and said not in _PICTURES:
        raise InvalidInput(f"{place}: {said[:40]!r} is no picture; {', '.join(_PICTURES)} are", field=place)
    return _checked(File(said, content, _name(block, place), after_chars), place)


def _decoded(data: str, place: str) -> bytes:
    if len(data) > MAX_FILE_BYTES * 4 // 3 + 4:
        raise InvalidInput(f"{place}: {len(data)} characters of base64, {MAX_FILE_BYTES} bytes are taken", field=place)
    try:
        return base64.b64decode(data, validate=True)
    except (binascii.Error, ValueError):
        raise InvalidInput(f"{place}: its data is not base64", field=place) from None


def _checked(file: File, place: str) -> File:
    found = type_of(file.content)
    if found is None:
        raise InvalidInput(f"{place}: its bytes are none of {', '.join(TYPES)}", field=place)
    if found != file.media_type:
        raise InvalidInput(f"{place}: says it is {file.media_type[:40]!r}, but its bytes are {found}", field=place)
    most = MAX_TEXT_FILE_BYTES if found == _TEXT else MAX_FILE_BYTES
    if len(file.content) > most:
        raise InvalidInput(f"{place}: {len(file.content)} bytes, at most {most} are taken of {found}", field=place)
    return file


def _name(block: dict[str, Any], place: str) -> str | None:
    """A document's title, which the model is told: one printable line."""
    name = block.get("title")
    if name is None:
        return None
    gate.check_name(name, field=f"{place}.title")
    if not name.isprintable():
        raise InvalidInput(f"{place}.title: holds a control character; remove it", field=f"{place}.title")
    return str(name)


def _parts(spoken: Spoken) -> Iterable[str | File]:
    """Its text, cut where files stand in it."""
    told = 0
    for place, file in [*((file.after_chars, file) for file in spoken.files), (len(spoken.text), None)]:
        text = spoken.text[told:place]
        if text := text.removeprefix("\n\n") if told else text:
            yield text
        if file:
            yield file
        told = place


def _file_block(file: File) -> dict[str, Any]:
    title = {"title": file.name} if file.name else {}
    if file.media_type == _TEXT:
        source = {"type": "text", "media_type": _TEXT, "data": file.content.decode()}
        return {"type": "document", "source": source, **title}
    data = base64.b64encode(file.content).decode()
    source = {"type": "base64", "media_type": file.media_type, "data": data}
    if file.media_type == _PDF:
        return {"type": "document", "source": source, **title}
    return {"type": "image", "source": source}
