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
from typing import Any
from uuid import UUID

from assistant import action_cards, callback_events, metrics
from assistant.action import OPEN, Action, State
from assistant.errors import NoSuchAction
from assistant.notifications import Severity, notify
from jobs_core import AnyJob, Connection, fence, fetch, fetch_one, gate, statement
from jobs_core.wake import Ready
from sessions import HasRead, ToolCall, ToolEnd, canonical, digest_of

MAX_ARGUMENTS_BYTES = gate.MAX_INPUT_BYTES
"""Of canonical arguments: a call with more is not asked about, nobody could read them."""
EXPIRES_AFTER = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a call was made: in which turn of which chat, by which agent, for whom."""

    session_id: str
    claude_session_id: UUID
    turn_id: UUID
    user_id: str
    agent: str


@dataclass(frozen=True, slots=True)
class Asked:
    """An action that waits from now on. in_its_chat: its chat is shown a card. ready: where the jobs of cards stand ready."""

    action: Action
    in_its_chat: bool
    ready: Sequence[Ready]


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
    quiet: bool = False,
) -> Asked:
    """Write an action, in the transaction in which its job begins to wait for `event_of` it, and tell who may decide.

    quiet: tell no person; it stands in the list of what waits.
    """
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
    row = await fetch_one(conn, statement("assistant", "action/ask"), values)
    assert row is not None, "an insert without a condition returns its row"
    metrics.approvals.labels(row["state"]).inc()
    action = Action(**row)
    if quiet:
        return Asked(action, in_its_chat=False, ready=await callback_events.approval_waits(conn, action))
    to, ready = await action_cards.asked(conn, action)
    await _tell_owner(conn, action, f"{action.tool} waits for approval", carded=bool(to))
    told = await callback_events.approval_waits(conn, action)
    return Asked(action, any(receiver.chat == action.session_id for receiver in to), (*ready, *told))


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
        metrics.approvals.labels(action.state).inc()
        if action.state == "unknown":
            await action_cards.changed(conn, action)
            await _tell_owner(conn, action, f"It is not known whether {action.tool} ran", severity="error")
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
    async with conn.transaction():
        await _show_changed(
            conn, await fetch(conn, statement("assistant", "action/end_with_its_job"), {"id": action_id})
        )
    row = await fetch_one(conn, statement("assistant", "action/find"), {"id": action_id})
    if row is None:
        raise no_such(action_id)
    return Action(**row)


def no_such(action_id: int) -> NoSuchAction:
    """The error that there is no such action."""
    return NoSuchAction(f"There is no action {action_id}: ./jobs approvals ls lists what waits")


async def list_actions(
    conn: Connection,
    *,
    states: Sequence[State] | None = OPEN,
    decided_by: Sequence[str] | None = None,
    limit: int = 50,
    before_id: int | None = None,
) -> list[Action]:
    """The newest actions in these states (None: all), newest first; page on with the last one's id as `before_id`.

    decided_by: only those that one of these may decide, a person's id or `role:NAME`.
    """
    await end_with_jobs(conn)
    values = {
        "states": list(states) if states is not None else None,
        "decided_by": decided_by,
        "limit": limit,
        "before_id": before_id,
    }
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
    async with conn.transaction():
        await _show_changed(conn, await fetch(conn, statement("assistant", "action/end_with_jobs")))


async def _fenced(conn: Connection, job: AnyJob, sql: Any, values: dict[str, Any]) -> None:
    async with conn.transaction():
        await fence(conn, job)
        await _show_changed(conn, await fetch(conn, sql, values))


async def _show_changed(conn: Connection, rows: Sequence[dict[str, Any]]) -> None:
    """Have the cards of these actions, which were written just now, say so."""
    for row in rows:
        metrics.approvals.labels(row["state"]).inc()
        await action_cards.changed(conn, Action(**row))


async def _tell_owner(
    conn: Connection, action: Action, title: str, *, severity: Severity = "warning", carded: bool = False
) -> None:
    await notify(
        conn,
        user_id=None,
        title=f"{title}: action {action.id}",
        body=f"./jobs approvals show {action.id} shows the call",
        category="approval",
        severity=severity,
        metadata={"action_id": action.id} | ({"carded": True} if carded else {}),
        turn_id=action.turn_id,
    )
