"""How large a picture is in pixels, read off its first bytes without a library.

A model refuses a picture that is too large or broken, and with it the whole conversation that it stands in. So one whose size
cannot be read, or is too large, is handed over as a file instead.
"""

import struct
from collections.abc import Callable

MAX_SIDE_PX = 8_000
"""The Messages API takes no larger one."""

_JPEG_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
"""Markers of segments that say the size."""


def fits_a_model(content: bytes, media_type: str) -> bool:
    """Whether a model can be shown this picture (png, jpeg, gif or webp)."""
    size = size_of(content, media_type)
    return size is not None and all(0 < side <= MAX_SIDE_PX for side in size)


def size_of(content: bytes, media_type: str) -> tuple[int, int] | None:
    """Width and height, in pixels; None where they cannot be read."""
    try:
        return _READERS[media_type](content)
    except (struct.error, IndexError):
        return None


def _png(content: bytes) -> tuple[int, int] | None:
    width, height = struct.unpack_from(">II", content, 16)
    return (width, height) if content[12:16] == b"IHDR" else None


def _gif(content: bytes) -> tuple[int, int] | None:
    width, height = struct.unpack_from("<HH", content, 6)
    return width, height


def _jpeg(content: bytes) -> tuple[int, int] | None:
    """Segment by segment, each with its length, until one says the size."""
    at = 2
    while content[at] == 0xFF:  # noqa: PLR2004 - what each marker begins with
        marker, length = content[at + 1], struct.unpack_from(">H", content, at + 2)[0]
        if marker in _JPEG_FRAMES:
            height, width = struct.unpack_from(">HH", content, at + 5)
            return width, height
        at += 2 + length
    return None


def _webp(content: bytes) -> tuple[int, int] | None:
    match content[12:16]:
        case b"VP8X":
            return 1 + int.from_bytes(content[24:27], "little"), 1 + int.from_bytes(content[27:30], "little")
        case b"VP8L":
            (bits,) = struct.unpack_from("<I", content, 21)
            return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
        case b"VP8 ":
            width, height = struct.unpack_from("<HH", content, 26)
            return width & 0x3FFF, height & 0x3FFF
    return None


_READERS: dict[str, Callable[[bytes], tuple[int, int] | None]] = {
    "image/png": _png,
    "image/jpeg": _jpeg,
    "image/gif": _gif,
    "image/webp": _webp,
}
