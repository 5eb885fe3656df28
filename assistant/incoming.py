"""A person's message on its way into a chat: the chat it goes to, a new one perhaps, and its row, once however often it comes.

A key makes a repeat meet what the first call wrote: a chat that it began has an id made from the key, and a message has the key
in its row. Both are waited for while the first call's transaction is open. Verbs take the connection first.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal
from uuid import UUID, uuid4, uuid5

from assistant.action_cards import show_open
from assistant.agents import DEFAULT_AGENT
from assistant.content import File
from assistant.errors import NoSuchChat
from assistant.files import add_files
from assistant.media import MAX_QUOTED_BYTES, attach
from assistant.recipients import TELEGRAM
from assistant.waiting import way_came
from jobs_core import Connection, execute, fetch_one, gate, statement
from sessions import create_session

Channel = Literal["web", "telegram", "scheduled"]

_BEGUN_BY_KEY = UUID("6a1f2c1e-6d3b-4f0c-9a57-0d5c8f4b7e21")  # the namespace of the ids of chats that a key began


@dataclass(frozen=True, slots=True)
class SaidBefore:
    """A message that is there, and the job that came with it."""

    id: int
    content: str
    job_id: int


@dataclass(frozen=True, slots=True)
class NewChat:
    """A chat to begin. trial: one in which an agent is only tried out. account: of ours, by which it came; None: the one."""

    channel: Channel
    user_id: str | None
    agent: str = DEFAULT_AGENT
    trial: bool = False
    account: str | None = None


async def begin_chat(
    conn: Connection, new: NewChat, idempotency_key: str | None = None, *, session_id: str | None = None
) -> str:
    """A new chat's id; with a key always the same one, in which a repeat finds its message.

    session_id: the id that it is to have; where there is a chat of that id, nothing is made.
    """
    claude_session_id, given = uuid4(), session_id
    session_id = given or f"{new.channel}_{uuid4().hex}"
    if given is None and idempotency_key is not None:
        session_id = _begun_by_key(new.channel, new.user_id, idempotency_key)
        before = _begun_by_key(new.channel, None, idempotency_key)
        whose = {"session_id": before, "user_id": new.user_id}
        if await fetch_one(conn, statement("assistant", "chat/begun_before"), whose) is not None:
            return before  # its request got no answer because of an update, and is repeated after it
    values = {
        "session_id": session_id,
        "channel": new.channel,
        "user_id": new.user_id,
        "agent_name": new.agent,
        "trial": new.trial,
        "account": new.account,
        "claude_session_id": claude_session_id,
    }
    if await execute(conn, statement("assistant", "chat/create"), values):
        await create_session(conn, claude_session_id)
        if new.channel == TELEGRAM and new.user_id is not None:
            await way_came(conn, new.user_id)
            await show_open(conn, user_id=new.user_id)
    return session_id


async def is_theirs(conn: Connection, session_id: str, user_id: str) -> bool | None:
    """Whether the chat of this id is this person's; None: there is none."""
    values = {"session_id": session_id, "user_id": user_id}
    chat = await fetch_one(conn, statement("assistant", "chat/theirs"), values)
    return bool(chat["theirs"]) if chat else None


async def require_theirs(conn: Connection, session_id: str, user_id: str) -> None:
    """Raises NoSuchChat where there is no such chat, or it is not this person's: the same words for both."""
    if not await is_theirs(conn, session_id, user_id):
        raise NoSuchChat(f"There is no chat {session_id!r}")


async def is_open(conn: Connection, session_id: str, channel: Channel, user_id: str | None) -> bool:
    """Whether the chat takes messages, until the caller's transaction ends. Raises NoSuchChat, for somebody else's, too.

    What is said in a chat is answered with the rights of whoever began it, so nobody else may say anything there.
    """
    gate.check_text(session_id, field="session_id", max_chars=gate.MAX_NAME_CHARS)
    values = {"session_id": session_id, "channel": channel, "user_id": user_id}
    chat = await fetch_one(conn, statement("assistant", "chat/find"), values)
    if chat is None or not chat["theirs"]:
        raise NoSuchChat(f"There is no {channel} chat {session_id!r}; leave session_id out to begin a new one")
    return bool(chat["is_active"])


def _begun_by_key(channel: Channel, user_id: str | None, idempotency_key: str) -> str:
    return f"{channel}_{uuid5(_BEGUN_BY_KEY, json.dumps([channel, user_id, idempotency_key])).hex}"


async def say(
    conn: Connection,
    session_id: str,
    message: str,
    files: Sequence[File],
    idempotency_key: str | None,
    *,
    media: Sequence[int],
) -> int | None:
    """The id of the message, which is new; None where one with this key is there."""
    values = {
        "session_id": session_id,
        "content": message,
        "file_bytes": sum(len(file.content) for file in files) + len(media) * MAX_QUOTED_BYTES,
        "idempotency_key": idempotency_key,
    }
    row = await fetch_one(conn, statement("assistant", "message/say"), values)
    if row is None:
        return None
    if files:
        await add_files(conn, row["id"], files)
    if media:
        await attach(conn, row["id"], media)
    return int(row["id"])


async def amend(conn: Connection, message_id: int, content: str) -> bool:
    """Have a message say something else, as its writer wants; False where a turn has taken it up, and nothing was changed.

    Raises InvalidInput for what cannot be stored.
    """
    gate.check_text(content, field="message")
    return bool(await execute(conn, statement("assistant", "message/amend"), {"id": message_id, "content": content}))


async def content_of(conn: Connection, message_id: int) -> str:
    """What one line of a chat says, the empty text where there is no such line."""
    row = await fetch_one(conn, statement("assistant", "message/content"), {"id": message_id})
    return str(row["content"]) if row else ""


async def said_before(conn: Connection, session_id: str, idempotency_key: str | None) -> SaidBefore | None:
    """The message of the chat that came with this key."""
    values = {"session_id": session_id, "idempotency_key": idempotency_key}
    row = await fetch_one(conn, statement("assistant", "message/said_before"), values)
    return SaidBefore(**row) if row else None
