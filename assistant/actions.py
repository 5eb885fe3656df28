"""Pending actions: tool calls that wait for a person, from the asking to what became of them.

    ask ─▶ pending ─┬─ approve ─▶ approved ─ begin ─▶ executing ─┬─ end ─▶ executed
                    ├─ reject, expire, supersede                 └─ its run was lost ─▶ unknown
                    └─ its job ended ─▶ cancelled                └─ closed ─▶ executed, cancelled

This is the side of the run; what people do stands in approvals.py and closing.py. Every write of a run begins with its job's
fence, and an action leaves a state in one statement that names the state, so that of two that race one finds it gone. Verbs
take the connection first.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any, Literal
from uuid import UUID

from assistant.errors import NoSuchAction
from assistant.notifications import Severity, notify
from jobs_core import AnyJob, Connection, execute, fence, fetch, fetch_one, gate, statement
from sessions import HasRead, ToolCall, ToolEnd, canonical, digest_of

State = Literal[
    "pending", "approved", "rejected", "expired", "superseded", "cancelled", "executing", "executed", "unknown"
]
OPEN: tuple[State, ...] = ("pending", "approved", "executing", "unknown")
"""What somebody should look at."""
MAX_ARGUMENTS_BYTES = gate.MAX_INPUT_BYTES
"""Of canonical arguments: a call with more is not asked about, nobody could read them."""
EXPIRES_AFTER = timedelta(hours=24)


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


@dataclass(frozen=True, slots=True)
class Place:
    """Where a call was made: in which turn of which chat, by which agent, for whom."""

    session_id: str
    claude_session_id: UUID
    turn_id: UUID
    user_id: str
    agent: str


def event_of(action_id: int) -> str:
    """The event that a decision emits."""
    return f"action:{action_id}"


async def draw(conn: Connection, expires_after: timedelta = EXPIRES_AFTER) -> tuple[int, datetime]:
    """The id of an action that is about to be written, and when it will expire, by Postgres' clock."""
    row = await fetch_one(conn, statement("assistant", "action/draw"), {"expires_s": expires_after.total_seconds()})
    assert row is not None
    return row["id"], row["expires_at"]


async def ask(
    conn: Connection,
    job: AnyJob,
    drawn: tuple[int, datetime],
    place: Place,
    call: ToolCall,
    *,
    asked_by: str,
    may_decide: Sequence[str],
    has_read: HasRead,
) -> None:
    """Write an action, in the transaction in which its job begins to wait for `event_of` it, and tell the owner."""
    arguments = canonical(call.input)
    values = {
        **asdict(place),
        "id": drawn[0],
        "expires_at": drawn[1],
        "job_id": job.id,
        "call_id": call.id,
        "tool": gate.clean_text(call.name, max_chars=gate.MAX_NAME_CHARS),
        "arguments": arguments,
        "digest": digest_of(arguments),
        "asked_by": asked_by,
        "may_decide": list(may_decide),
        "has_read": gate.to_json(asdict(has_read), field="has_read", max_bytes=gate.MAX_INPUT_BYTES),
    }
    await execute(conn, statement("assistant", "action/ask"), values)
    await _tell_owner(conn, drawn[0], f"{values['tool']} waits for approval", place.turn_id)


async def begin_execution(conn: Connection, job: AnyJob, action_id: int) -> Action | None:
    """Let an approved action through, once: the caller lets its call run if it comes back `executing`, and only then.

    `unknown`: an earlier run let it through and was lost, which the owner is told. None: it is not approved. Raises LeaseLost.
    """
    async with conn.transaction():
        await fence(conn, job)
        row = await fetch_one(conn, statement("assistant", "action/begin"), {"id": action_id, "token": job.token})
        if row is None:
            return None
        action = Action(**row)
        if action.state == "unknown":
            await _tell_owner(conn, action.id, f"It is not known whether {action.tool} ran", action.turn_id, "error")
    return action


async def end_execution(conn: Connection, job: AnyJob, action_id: int, end: ToolEnd) -> None:
    """Record that an action which is executing came to its end. Raises LeaseLost."""
    values = {"id": action_id, "failed": end.failed, "result_digest": end.result_digest}
    await _fenced(conn, job, statement("assistant", "action/end"), values)


async def drop(conn: Connection, job: AnyJob, action_id: int, reason: str) -> None:
    """Cancel an action that was not begun and that its turn asks for no more. Raises LeaseLost."""
    await _fenced(conn, job, statement("assistant", "action/drop"), {"id": action_id, "reason": reason})


async def expire_due(conn: Connection, job: AnyJob, action_id: int) -> None:
    """Expire an action whose time is over, for the run that woke because of it. Raises LeaseLost."""
    await _fenced(conn, job, statement("assistant", "action/expire_due"), {"id": action_id})


async def of_turn(conn: Connection, turn_id: UUID) -> Action | None:
    """The turn's newest action."""
    row = await fetch_one(conn, statement("assistant", "action/of_turn"), {"turn_id": turn_id})
    return Action(**row) if row else None


async def find(conn: Connection, action_id: int) -> Action:
    """The action. Raises NoSuchAction."""
    await execute(conn, statement("assistant", "action/end_with_its_job"), {"id": action_id})
    row = await fetch_one(conn, statement("assistant", "action/find"), {"id": action_id})
    if row is None:
        raise NoSuchAction(f"There is no action {action_id}: ./jobs approvals ls lists what waits")
    return Action(**row)


async def list_actions(
    conn: Connection, *, states: Sequence[State] | None = OPEN, limit: int = 50, before_id: int | None = None
) -> list[Action]:
    """The newest actions in these states (None: all), newest first; page on with the last one's id as `before_id`."""
    await end_with_jobs(conn)
    values = {"states": list(states) if states is not None else None, "limit": limit, "before_id": before_id}
    sql = statement(
        "assistant", "action/list_open" if states is not None and set(states) <= set(OPEN) else "action/list"
    )
    return [Action(**row) for row in await fetch(conn, sql, values)]


async def pending_in(conn: Connection, session_id: str) -> Action | None:
    """The action that a chat waits for."""
    row = await fetch_one(conn, statement("assistant", "action/pending_in"), {"session_id": session_id})
    return Action(**row) if row else None


async def end_with_jobs(conn: Connection) -> None:
    """Settle actions whose jobs have ended: a cancelled job takes its action with it. Whoever looks does this first."""
    await execute(conn, statement("assistant", "action/end_with_jobs"))


async def _fenced(conn: Connection, job: AnyJob, sql: Any, values: dict[str, Any]) -> None:
    async with conn.transaction():
        await fence(conn, job)
        await execute(conn, sql, values)


async def _tell_owner(
    conn: Connection, action_id: int, title: str, turn_id: UUID, severity: Severity = "warning"
) -> None:
    body = f"./jobs approvals show {action_id} shows the call"
    await notify(
        conn,
        user_id=None,
        title=f"{title}: action {action_id}",
        body=body,
        category="approval",
        severity=severity,
        metadata={"action_id": action_id},
        turn_id=turn_id,
    )
