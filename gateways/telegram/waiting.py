"""Messages that wait to be taken into their chats: a file is fetched first, and what is said meanwhile waits behind it.

    a message ─┬─ no file, and nothing of its chat waits ─▶ into the chat at once
               └─ else ─▶ a row here + a `fetch_media` job, in the ingress's transaction
                             lane in:{account}:{chat session}, one after another ─▶ fetching.py ─▶ into the chat
    of a stranger ─▶ a row here; the job is made when an owner allows them (assistant/held.py), else the row goes

So a chat keeps its order, and only where something is fetched does a message pay for it. Verbs take the connection first.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from assistant.arrivals import FETCH_MEDIA, FetchMedia, lane_of, queue_of
from assistant.incoming import NewChat, begin_chat
from assistant.kept import arrives, forget
from assistant.media import Claim, expect
from assistant.settings import MediaSettings
from gateways.telegram.accounts import CHANNEL
from jobs_core import Connection, Created, Jobs, execute, fetch, fetch_one, statement


@dataclass(frozen=True, slots=True)
class Described:
    """A file that a message brings: what is claimed of it, and what Telegram is asked for."""

    claim: Claim
    location: bytes
    dc_id: int | None


@dataclass(frozen=True, slots=True)
class Arrival:
    """A person's message to one of our accounts, or a part of an album, which all share its number.

    before, content: what stands before its own words, and these. media: the file that it brings.
    is_forwarded: what it brings is somebody else's.
    """

    account: str
    chat_id: int
    message_id: int
    session_id: str
    user_id: str
    before: str
    content: str
    is_forwarded: bool = False
    album: int | None = None
    media: Described | None = None


@dataclass(frozen=True, slots=True)
class Part:
    """A message that waits, or a part of an album that does; age_s: since when."""

    id: int
    account: str
    chat_id: int
    message_id: int
    session_id: str
    user_id: str
    before: str
    content: str
    forwarded: bool
    file_id: int | None
    dc_id: int | None
    location: bytes | None
    of_album: bool
    age_s: float


class _Added(NamedTuple):
    """A row of what waits, and the file that it brings."""

    id: int
    file_id: int | None


async def hold(conn: Connection, jobs: Jobs, parts: Sequence[Arrival], settings: MediaSettings) -> Created | None:
    """Have a message wait, or the parts of an album, if it must: its job, to `wake()` after the commit; None: it need not.

    Begins its chat where there is none. Call it last in the transaction that notes the message: the job locks its lane.
    """
    first = parts[0]
    if not any(part.media for part in parts) and not await _anything_waits(conn, first.session_id):
        return None
    await begin_chat(conn, NewChat(CHANNEL, first.user_id, account=first.account), session_id=first.session_id)
    added = [await _add(conn, part, settings) for part in parts]
    given = FetchMedia(account=first.account, session_id=first.session_id, waiting_id=added[0].id)
    return await jobs.create(FETCH_MEDIA, given, user_id=first.user_id, queue=queue_of(first.account), conn=conn)


async def keep(conn: Connection, parts: Sequence[Arrival], settings: MediaSettings, held_id: int) -> None:
    """Have a stranger's message wait, or the parts of an album, for an owner's word; it has no job until then."""
    added = [await _add(conn, part, settings, held_id) for part in parts]
    await arrives(conn, held_id, added[0].id, [one.file_id for one in added if one.file_id is not None])


async def amend(conn: Connection, account: str, chat_id: int, message_id: int, content: str) -> bool:
    """Have a message that waits say something else; False where it does not wait."""
    values = {"account": account, "chat_id": chat_id, "message_id": message_id, "content": content}
    return bool(await execute(conn, statement("gateways", "waiting/amend"), values))


async def waiting(conn: Connection, waiting_id: int) -> list[Part]:
    """The message and, of an album, all parts of it that have come; [] where it was taken in before."""
    rows = await fetch(conn, statement("gateways", "waiting/of_job"), {"id": waiting_id})
    return [Part(**row) for row in rows]


async def move(conn: Connection, waiting_id: int, media: Described) -> None:
    """Note where Telegram keeps the file now."""
    values = {"id": waiting_id, "dc_id": media.dc_id, "location": media.location}
    await execute(conn, statement("gateways", "waiting/move"), values)


async def take(conn: Connection, waiting_ids: Sequence[int]) -> dict[int, str]:
    """These wait no longer; returns the words of each as they are now. One that is missing was dropped meanwhile."""
    rows = await fetch(conn, statement("gateways", "waiting/take"), {"ids": list(waiting_ids)})
    await forget(conn, [row["held_id"] for row in rows])
    return {row["id"]: row["content"] for row in rows}


async def became(conn: Connection, parts: Sequence[Part], history_id: int, own_from: int) -> None:
    """Note which message of their chat they are now, and where in it their own words begin."""
    values = {
        "account": parts[0].account,
        "chat_id": parts[0].chat_id,
        "message_ids": [part.message_id for part in parts],
        "history_id": history_id,
        "own_from": own_from,
    }
    await execute(conn, statement("gateways", "message/became"), values)


async def drop(conn: Connection, session_id: str, *, before_id: int | None = None) -> int:
    """Drop what waits in a chat, or what came before that message, and say how much; their jobs find nothing to do."""
    values = {"session_id": session_id, "before_id": before_id}
    rows = await fetch(conn, statement("gateways", "waiting/drop"), values)
    await forget(conn, [row["held_id"] for row in rows])
    return len(rows)


async def jobs_in(conn: Connection, account: str, session_id: str) -> list[int]:
    """The jobs of a chat's messages that wait, or waited until now."""
    rows = await fetch(conn, statement("gateways", "waiting/jobs"), {"lane": lane_of(account, session_id)})
    return [row["id"] for row in rows]


async def _add(conn: Connection, part: Arrival, settings: MediaSettings, held_id: int | None = None) -> _Added:
    media = part.media
    file_id = await expect(conn, part.user_id, media.claim, settings) if media else None
    values: dict[str, Any] = {
        "account": part.account,
        "chat_id": part.chat_id,
        "message_id": part.message_id,
        "session_id": part.session_id,
        "user_id": part.user_id,
        "grouped_id": part.album,
        "before": part.before,
        "content": part.content,
        "forwarded": part.is_forwarded,
        "file_id": file_id,
        "dc_id": media.dc_id if media else None,
        "location": media.location if media else None,
        "held_id": held_id,
    }
    row = await fetch_one(conn, statement("gateways", "waiting/add"), values)
    assert row is not None, "an insert without a condition returns its row"
    return _Added(row["id"], file_id)


async def _anything_waits(conn: Connection, session_id: str) -> bool:
    return await fetch_one(conn, statement("gateways", "waiting/any"), {"session_id": session_id}) is not None
