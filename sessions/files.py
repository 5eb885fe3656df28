"""A session as Claude Code's own files, out and in: what `claude --resume ID` goes on with, and what it has left.

<config>/projects/<name of the working directory>/<session id>.jsonl
                                                  <session id>/subagents/agent-<id>.jsonl, agent-<id>.meta.json
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any
from uuid import UUID, uuid4

from jobs_core import Connection, fetch_one, gate, statement
from sessions.copies import CopiedTurn, store_copy, subagents_of
from sessions.errors import NotCopied
from sessions.reading import Exchange, read_exchanges
from sessions.resume import classify, without_deferrals
from sessions.store import Entries, load_transcript

MAX_BYTES = 128 * 1024 * 1024
"""Of all files of a session together: they are read into memory, several times their size. A day's work has a few MiB."""
MAX_SUBAGENTS = 1_000
MAX_DEPTH = 200
"""Of lists and objects in each other: about 450 is as deep as a copy's ids are replaced, far beyond what anybody says."""
_METADATA = "agent_metadata"
_SUBAGENT = "subagents/"


@dataclass(frozen=True, slots=True)
class SessionFiles:
    """What was read of a session: its transcripts by subpath, '' the conversation itself, and what was asked in it."""

    session_id: UUID
    parts: Mapping[str, Entries]
    exchanges: list[Exchange]

    @property
    def entries(self) -> int:
        """How many entries there are, the subagents' included."""
        return sum(map(len, self.parts.values()))


async def export_session(conn: Connection, session_id: UUID, config: Path, cwd: Path) -> list[Path]:
    """Write a session's files where a CLI with this config folder, started in `cwd`, finds them; returns those written.

    Raises NotCopied where nothing is stored of the session, or a file of its is there already: another copy may have gone on.
    """
    from claude_agent_sdk import project_key_for_directory

    parts = {"": without_deferrals(await load_transcript(conn, session_id))}
    if not parts[""]:
        raise NotCopied(f"Session {session_id} holds nothing yet: say something in it first")
    for subpath in await subagents_of(conn, session_id):
        parts[_safe(subpath)] = await load_transcript(conn, session_id, subpath)
    folder = config / "projects" / project_key_for_directory(str(cwd))
    main = folder / f"{session_id}.jsonl"
    if main.exists() or (folder / str(session_id)).exists():
        raise NotCopied(f"{main} is there already: move it away, or choose another folder")
    return [path for subpath, entries in parts.items() for path in _write(_place(main, subpath), entries)]


def read_session(path: Path) -> SessionFiles:
    """What Claude Code left of a session: the file `<session id>.jsonl`, and its subagents' in the folder beside it.

    Raises NotCopied naming the file, and the line where one is at fault: too long, no JSON, of another session, or empty.
    """
    session_id = _id_in(path)
    files = sorted((path.with_suffix("") / _SUBAGENT).rglob("agent-*.jsonl"))
    size = sum(file.stat().st_size for file in (path, *files))
    if len(files) > MAX_SUBAGENTS or size > MAX_BYTES:
        raise NotCopied(
            f"{path}: {len(files)} subagents and {size} bytes in all, at most {MAX_SUBAGENTS} and {MAX_BYTES} are taken"
        )
    parts = {"": list(_entries(path, session_id))}
    for file in files:
        subpath = file.relative_to(path.with_suffix("")).with_suffix("").as_posix()
        parts[subpath] = [*_entries(file, session_id), *_metadata_of(file)]
    return SessionFiles(session_id, parts, _exchanges_in(path, parts[""]))


async def import_session(conn: Connection, files: SessionFiles) -> dict[UUID, UUID]:
    """Make a session of what was read, under its own id; returns what its prompts' ids have become. Inside a transaction.

    Raises NotCopied where that session is here already.
    """
    if await fetch_one(conn, statement("sessions", "session/exists"), {"id": files.session_id}) is not None:
        raise NotCopied(f"Session {files.session_id} is here already: go on in that one")
    turns = [
        CopiedTurn(uuid4(), said.turn_id, said.asked_at, said.answered_at) for said in files.exchanges if said.answered
    ]
    names = {turn.copy_of: turn.id for turn in turns}
    texts = {str(old): str(new) for old, new in names.items()}
    await store_copy(conn, files.session_id, files.parts, texts, turns)
    return names


