"""What a chat says of itself: why an answer takes its time, that a call waits for approval, that it begins anew."""

from collections.abc import Sequence

from assistant.deliveries import owe_remark
from jobs_core import Connection, fetch_one, gate, statement
from jobs_core.wake import Ready


async def remark(conn: Connection, text: str, *, session_id: str) -> Sequence[Ready]:
    """Say something in the chat that ends no turn, and owe it to where that chat is read; returns where that job is ready."""
    text = gate.clean_text(text)
    row = await fetch_one(conn, statement("assistant", "message/remark"), {"session_id": session_id, "content": text})
    assert row is not None, "an insert without a condition returns its row"
    return await owe_remark(conn, session_id, row["id"], text)
