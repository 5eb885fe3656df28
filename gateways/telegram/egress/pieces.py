"""A delivery as the messages that it goes out as: its text in pieces, buttons under the last, then its files.

Each message has a random id of its own. The first one's is the delivery's, the others' are made from it, so that each try
of a delivery shows the same ones.
"""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from itertools import count, groupby
from typing import Any

from assistant.content import File
from assistant.deliveries import Delivery
from gateways.telegram.egress import markdown
from gateways.telegram.egress.splitting import plain, split
from gateways.telegram.egress.styled import Styled

MAX_ALBUM = 10
"""core.telegram.org/method/messages.sendMultiMedia"""
_PHOTOS = {"image/jpeg", "image/png", "image/webp"}
_QUICK_CHARS = 10_000
"""A text of so many takes some milliseconds; a longer one is read in a thread, as others wait for this one."""

Buttons = Sequence[Sequence[Mapping[str, str]]]


@dataclass(frozen=True, slots=True)
class TextPiece:
    """One message of text. buttons: under it, in rows."""

    text: Styled
    random_id: int
    buttons: Buttons = ()

    @property
    def random_ids(self) -> Sequence[int]:
        """Of its message."""
        return (self.random_id,)


@dataclass(frozen=True, slots=True)
class FilesPiece:
    """One file, or an album of up to ten of one sort: a message each, one above the other."""

    files: Sequence[File]
    are_photos: bool
    random_ids: Sequence[int]


Piece = TextPiece | FilesPiece


async def pieces_of(delivery: Delivery, files: Sequence[File], *, has_buttons: bool) -> list[Piece]:
    """What a delivery goes out as, in order; [] where there is nothing in it that could be shown.

    has_buttons: whether the account can show buttons; else their words stand below the text.
    """
    random_ids = random_ids_of(delivery.random_id)
    text, buttons = str(delivery.payload.get("text") or ""), delivery.payload.get("buttons") or ()
    if buttons and not has_buttons:
        text, buttons = f"{text}\n\n{words_for(buttons)}", ()
    is_markdown = bool(delivery.payload.get("markdown", delivery.kind == "answer"))
    if len(text) > _QUICK_CHARS:
        texts = await asyncio.to_thread(_texts, text, is_markdown=is_markdown)
    else:
        texts = _texts(text, is_markdown=is_markdown)
    last = len(texts) - 1
    pieces: list[Piece] = [
        TextPiece(one, next(random_ids), buttons if n == last else ()) for n, one in enumerate(texts)
    ]
    return pieces + _albums(files, random_ids)


def random_ids_of(first: int) -> Iterator[int]:
    """The random ids of a delivery's messages, without an end: its own, and others made from it."""
    yield first
    for n in count(1):
        yield int.from_bytes(sha256(f"{first}:{n}".encode()).digest()[:8]) >> 1  # 63 bits, as the delivery's


def words_for(buttons: Buttons) -> str:
    """What to write where there are no buttons: the verbs of their data."""
    verbs = [button["data"].partition(":")[0] for row in buttons for button in row]
    return f"Reply to this message with: {', '.join(verbs)}"


def _texts(text: str, *, is_markdown: bool) -> list[Styled]:
    return split(markdown.blocks_of(text) if is_markdown else plain(text))


def _albums(files: Sequence[File], random_ids: Iterator[int]) -> list[Piece]:
    """Photos and documents do not go into one album: those that stand together do."""
    pieces: list[Piece] = []
    for are_photos, found in groupby(files, key=lambda file: file.media_type in _PHOTOS):
        together = list(found)
        for start in range(0, len(together), MAX_ALBUM):
            album = together[start : start + MAX_ALBUM]
            pieces.append(FilesPiece(album, are_photos, [next(random_ids) for _ in album]))
    return pieces


def file_places(payload: Mapping[str, Any]) -> list[tuple[int, int]]:
    """Of which messages of chats a payload's files are, and which of theirs: `{"file_id": "31.1"}` is the first of 31's.

    Raises ValueError for what is no such id.
    """
    places = (str(file["file_id"]).partition(".") for file in payload.get("files") or ())
    return [(int(message_id), int(nth)) for message_id, _, nth in places]
