"""Where a chat stands, for a person who asks there: what waits, what is being answered, and what waits for a decision."""

from dataclasses import dataclass

from assistant.action import Action
from assistant.actions import pending_in
from jobs_core import Connection, fetch_one, statement


@dataclass(frozen=True, slots=True)
class ChatStatus:
    """unbound: messages that no turn has taken up; bound: those that one has, unanswered so far.

    oldest_s: how long ago the first of both came. action: the call that a person has to decide about.
    """

    unbound: int
    bound: int
    oldest_s: float | None
    action: Action | None


async def chat_status(conn: Connection, session_id: str) -> ChatStatus:
    """Where a chat stands; one that does not exist has nothing to do."""
    row = await fetch_one(conn, statement("assistant", "message/status"), {"session_id": session_id})
    assert row is not None  # counts
    return ChatStatus(row["unbound"], row["bound"], row["oldest_s"], await pending_in(conn, session_id))