def _exchanges_in(path: Path, entries: Entries) -> list[Exchange]:
    """What was asked, once everything that reads this transcript later has read it: one that breaks a turn would break all."""
    try:
        exchanges = read_exchanges(entries)
        classify(without_deferrals(entries), str(uuid4()))  # as for a prompt that comes next
        for said in sorted((said for said in exchanges if said.answered), key=lambda said: said.answered_at)[-1:]:
            classify(entries, str(said.turn_id))  # as for the proof that nothing was lost
    except (TypeError, ValueError, KeyError, AttributeError) as error:
        raise NotCopied(f"{path}: holds an entry of a form that this program does not know ({error})") from None
    if not exchanges:
        raise NotCopied(f"{path}: nobody asks anything in it; is it the file of a conversation?")
    return exchanges


def _id_in(path: Path) -> UUID:
    """The session's id, which its file is named by."""
    with suppress(ValueError):
        if path.suffix == ".jsonl" and path.is_file():
            return UUID(path.stem)
    raise NotCopied(f"{path} is no file of a session: those are named SESSION_ID.jsonl")


def _entries(path: Path, session_id: UUID) -> Iterator[dict[str, Any]]:
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            if line.strip():
                yield _entry(line, f"{path}, line {number}", session_id)


def _entry(line: bytes, place: str, session_id: UUID) -> dict[str, Any]:
    entry = _json(line, place)
    if not isinstance(entry, dict) or not isinstance(entry.get("type"), str):
        raise NotCopied(f"{place}: is no entry of a transcript")
    named = entry.get("sessionId", str(session_id))
    if named != str(session_id):
        raise NotCopied(f"{place}: belongs to session {named!s:.40}, not to {session_id}")
    uuid = entry.get("uuid", "")
    if not isinstance(uuid, str) or len(uuid) > gate.MAX_NAME_CHARS or not uuid.isascii() or "\0" in uuid:
        raise NotCopied(f"{place}: its uuid is none")
    return entry


def _json(text: bytes, place: str) -> Any:
    """What the text holds, if it can be walked through by whoever reads it later."""
    try:
        value = json.loads(text)
    except ValueError:
        raise NotCopied(f"{place}: is no JSON; was the file cut off?") from None
    except RecursionError:
        too_deep = True
    else:
        too_deep = text.count(b"[") + text.count(b"{") > MAX_DEPTH and _is_too_deep(value)
    if too_deep:
        raise NotCopied(f"{place}: is nested deeper than {MAX_DEPTH}; no tool of Claude Code's writes that")
    return value


def _is_too_deep(value: Any) -> bool:
    level = [value]
    for _ in range(MAX_DEPTH):
        inside = [one.values() if isinstance(one, dict) else one for one in level if isinstance(one, dict | list)]
        level = [inner for one in inside for inner in one]
    return any(isinstance(one, dict | list) for one in level)


def _metadata_of(file: Path) -> list[dict[str, Any]]:
    """What stands beside a subagent's transcript, as an entry of it: so the CLI mirrors it to the store."""
    beside = file.with_suffix(".meta.json")
    if not beside.is_file():
        return []
    metadata = _json(beside.read_bytes(), str(beside))
    return [{**metadata, "type": _METADATA}] if isinstance(metadata, dict) else []


def _safe(subpath: str) -> str:
    """A subpath as it was stored, if it leads nowhere else: it came from a CLI, which an agent may have talked into things."""
    parts = PurePosixPath(subpath).parts
    if not subpath.startswith(_SUBAGENT) or ".." in parts or "\0" in subpath:
        raise NotCopied(f"A subagent's transcript is stored as {subpath!r}, which is no place for a file")
    return subpath


def _place(main: Path, subpath: str) -> Path:
    return main.with_suffix("") / f"{subpath}.jsonl" if subpath else main


def _write(path: Path, entries: Entries) -> Iterator[Path]:
    """Write a transcript, and what is known of its subagent beside it."""
    metadata = [entry for entry in entries if entry.get("type") == _METADATA]
    yield _new(path, "".join(json.dumps(entry) + "\n" for entry in entries if entry.get("type") != _METADATA))
    if metadata:
        known = {key: value for key, value in metadata[-1].items() if key != "type"}
        yield _new(path.with_suffix(".meta.json"), json.dumps(known))


def _new(path: Path, text: str) -> Path:
    """A new file that only its owner can read: conversations hold secrets."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.touch(mode=0o600, exist_ok=False)
    path.write_text(text, encoding="utf-8")
    return path
