"""Copies of conversations: a new session that begins with what another one holds up to an answer, or with what a file holds.

    entries ─▶ cut behind the answer ─▶ session and turns get new ids, wherever an entry names them ─▶ a session of its own

Claude Code's own fork gives every entry a new id. Here an entry's id is its session's alone, so that only two kinds of
ids must differ: the session's, and those of turns, which other tables go by.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

from jobs_core import Connection, execute, fetch, fetch_one, statement
from sessions.errors import NotCopied
from sessions.reading import is_prompt
from sessions.records import create_session
from sessions.resume import brings
from sessions.store import Entries, append_transcript, load_transcript

_NOT_LOOKED_INTO = ("message", "toolUseResult")  # what was said: an id in there is somebody's word


@dataclass(frozen=True, slots=True)
class CopiedTurn:
    """An answered turn and the one that it is a copy of."""

    id: UUID
    copy_of: UUID
    started_at: datetime
    ended_at: datetime


async def fork_session(conn: Connection, turn_id: UUID, names: Mapping[UUID, UUID]) -> UUID:
    """A new session that holds what its turn's one held when that turn was answered; its id. Inside a transaction.

    names: what each turn is called in the copy. Raises NotCopied where that transcript does not hold the turn.
    """
    row = await fetch_one(conn, statement("sessions", "turn/session"), {"id": turn_id})
    source: UUID | None = row["session_id"] if row else None
    entries = until_answer(await load_transcript(conn, source), str(turn_id)) if source else []
    if source is None or not entries:
        raise NotCopied(
            f"The transcript of turn {turn_id} is not here: fork at a later answer, or the chat it came from"
        )
    parts = {"": entries}
    subagents = await subagents_of(conn, source)
    text = str(entries) if subagents else ""
    for subpath in subagents:
        if subpath.rpartition("agent-")[2] in text:  # one that was started later is nobody's here
            parts[subpath] = await load_transcript(conn, source, subpath)
    answered = await fetch(conn, statement("sessions", "turn/answered"), {"session_id": source})
    turns = [
        CopiedTurn(names[row["id"]], row["id"], row["started_at"], row["ended_at"])
        for row in answered
        if row["id"] in names
    ]
    session_id = uuid4()
    await store_copy(conn, session_id, parts, {str(source): str(session_id)} | _texts(names), turns)
    return session_id


async def store_copy(
    conn: Connection,
    session_id: UUID,
    parts: Mapping[str, Entries],
    names: Mapping[str, str],
    turns: Sequence[CopiedTurn],
) -> None:
    """Make a session of transcripts, by subpath, and its answered turns. names: which ids become which in the entries."""
    await create_session(conn, session_id)
    for subpath, entries in parts.items():
        await append_transcript(conn, session_id, 0, renamed(entries, names), subpath)
    values = {
        "session_id": session_id,
        "ids": [turn.id for turn in turns],
        "copies_of": [turn.copy_of for turn in turns],
        "started_at": [turn.started_at for turn in turns],
        "ended_at": [turn.ended_at for turn in turns],
    }
    await execute(conn, statement("sessions", "turn/copy"), values)


async def subagents_of(conn: Connection, session_id: UUID) -> list[str]:
    """The subpaths of a session's subagents."""
    rows = await fetch(conn, statement("sessions", "transcript/subpaths"), {"session_id": session_id})
    return [row["subpath"] for row in rows if row["subpath"]]


def until_answer(entries: Entries, turn_id: str) -> Entries:
    """The entries up to the end of a turn, [] where it is not in them."""
    first = next((index for index, entry in enumerate(entries) if brings(entry, turn_id)), None)
    if first is None:
        return []
    later = range(first + 1, len(entries))
    end = next((index for index in later if is_prompt(entries[index])), len(entries))
    while entries[end - 1].get("type") == "queue-operation":  # how the next prompt came
        end -= 1
    return entries[:end]


def renamed(entries: Iterable[dict[str, Any]], names: Mapping[str, str]) -> Entries:
    """The entries with these ids replaced, wherever one is a whole value, but for what was said."""
    return [
        {key: value if key in _NOT_LOOKED_INTO else _renamed(value, names) for key, value in entry.items()}
        for entry in entries
    ]


def _renamed(value: Any, names: Mapping[str, str]) -> Any:
    match value:
        case str():
            return names.get(value, value)
        case dict():
            return {key: _renamed(inner, names) for key, inner in value.items()}
        case list():
            return [_renamed(inner, names) for inner in value]
    return value


def _texts(names: Mapping[UUID, UUID]) -> dict[str, str]:
    return {str(old): str(new) for old, new in names.items()}
