"""Which chats there are, and what they are called."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from assistant.errors import NoSuchChat
from jobs_core import Connection, InvalidInput, execute, fetch, fetch_one, gate, statement

_JOINERS = "\u200c\u200d"  # no printable characters, but emoji and some scripts are written with them


@dataclass(frozen=True, slots=True)
class ChatView:
    """A chat as lists show it; last_message is the first 200 characters of what was said last, None where nothing was."""

    session_id: str
    channel: str
    user_id: str | None
    agent_name: str
    title: str | None
    is_active: bool
    created_at: datetime
    last_message_at: datetime | None
    last_message: str | None


@dataclass(frozen=True, slots=True)
class Chat:
    """A chat, and the Claude session behind it."""

    session_id: str
    channel: str
    user_id: str | None
    agent_name: str
    title: str | None
    is_active: bool
    created_at: datetime
    claude_session_id: UUID


async def list_chats(
    conn: Connection, *, user_id: str | None = None, limit: int = 50, before: str | None = None
) -> list[ChatView]:
    """The newest chats, of everybody or of one user; page back with the last one's id as `before`.

    One who became another by a link has the other's chats. Raises NoSuchChat where `before` is none.
    """
    if user_id is not None and (row := await fetch_one(conn, statement("assistant", "user/get"), {"id": user_id})):
        user_id = row["id"]
    values: dict[str, Any] = {"user_id": user_id, "limit": limit, "before_at": "infinity", "before_id": ""}
    if before is not None:
        values |= {"before_at": (await find_chat(conn, before)).created_at, "before_id": before}
    rows = await fetch(
        conn, statement("assistant", "chat/newest" if user_id is None else "chat/newest_of_user"), values
    )
    return [ChatView(**row) for row in rows]


async def find_chat(conn: Connection, session_id: str) -> Chat:
    """One chat. Raises NoSuchChat."""
    row = await fetch_one(conn, statement("assistant", "chat/look"), {"session_id": session_id})
    if row is None:
        raise NoSuchChat(f"There is no chat {session_id!r}")
    return Chat(**row)


async def rename(conn: Connection, session_id: str, title: str | None) -> None:
    """Give a chat a title; None takes it away. Raises NoSuchChat, InvalidInput."""
    values = {"session_id": session_id, "title": check_title(title)}
    if not await execute(conn, statement("assistant", "chat/rename"), values):
        raise NoSuchChat(f"There is no chat {session_id!r}")


def check_title(title: str | None) -> str | None:
    """The title without blanks around it: one line of 1 to 200 characters, none of which a terminal or a page would obey.

    Raises InvalidInput.
    """
    if title is None:
        return None
    gate.check_name(title.strip(), field="title")
    if any(not char.isprintable() and char not in _JOINERS for char in title.strip()):
        raise InvalidInput("title: holds a control character, or one that turns text around; remove it", field="title")
    return title.strip()
