"""What a pending action is: a tool call that waits for a person, or did."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

State = Literal[
    "pending", "approved", "rejected", "expired", "superseded", "cancelled", "executing", "executed", "unknown"
]
OPEN: tuple[State, ...] = ("pending", "approved", "executing", "unknown")
"""What somebody should look at."""


@dataclass(frozen=True, slots=True)
class Action:
    """A call that waits, or did.

    arguments, digest: canonical JSON, as the model gave them, and its SHA-256; edited_…: what it was approved with instead.
    may_decide: ids of people, and `role:NAME`. has_read: what the session had read when it asked. failed: of an executed one.
    """

    id: int
    session_id: str
    claude_session_id: UUID
    turn_id: UUID
    job_id: int
    user_id: str
    agent: str
    call_id: str
    tool: str
    arguments: str
    digest: str
    edited_arguments: str | None
    edited_digest: str | None
    state: State
    asked_by: str
    may_decide: list[str]
    has_read: dict[str, Any]
    created_at: datetime
    expires_at: datetime
    decided_by: str | None
    decided_at: datetime | None
    reason: str | None
    executing_token: int | None
    executing_at: datetime | None
    ended_at: datetime | None
    failed: bool | None
    result_digest: str | None

    @property
    def event(self) -> str:
        """What its job waits for."""
        return event_of(self.id)

    @property
    def runs_with(self) -> tuple[str, str]:
        """The arguments it runs with if it is approved, and their digest."""
        if self.edited_arguments is not None and self.edited_digest is not None:
            return self.edited_arguments, self.edited_digest
        return self.arguments, self.digest


def event_of(action_id: int) -> str:
    """The event that a decision emits."""
    return f"action:{action_id}"
