"""What an agent is given of the files that came with what was said, at the time of its turn.

    a workspace ─▶ saved into its inbox ─▶ a line in the prompt: what came, what it is, where it lies
    none ─┬─ a short text ─▶ quoted in the prompt, as a document
          └─ else ─▶ a line: what came, and that it cannot be opened

Whether there is a workspace depends on the chat's person and agent as they are now, so nothing of this is decided before. What
a sender calls a file is told as what it is, a claim, in quotes, with nothing in it that cannot be seen.
"""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from assistant import media
from assistant.chats import MAX_MESSAGE_BYTES, Said
from assistant.content import File
from assistant.errors import FileGone
from assistant.inbox import save
from assistant.media import MAX_QUOTED_BYTES, Media
from assistant.media_types import TEXT
from jobs_core import Database

_SHOWN_CHARS = 100


async def hand_over(database: Database, said: Sequence[Said], workspace: Path | None) -> list[Said]:
    """The messages as the agent is to see them, with their media in it. Raises ConfigurationError, as `inbox.save`."""
    handing = _Handing(database, workspace)
    return [await handing.over(message) if message.media else message for message in said]


def shown(name: str | None) -> str:
    """A name that somebody claims, in quotes, on one line: what cannot be seen stands as its number."""
    quoted = json.dumps((name or "")[:_SHOWN_CHARS], ensure_ascii=False)
    return "".join(char if char.isprintable() else f"\\u{ord(char):04x}" for char in quoted)


def title_of(name: str | None) -> str | None:
    """A claimed name as the title of a document, which a model is told: what can be seen of it, on one line."""
    seen = "".join(char for char in name or "" if char.isprintable())
    return seen[:_SHOWN_CHARS].strip() or None


class _Handing:
    """What one turn is given. left_bytes: of texts that may still be quoted, which are a part of the prompt."""

    def __init__(self, database: Database, workspace: Path | None) -> None:
        self._database = database
        self._workspace = workspace
        self._left_bytes = MAX_MESSAGE_BYTES

    async def over(self, message: Said) -> Said:
        """A message with what came with it."""
        lines, quoted = list[str](), list[File]()
        for file in message.media:
            try:
                lines.append(await self._line(file, quoted))
            except FileGone:  # a moment ago it was here
                lines.append(_line(file, _why_not(replace(file, state="gone"))))
        told = "\n".join(lines)
        content = f"{message.content}\n\n{told}" if message.content else told
        after = [replace(file, after_chars=len(content)) for file in quoted]
        return replace(message, content=content, files=(*message.files, *after), media=())

    async def _line(self, file: Media, quoted: list[File]) -> str:
        """What is told of a file; one that is quoted is added to those. Raises FileGone."""
        if file.state == "here" and self._workspace and file.name:
            path = await save(self._workspace, file.name, media.pieces(self._database, file))
            return _line(file, f"It lies in your working directory: {path}")
        if text := await self._quotable(file):
            quoted.append(text)
            return _line(file, "It is quoted here")
        return _line(file, _why_not(file))

    async def _quotable(self, file: Media) -> File | None:
        size = file.bytes or 0
        if file.state != "here" or file.media_type != TEXT or size > min(MAX_QUOTED_BYTES, self._left_bytes):
            return None
        self._left_bytes -= size
        async with self._database.connection() as conn:
            return File(TEXT, await media.content_of(conn, file), title_of(file.claimed_name))


def _line(file: Media, what_of_it: str) -> str:
    named = f", named {shown(file.claimed_name)} by its sender" if file.claimed_name else ""
    kind = f", {file.media_type} by its content" if file.media_type else ""
    size = file.claimed_bytes if file.bytes is None else file.bytes
    return f"[File that came with this message: {file.kind}{named}{kind}, {size:,} bytes. {what_of_it}.]"


def _why_not(file: Media) -> str:
    match file.state:
        case "refused":
            return f"It was not taken: it is {file.said}"
        case "gone":
            return "It is too old, and no longer kept"
    return "You have no means to open it; say so if it matters"
