"""Files at Telegram: what a message says of the one that it brings, and its bytes.

A file is asked for by a location, which holds a reference that expires; then the message is looked at anew.
"""

from collections.abc import AsyncIterator
from typing import Any

from telethon import functions, types, utils
from telethon.extensions import BinaryReader

from assistant.media import PIECE_BYTES, Claim
from gateways.telegram.waiting import Described

MOST_SIDE_PX = 2_000
"""Telegram has each photo in several sizes. A model sees no more of a larger one, and refuses such once it was shown 20."""
_LONGEST_S = 1_000_000


def describe(message: Any) -> Described | None:
    """The file that a message brings; None where it brings none that is fetched: stickers and previews are told as words."""
    match message.media:
        case types.MessageMediaPhoto(photo=types.Photo() as photo):
            return _photo(photo)
        case types.MessageMediaDocument(document=types.Document() as document):
            return _document(document)
    return None


def pieces(client: Any, location: bytes, dc_id: int | None, *, from_nth: int) -> AsyncIterator[bytes]:
    """A file's bytes from the piece of that number on, each of PIECE_BYTES but the last. Raises what Telethon raises."""
    named = BinaryReader(location).tgread_object()
    found: AsyncIterator[bytes] = client.iter_download(
        named, offset=from_nth * PIECE_BYTES, chunk_size=PIECE_BYTES, request_size=PIECE_BYTES, dc_id=dc_id
    )
    return found


async def described_anew(client: Any, chat_id: int, message_id: int) -> Described | None:
    """What the message says now of the file that it brings; None where it is gone. Raises what Telethon raises."""
    message = await message_of(client, chat_id, message_id)
    return None if message is None else describe(message)


async def message_of(client: Any, chat_id: int, message_id: int) -> Any:
    """The message of this number in a chat, by its marked id; None where it is gone. Raises what Telethon raises."""
    if utils.resolve_id(chat_id)[1] is types.PeerChannel:
        found = [await client.get_messages(chat_id, ids=message_id)]
    else:
        # By its number alone: a process that has just begun has not met whoever sent it, and a user account needs that by name.
        found = (await client(functions.messages.GetMessagesRequest([types.InputMessageID(message_id)]))).messages
    # A number that is of another chat is none of this one's.
    return next(
        (one for one in found if isinstance(one, types.Message) and utils.get_peer_id(one.peer_id) == chat_id), None
    )


def is_same_file(location: bytes, other: bytes) -> bool:
    """Whether two locations are of one file: a message may bring another one by now."""
    one, two = (BinaryReader(each).tgread_object() for each in (location, other))
    return type(one) is type(two) and one.id == two.id


def _photo(photo: Any) -> Described | None:
    sizes = [size for size in photo.sizes if isinstance(size, types.PhotoSize | types.PhotoSizeProgressive)]
    if not sizes:
        return None
    small = [size for size in sizes if max(size.w, size.h) <= MOST_SIDE_PX]
    chosen = max(small, key=_bytes) if small else min(sizes, key=_bytes)
    location = types.InputPhotoFileLocation(photo.id, photo.access_hash, photo.file_reference, chosen.type)
    return Described(Claim("photo", None, _bytes(chosen)), bytes(location), photo.dc_id)


def _document(document: Any) -> Described | None:
    told = {type(attribute): attribute for attribute in document.attributes}
    if types.DocumentAttributeSticker in told:
        return None
    audio, video = told.get(types.DocumentAttributeAudio), told.get(types.DocumentAttributeVideo)
    kind = "document"
    if video:
        kind = "video"
    elif audio:
        kind = "voice" if audio.voice else "audio"
    name = told.get(types.DocumentAttributeFilename)
    timed = audio or video
    seconds = _seconds(timed.duration) if timed else None
    dc_id, location = utils.get_input_location(document)
    claim = Claim(kind, name.file_name if name else None, document.size, seconds)
    return Described(claim, bytes(location), dc_id)


def _seconds(duration: float) -> int | None:
    """What a sender's program says of a length, if that can be one."""
    return round(duration) if 0 <= duration <= _LONGEST_S else None


def _bytes(size: Any) -> int:
    return max(size.sizes) if isinstance(size, types.PhotoSizeProgressive) else int(size.size)
