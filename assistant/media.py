"""Files that people send by channels other than the web: their bytes, in pieces, and what is known of each.

    expect ─▶ coming ─ add_piece … ─ arrive ─▶ here ─ after JOBS_MEDIA_KEEP_DAYS ─▶ gone
        └──────┴─ too large, of a type that is not taken, too much for a day ─▶ refused ◀─ drop: its message was not taken

They stand in Postgres: whoever fetches a file and whoever hands it to an agent may be on different hosts. What a sender says of
a file is kept apart from what it is: its name is a claim, and never becomes a part of a path. Verbs take the connection first.
"""

import codecs
import secrets
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Literal

from assistant.errors import FileGone
from assistant.media_types import OTHER, TEXT, extension_of, type_of_beginning
from assistant.settings import MediaSettings
from jobs_core import Connection, Database, execute, fetch, fetch_one, gate, statement

PIECE_BYTES = 512 * 1024
"""The most that Telegram gives at once, too."""
MAX_QUOTED_BYTES = 64 * 1024
"""Of a text that is quoted in a prompt: the most that a file here adds to one."""
MAX_CLAIMED_NAME_CHARS = 200
MOST_FILES_A_DAY = 1_000
"""Of one person: each costs a look at all of them."""
MOST_REFUSALS_TOLD = 20
"""Of one person in a day: whoever goes on sending what is not taken is not told each time."""
_FORGET_BATCH = 100


@dataclass(frozen=True, slots=True)
class Claim:
    """What a channel and a sender say of a file before it is fetched. kind: photo, voice, document …"""

    kind: str
    name: str | None
    bytes: int
    seconds: int | None = None


@dataclass(frozen=True, slots=True)
class Media:
    """A file. name, media_type and bytes are ours, and None until it is here; said: why it is refused."""

    id: int
    user_id: str
    kind: str
    claimed_name: str | None
    claimed_bytes: int
    seconds: int | None
    state: Literal["coming", "here", "refused", "gone"]
    said: str | None
    name: str | None
    media_type: str | None
    bytes: int | None


async def expect(conn: Connection, user_id: str, claim: Claim, settings: MediaSettings) -> int:
    """Note that a person's file is to be fetched, or why it will not be; returns its id. Raises InvalidInput."""
    values = {
        "user_id": user_id,
        "kind": gate.check_name(claim.kind, field="kind"),
        "claimed_name": claim.name and gate.clean_text(claim.name, max_chars=MAX_CLAIMED_NAME_CHARS),
        "claimed_bytes": claim.bytes,
        "seconds": claim.seconds,
        "said": await _too_much(conn, user_id, claim.bytes, settings),
    }
    row = await fetch_one(conn, statement("assistant", "media/expect"), values)
    assert row is not None, "an insert without a condition returns its row"
    return int(row["id"])


async def find(conn: Connection, ids: Iterable[int]) -> list[Media]:
    """The files of these ids, in the order of the ids."""
    return [Media(**row) for row in await fetch(conn, statement("assistant", "media/find"), {"ids": list(ids)})]


async def came(conn: Connection, file_id: int) -> tuple[int, int]:
    """How many pieces of a file have come, and how many bytes."""
    row = await fetch_one(conn, statement("assistant", "media/pieces"), {"file_id": file_id})
    assert row is not None, "a count"
    return row["pieces"], row["bytes"]


async def add_piece(conn: Connection, file_id: int, nth: int, content: bytes) -> bool:
    """Keep the next piece, all but the last of PIECE_BYTES; False where the file is no longer wanted."""
    values = {"file_id": file_id, "nth": nth, "content": content}
    return bool(await execute(conn, statement("assistant", "media/add_piece"), values))


async def arrive(conn: Connection, file: Media, settings: MediaSettings) -> None:
    """All pieces have come: find out what it is, and name it. One that is empty, or of a type not taken, is refused."""
    _, size = await came(conn, file.id)
    media_type = await _type_of(conn, file.id)
    if why := _not_taken(size, media_type, settings):
        await refuse(conn, file.id, why)
        return
    name = f"{file.id}-{secrets.token_hex(4)}{extension_of(media_type, file.claimed_name)}"
    values = {"id": file.id, "name": name, "media_type": media_type, "bytes": size}
    await execute(conn, statement("assistant", "media/arrive"), values)


async def refuse(conn: Connection, file_id: int, why: str) -> None:
    """Do not take a file that was coming; what has come of it is dropped."""
    values = {"id": file_id, "said": gate.clean_text(why, max_chars=200)}
    await execute(conn, statement("assistant", "media/refuse"), values)


