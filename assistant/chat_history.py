"""What stands in a chat, for whoever reads it: its messages, and what came back for each. Verbs take the connection first."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import UUID

from assistant.chats import claude_session_of
from jobs_core import Connection, fetch, statement

_NEWEST = 2**63 - 1


@dataclass(frozen=True, slots=True)
class FileNote:
    """What a list of messages says of a file that came with one."""

    media_type: str
    name: str | None
    bytes: int


@dataclass(frozen=True, slots=True)
class Message:
    """One line of a chat. `state` is a human message's, None for others; `turn_id` joins messages with their answer."""

    id: int
    type: Literal["human", "ai", "system"]
    content: str
    state: Literal["waiting", "answered", "failed"] | None
    turn_id: UUID | None
    created_at: datetime
    files: Sequence[FileNote] = ()


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back for a message: the answer, or, where `state` is failed, the word that there is none."""

    state: Literal["answered", "failed"]
    text: str


async def newest(conn: Connection, session_id: str, *, limit: int = 50, before_id: int | None = None) -> list[Message]:
    """The newest `limit` messages of a chat, oldest first; page back with the first one's id as `before_id`.

    Raises NoSuchChat.
    """
    await claude_session_of(conn, session_id)
    values = {"session_id": session_id, "limit": limit, "before_id": before_id or _NEWEST}
    rows = await fetch(conn, statement("assistant", "message/history"), values)
    return [Message(**{**row, "files": [FileNote(**file) for file in row["files"]]}) for row in reversed(rows)]


async def replies_to(conn: Connection, message_ids: Sequence[int]) -> dict[int, Reply]:
    """What came back for each of these messages, whichever job's turn bound it; those that still wait are not in it."""
    rows = await fetch(conn, statement("assistant", "message/replies"), {"ids": list(message_ids)})
    return {row["id"]: Reply("answered" if row["type"] == "ai" else "failed", row["content"]) for row in rows}
