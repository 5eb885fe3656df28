"""A line that names what came with a message, for where the thing itself is not taken in: `[voice 0:12]`, `[sticker 🙂]`."""

from typing import Any

from telethon import types

_MAX_NAME_CHARS = 100
_LONGEST_S = 1_000_000


def attachment_of(media: Any) -> str | None:
    """The line; None where nothing came, or only the preview of a link that stands in the text."""
    if media is None or isinstance(media, types.MessageMediaEmpty | types.MessageMediaWebPage):
        return None
    return f"[{_name(media)}]"


def _name(media: Any) -> str:
    match media:
        case types.MessageMediaDocument(document=types.Document() as document):
            name = _document(document)
        case types.MessageMediaGeo() | types.MessageMediaGeoLive() | types.MessageMediaVenue():
            name = f"place {_coordinates(media.geo)}"
        case types.MessageMediaContact():
            name = f"contact {_short(f'{media.first_name} {media.last_name}')}, {_short(media.phone_number)}"
        case types.MessageMediaPoll():
            name = f"poll {_short(media.poll.question.text)}"
        case types.MessageMediaDice():
            name = f"{_short(media.emoticon)} {media.value}"
        case _:  # a photo, a game, an invoice … and what a later layer brings
            name = type(media).__name__.removeprefix("MessageMedia").lower()
    return name


def _document(document: Any) -> str:
    told = {type(attribute): attribute for attribute in document.attributes}
    sticker = told.get(types.DocumentAttributeSticker)
    audio = told.get(types.DocumentAttributeAudio)
    video = told.get(types.DocumentAttributeVideo)
    name = told.get(types.DocumentAttributeFilename)
    if sticker:
        return f"sticker {_short(sticker.alt)}"
    if types.DocumentAttributeAnimated in told:
        return "animation"
    if audio:
        return f"{'voice' if audio.voice else 'audio'} {_length(audio.duration)}"
    if video:
        return f"{'video message' if video.round_message else 'video'} {_length(video.duration)}"
    return f"document {_short(name.file_name)}" if name else "document"


def _length(seconds: float) -> str:
    """What a sender's program says of a length, which may be no number."""
    if not 0 <= seconds <= _LONGEST_S:
        return "?"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02}"


def _coordinates(point: Any) -> str:
    return f"{point.lat:.5f}, {point.long:.5f}" if isinstance(point, types.GeoPoint) else "unknown"


def _short(text: str) -> str:
    """What somebody outside has written, so that it stays within the brackets and on the line."""
    seen = "".join(char if char.isprintable() and char not in "[]" else " " for char in text)
    return " ".join(seen.split())[:_MAX_NAME_CHARS]