async def drop(conn: Connection, file_ids: Sequence[int], why: str) -> None:
    """Drop files that came for a message which was not taken, and will not be: they count towards nobody's day."""
    values = {"ids": list(file_ids), "said": gate.clean_text(why, max_chars=200)}
    await execute(conn, statement("assistant", "media/drop"), values)


async def worth_telling(conn: Connection, refused: Sequence[Media]) -> Sequence[Media]:
    """Those of a person's refused files, if any, of which they are to be told."""
    if not refused:
        return ()
    values = {"user_id": refused[0].user_id, "before_id": refused[0].id, "most": MOST_REFUSALS_TOLD}
    row = await fetch_one(conn, statement("assistant", "media/refused_before"), values)
    assert row is not None, "a count"
    return refused[: MOST_REFUSALS_TOLD - row["files"]]


async def attach(conn: Connection, message_id: int, file_ids: Sequence[int]) -> None:
    """Note that these files came with a message."""
    values = {"message_id": message_id, "file_ids": list(file_ids)}
    await execute(conn, statement("assistant", "media/attach"), values)


async def of_messages(conn: Connection, message_ids: Iterable[int]) -> dict[int, list[Media]]:
    """The files of messages, by message; one without is not in it."""
    found: dict[int, list[Media]] = {}
    for row in await fetch(conn, statement("assistant", "media/of_messages"), {"ids": list(message_ids)}):
        found.setdefault(row.pop("message_id"), []).append(Media(**row))
    return found


async def pieces(database: Database, file: Media) -> AsyncIterator[bytes]:
    """A file's bytes, piece by piece; between two of them no connection is held. Raises FileGone where some are missing."""
    nth = size = 0
    while True:
        async with database.connection() as conn:
            piece = await _piece(conn, file.id, nth)
        if piece is None:
            break
        yield piece
        nth, size = nth + 1, size + len(piece)
    if size != file.bytes:
        raise FileGone(
            f"File {file.id} has {size} of its {file.bytes} bytes: they were dropped for their age meanwhile"
        )


async def content_of(conn: Connection, file: Media) -> bytes:
    """All of a small file. Raises FileGone where some of it is missing."""
    found = list[bytes]()
    while (piece := await _piece(conn, file.id, len(found))) is not None:
        found.append(piece)
    content = b"".join(found)
    if len(content) != file.bytes:
        raise FileGone(f"File {file.id} has {len(content)} of its {file.bytes} bytes: they were dropped for their age")
    return content


async def forget(conn: Connection, settings: MediaSettings) -> int:
    """Drop the bytes of files that are too old, and say so in their rows; returns how many."""
    values = {"keep_days": settings.media_keep_days, "batch": _FORGET_BATCH}
    forgotten = 0
    while rows := await fetch(conn, statement("assistant", "media/forget"), values):
        forgotten += len(rows)
    return forgotten


async def _too_much(conn: Connection, user_id: str, size: int, settings: MediaSettings) -> str | None:
    if size > settings.media_max_bytes:
        return too_large(settings)
    row = await fetch_one(conn, statement("assistant", "media/sent_today"), {"user_id": user_id})
    assert row is not None, "a sum"
    if row["bytes"] + size > settings.media_day_bytes:
        return f"beyond the {_megabytes(settings.media_day_bytes)} a day that are taken"
    if row["files"] >= MOST_FILES_A_DAY:
        return f"beyond the {MOST_FILES_A_DAY} files a day that are taken"
    return None


def too_large(settings: MediaSettings) -> str:
    """Why a file that is too large is refused."""
    return f"larger than {_megabytes(settings.media_max_bytes)}"


def _megabytes(size: int) -> str:
    return f"{size / 1e6:g} MB"


def _not_taken(size: int, media_type: str, settings: MediaSettings) -> str | None:
    if size == 0:
        return "empty"
    if size > settings.media_max_bytes:
        return too_large(settings)
    if any(fnmatchcase(media_type, pattern) for pattern in settings.refused_types) or not any(
        fnmatchcase(media_type, pattern) for pattern in settings.taken_types
    ):
        return f"of a type that is not taken, {media_type}"
    return None


async def _piece(conn: Connection, file_id: int, nth: int) -> bytes | None:
    row = await fetch_one(conn, statement("assistant", "media/piece"), {"file_id": file_id, "nth": nth})
    return bytes(row["content"]) if row else None


async def _type_of(conn: Connection, file_id: int) -> str:
    """What the bytes say that they are; text only where all of them are."""
    piece = await _piece(conn, file_id, 0)
    if known := type_of_beginning(piece or b""):
        return known
    decoder, nth = codecs.getincrementaldecoder("utf-8")(), 0
    try:
        while piece is not None:
            if b"\0" in piece:
                return OTHER
            decoder.decode(piece)
            nth += 1
            piece = await _piece(conn, file_id, nth)
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return OTHER
    return TEXT
