"""Files that messages bring, people's and ours: kept in a table of their own, read when they are wanted, and never listed."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from assistant.content import File
from assistant.deliveries import Owed, owe_file
from jobs_core import Connection, execute, fetch, fetch_one, gate, statement


async def add_files(conn: Connection, message_id: int, files: Sequence[File]) -> None:
    """Keep a message's files."""
    values = {
        "message_id": message_id,
        "nths": list(range(1, len(files) + 1)),
        "after_chars": [file.after_chars for file in files],
        "media_types": [file.media_type for file in files],
        "names": [file.name for file in files],
        "contents": [file.content for file in files],
    }
    await execute(conn, statement("assistant", "file/add"), values)


async def files_of(conn: Connection, message_ids: Iterable[int]) -> dict[int, list[File]]:
    """The files of messages, by message; one without files is not in it."""
    found: dict[int, list[File]] = {}
    for row in await fetch(conn, statement("assistant", "file/of_messages"), {"ids": list(message_ids)}):
        file = File(row["media_type"], row["content"], row["name"], row["after_chars"])
        found.setdefault(row["message_id"], []).append(file)
    return found


@dataclass(frozen=True, slots=True)
class Kept:
    """A file of a chat, as it is given out. content: None where it stands in pieces, under file_id (media.py)."""

    media_type: str
    name: str | None
    size: int
    content: bytes | None
    file_id: int | None
    state: Literal["coming", "here", "refused", "gone"]


async def nth_file(conn: Connection, session_id: str, message_id: int, nth: int) -> Kept | None:
    """The nth file of a message, from 1, in the order in which the chat's history tells them; None where there is none."""
    values = {"session_id": session_id, "message_id": message_id, "nth": nth}
    row = await fetch_one(conn, statement("assistant", "file/nth"), values)
    return Kept(**row) if row else None


async def send_file(conn: Connection, session_id: str, file: File, text: str) -> Owed | None:
    """Have a file of ours stand in a chat, with a word to it or none, and owe it to where that chat is read.

    None where nothing is owed: the chat is on the web. Call it late in a transaction: the job locks its lane.
    """
    text = gate.clean_text(text)
    values = {
        "session_id": session_id,
        "content": text or file.name or file.media_type,
        "file_bytes": len(file.content),
    }
    row = await fetch_one(conn, statement("assistant", "file/say"), values)
    assert row is not None, "an insert without a condition returns its row"
    await add_files(conn, row["id"], [file])
    return await owe_file(conn, session_id, row["id"], text, f"{row['id']}.1")


async def brings(conn: Connection, message_id: int, files: Sequence[File]) -> bool:
    """Whether a message brought just these files."""
    kept = await files_of(conn, [message_id])
    return kept.get(message_id, []) == list(files)
