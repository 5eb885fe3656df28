"""A session's transcript as a person reads it in a terminal."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from uuid import UUID

from assistant import chats
from cli.errors import CommandFailed
from cli.printing import print_json, print_plain
from jobs_core import Connection
from sessions.copies import subagents_of
from sessions.reading import Line, read_lines
from sessions.store import load_transcript

_SHOWN_CHARS, _SHOWN_LINES = 400, 6
_MARKS = {"prompt": "> ", "answer": "", "thinking": "~ ", "tool": "  * ", "result": "  = ", "error": "  ! "}
_CUT = ("tool", "result", "error", "thinking")


async def claude_session_of(conn: Connection, session: str) -> UUID:
    """The Claude session behind a chat; a Claude session's own id is one, too. Raises NoSuchChat."""
    try:
        return UUID(session)
    except ValueError:
        return await chats.claude_session_of(conn, session)


async def load(conn: Connection, session: str) -> Mapping[str, Sequence[Line]]:
    """What a session holds, by transcript: '' is the conversation itself. Raises NoSuchChat, CommandFailed."""
    session_id = await claude_session_of(conn, session)
    subpaths = ["", *await subagents_of(conn, session_id)]
    found = {subpath: list(read_lines(await load_transcript(conn, session_id, subpath))) for subpath in subpaths}
    if not found[""]:
        raise CommandFailed(f"session {session_id} holds nothing: it is new, or was never here (./jobs session list)")
    return found


def print_transcript(found: Mapping[str, Sequence[Line]], *, full: bool, as_json: bool) -> None:
    """The conversation, then each subagent's under its name; calls and results cut unless `full`."""
    if as_json:
        print_json([{"subagent": subpath or None, **asdict(line)} for subpath in found for line in found[subpath]])
        return
    for subpath, lines in found.items():
        if subpath:
            print_plain(f"\n--- {subpath}")
        for line in lines:
            text = f"{line.name} {line.text}" if line.name else line.text
            print_plain(_MARKS[line.kind] + (text if full or line.kind not in _CUT else _cut(text)))


def _cut(text: str) -> str:
    lines = text.splitlines()
    short = "\n".join(lines[:_SHOWN_LINES])[:_SHOWN_CHARS]
    return short if len(short) >= len(text.rstrip("\n")) else f"{short} … ({len(text)} characters)"
