"""How turns of chats ended, for those who watch chats: for many at once, in one statement. Verbs take the connection first."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal
from uuid import UUID

from jobs_core import Connection, fetch, statement

NEWEST = 16
"""Of a chat: by these a watcher that begins tells turns that have ended from the one that runs."""

_RECENT_LINES = 300
"""Of all chats: of a fifth of a second where 1,500 messages come a second."""


@dataclass(frozen=True, slots=True)
class End:
    """The end of a turn, as it stands in its chat: the answer, or the word that there is none.

    id: the line's own in the chat. answers: the ids of the messages that it answers.
    """

    chat: str
    id: int
    turn_id: UUID
    state: Literal["answered", "failed"]
    text: str
    answers: Sequence[int]


async def ends_after(conn: Connection, places: Mapping[str, int], *, most: int) -> list[End]:
    """The ends that stand after these lines (ids of messages), by chat, in order; of each chat `most` at most."""
    values = {"session_ids": list(places), "after_ids": list(places.values()), "most": most}
    rows = await fetch(conn, statement("assistant", "message/ends"), values)
    return [
        End(
            row["session_id"],
            row["id"],
            row["turn_id"],
            "answered" if row["type"] == "ai" else "failed",
            row["content"],
            row["answers"],
        )
        for row in rows
    ]


async def recent_ends(conn: Connection) -> set[str]:
    """The chats in which a turn has just ended, except where that took long to be committed."""
    rows = await fetch(conn, statement("assistant", "message/recent_ends"), {"lines": _RECENT_LINES})
    return {row["session_id"] for row in rows}


async def newest_ends(conn: Connection, chats: Collection[str]) -> dict[str, dict[int, UUID]]:
    """Of each chat in which a turn ended, the turns that ended last, by the ids of the lines that say so."""
    values = {"session_ids": list(chats), "most": NEWEST}
    found = dict[str, dict[int, UUID]]()
    for row in await fetch(conn, statement("assistant", "message/newest_ends"), values):
        found.setdefault(row["session_id"], {})[row["id"]] = row["turn_id"]
    return found
