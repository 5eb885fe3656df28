"""What a chat says of itself: why an answer takes its time, that a call waits for approval, that it begins anew."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from assistant.deliveries import owe_remark
from jobs_core import Connection, fetch, fetch_one, gate, statement
from jobs_core.wake import Ready

NEWEST_REMARKS = 16
"""Of a chat, since a turn ended in it: what it waits for now is among these."""


@dataclass(frozen=True, slots=True)
class Remark:
    """A line of a chat that ends no turn; id: the line's own."""

    chat: str
    id: int
    text: str


async def remark(conn: Connection, text: str, *, session_id: str, owed: bool = True) -> Sequence[Ready]:
    """Say something in the chat that ends no turn, and owe it to where that chat is read; returns where that job is ready.

    owed: False where something else that is owed there says the same.
    """
    text = gate.clean_text(text)
    row = await fetch_one(conn, statement("assistant", "message/remark"), {"session_id": session_id, "content": text})
    assert row is not None, "an insert without a condition returns its row"
    return await owe_remark(conn, session_id, row["id"], text) if owed else ()


async def remarks_after(conn: Connection, places: Mapping[str, int]) -> list[Remark]:
    """What stands after these lines (ids of messages), by chat, in order; of each chat the NEWEST_REMARKS."""
    values = {"session_ids": list(places), "after_ids": list(places.values()), "most": NEWEST_REMARKS}
    rows = await fetch(conn, statement("assistant", "message/remarks"), values)
    return [Remark(row["session_id"], row["id"], row["content"]) for row in rows]
