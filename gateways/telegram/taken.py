"""What was taken in: which version of which message, as what line of which chat; and what was overheard.

Verbs take the connection first.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from gateways.telegram.incoming import Incoming
from gateways.telegram.words import words_of
from jobs_core import Connection, execute, fetch, fetch_one, statement

_FIRST_VERSION = "-infinity"


@dataclass(frozen=True, slots=True)
class Known:
    """A version of a message. edit_date: None: the first one. history_id: the chat's line.

    own_from: where in it the sender's words begin. is_last: whether it is the last one of ours in its chat and topic.
    """

    edit_date: datetime | None
    direction: str
    session_id: str | None
    history_id: int | None
    own_from: int
    delivery_id: int | None
    is_last: bool


@dataclass(frozen=True, slots=True)
class Line:
    """The line of a chat that a message was made. id: None: it was a command. own_from: where the sender's words begin."""

    session_id: str
    user_id: str
    id: int | None = None
    own_from: int = 0


async def known(conn: Connection, account: str, chat_id: int, message_id: int) -> Sequence[Known]:
    """The versions of a message that were taken in, or sent, the newest first; none: it is not known."""
    values = {"account": account, "chat_id": chat_id, "message_id": message_id}
    return [Known(**row) for row in await fetch(conn, statement("gateways", "message/known"), values)]


async def has_album(conn: Connection, account: str, part: Incoming) -> bool:
    """Whether another part of its album was taken in."""
    values = {
        "account": account,
        "chat_id": part.chat_id,
        "album": part.album,
        "sender_id": part.sender_id,
    }
    return await fetch_one(conn, statement("gateways", "message/of_album"), values) is not None


async def note(conn: Connection, account: str, parts: Sequence[Incoming], line: Line) -> None:
    """Note that messages were taken in, as this line. Raises UniqueViolation where one of them was meanwhile."""
    values = {
        **_place(account, parts[0], line),
        "message_ids": [part.message_id for part in parts],
        "edit_date": _FIRST_VERSION,
        "album": parts[0].album,
        "user_id": line.user_id,
    }
    await execute(conn, statement("gateways", "message/take"), values)


async def are_new(
    conn: Connection, account: str, said: Sequence[Incoming], sessions: Mapping[int, str]
) -> set[tuple[int, int]]:
    """Those of these messages, by chat and number, that are not known, stand here once, and in whose chats nothing waits.

    sessions: the chat sessions of the chats.
    """
    values = {
        "account": account,
        "chat_ids": [one.chat_id for one in said],
        "message_ids": [one.message_id for one in said],
        "session_ids": [sessions[one.chat_id] for one in said],
    }
    rows = await fetch(conn, statement("gateways", "message/are_new"), values)
    found = Counter((said[row["nth"] - 1].chat_id, said[row["nth"] - 1].message_id) for row in rows)
    return {place for place, count in found.items() if count == 1}


async def note_all(conn: Connection, account: str, said: Sequence[Incoming], lines: Sequence[Line]) -> None:
    """Note that messages of private chats were taken in, each as its line. Raises UniqueViolation as `note`."""
    values = {
        "account": account,
        "chat_ids": [one.chat_id for one in said],
        "message_ids": [one.message_id for one in said],
        "sender_ids": [one.sender_id for one in said],
        "session_ids": [line.session_id for line in lines],
        "history_ids": [line.id for line in lines],
        "user_ids": [line.user_id for line in lines],
    }
    await execute(conn, statement("gateways", "message/take_all"), values)


async def note_edit(conn: Connection, account: str, message: Incoming, line: Line) -> None:
    """Note a later version of a message that is known, as this line."""
    values = {**_place(account, message, line), "message_id": message.message_id, "edit_date": message.edited_at}
    await execute(conn, statement("gateways", "message/edit"), values)


def _place(account: str, message: Incoming, line: Line) -> dict[str, Any]:
    return {
        "account": account,
        "chat_id": message.chat_id,
        "sender_id": message.sender_id,
        "topic_id": message.topic_id,
        "session_id": line.session_id,
        "history_id": line.id,
        "own_from": line.own_from,
    }


async def overhear(conn: Connection, account: str, part: Incoming, *, most: int) -> None:
    """Keep what was said in a group to others, and of what is kept there the newest `most`."""
    values = {
        "account": account,
        "chat_id": part.chat_id,
        "topic_id": part.topic_id,
        "message_id": part.message_id,
        "sender_name": part.sender_name or part.username or "somebody",
        "content": words_of(part),
        "most": most,
    }
    await execute(conn, statement("gateways", "overheard/add"), values)


async def overheard_before(conn: Connection, account: str, message: Incoming) -> list[tuple[str, str]]:
    """What was kept there from before a message, names and words in order; it is forgotten with that."""
    values = {
        "account": account,
        "chat_id": message.chat_id,
        "topic_id": message.topic_id,
        "before": message.message_id,
    }
    rows = await fetch(conn, statement("gateways", "overheard/take"), values)
    return [(row["sender_name"], row["content"]) for row in sorted(rows, key=lambda row: int(row["message_id"]))]
