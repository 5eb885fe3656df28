"""Files that messages bring: kept in a table of their own, read when a turn takes their message, and never listed."""

from collections.abc import Iterable, Sequence

from assistant.content import File
from jobs_core import Connection, execute, fetch, statement


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


async def brings(conn: Connection, message_id: int, files: Sequence[File]) -> bool:
    """Whether a message brought just these files."""
    kept = await files_of(conn, [message_id])
    return kept.get(message_id, []) == list(files)
