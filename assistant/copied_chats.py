"""Chats that begin with what another one holds: forks of a chat at an answer, and sessions of Claude Code's own.

    answer ─▶ its turn ─▶ a new Claude session with that turn's transcript up to it ─┐
    file ─▶ read, checked ─▶ a Claude session with its transcript ───────────────────┴▶ a chat with what can be seen of it

Both go on by themselves from there. Verbs take the connection first, inside a transaction of the caller's.
"""

from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

from assistant import people
from assistant.agents import DEFAULT_AGENT
from assistant.chat_list import check_title, find_chat
from assistant.chats import MAX_ANSWER_CHARS, MAX_MESSAGE_BYTES
from assistant.errors import NoSuchAnswer
from jobs_core import Connection, execute, fetch, fetch_one, gate, statement
from sessions import fork_session
from sessions.files import SessionFiles, import_session


async def fork(conn: Connection, session_id: str, *, message_id: int | None = None, title: str | None = None) -> str:
    """A new chat of the web that knows what this one knew when it gave an answer; its id.

    message_id: of that answer, the newest unless given. title: that of this one unless given. Raises NoSuchChat, NoSuchAnswer,
    sessions.NotCopied, InvalidInput.
    """
    title = check_title(title)
    chat = await find_chat(conn, session_id)
    values = {"session_id": session_id, "message_id": message_id}
    answer = await fetch_one(conn, statement("assistant", "message/answer"), values)
    if answer is None:
        which = "no answer yet" if message_id is None else f"no answer {message_id}"
        raise NoSuchAnswer(f"The chat {session_id!r} has {which}: its messages of type ai are what it can be forked at")
    ended = {"session_id": session_id, "last_id": answer["id"]}
    turns = [row["turn_id"] for row in await fetch(conn, statement("assistant", "message/turns_until"), ended)]
    names = {turn: uuid4() for turn in turns}
    claude_session_id = await fork_session(conn, answer["turn_id"], names)
    into = f"web_{uuid4().hex}"  # on its own channel nobody would find it: there a chat is somebody's address
    await _make(conn, into, "web", chat.user_id, chat.agent_name, title or chat.title, claude_session_id)
    lines = {**ended, "into": into, "turns": turns, "as_turns": list(names.values())}
    await execute(conn, statement("assistant", "message/copy"), lines)
    return into


async def import_chat(
    conn: Connection, files: SessionFiles, *, user_id: str | None = None, title: str | None = None
) -> str:
    """A chat of the web that goes on with a session of Claude Code's; its id.

    user_id: whose it is; None: the owner's. Raises sessions.NotCopied, NoSuchUser, InvalidInput.
    """
    title = check_title(title)
    user = await (people.owner(conn) if user_id is None else people.get(conn, user_id))
    names = await import_session(conn, files)
    into = f"web_{uuid4().hex}"
    await _make(conn, into, "web", user.id, DEFAULT_AGENT, title, files.session_id)
    lines = _lines(files, names)
    columns = dict(zip(("types", "contents", "turn_ids", "times"), map(list, zip(*lines, strict=True)), strict=True))
    await execute(conn, statement("assistant", "message/import"), {"session_id": into, **columns})
    return into


def _lines(files: SessionFiles, names: dict[UUID, UUID]) -> list[tuple[str, str, UUID | None, datetime]]:
    """What can be seen of a session, in order; what was asked and not answered stands without an answer."""
    lines: list[tuple[str, str, UUID | None, datetime]] = []
    for said in files.exchanges:
        turn_id = names.get(said.turn_id) or uuid4()
        asked = gate.clean_text(said.asked, max_chars=MAX_MESSAGE_BYTES)
        lines.append(("human", asked, turn_id, said.asked_at))
        if said.answered:
            answered = gate.clean_text(said.answered, max_chars=MAX_ANSWER_CHARS)
            lines.append(("ai", answered, turn_id, said.answered_at))
    return lines


async def _make(conn: Connection, session_id: str, *values: Any) -> None:
    columns = ("channel", "user_id", "agent_name", "title", "claude_session_id")
    named = {"session_id": session_id, **dict(zip(columns, values, strict=True))}
    await execute(conn, statement("assistant", "chat/copy"), named)
