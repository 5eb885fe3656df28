"""The audit of what the gate decided, and the journal of the calls that it let through. Verbs take the connection first.

Each is one statement, which holds its own fence: a call costs one before its tool and one after.
"""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from jobs_core import Connection, execute, fetch, fetch_one, gate, statement
from sessions.account import RunAccount
from sessions.records import taken_by_another
from sessions.resume import answered_calls, calls_in
from sessions.verdicts import Allow, Deny, ToolCall, Verdict, canonical, digest_of

_MAX_ARGUMENTS_CHARS = 2_000
_MOST_NAMED = 10
_MOST_NAMED_CHARS = 500


@dataclass(frozen=True, slots=True)
class HeldTurn:
    """The turn that a run works on, in a session that it took under `epoch`."""

    session_id: UUID
    epoch: int
    turn_id: UUID


@dataclass(frozen=True, slots=True)
class Called:
    """A call that was let through. ended: its tool came to an end, which `failed` says of."""

    call_id: str
    tool: str
    arguments: str
    ended: bool
    failed: bool | None


@dataclass(frozen=True, slots=True)
class Decision:
    """A row of the audit."""

    id: int
    at: datetime
    session_id: UUID
    turn_id: UUID
    token: int | None
    user_id: str | None
    agent: str
    subagent: bool
    tool: str
    call_id: str
    digest: str
    allowed_digest: str | None
    verdict: Literal["allow", "deny", "ask"]
    decided_by: str


@dataclass(frozen=True, slots=True)
class Word:
    """What a person says of a call. allowed_digest: of the arguments that it ran with; None: it did not run."""

    session_id: UUID
    turn_id: UUID
    call_id: str
    user_id: str
    agent: str
    tool: str
    digest: str
    allowed_digest: str | None
    decided_by: str


async def record_decision(
    conn: Connection, held: HeldTurn, account: RunAccount, call: ToolCall, verdict: Verdict
) -> bool:
    """Record a verdict, and the call itself if it is let through; whether it may go to its tool.

    False of an `Allow`: it went there before. Raises LeaseLost where another run has taken the session.
    """
    arguments = canonical(call.input)
    allowed = None
    if isinstance(verdict, Allow):
        allowed = digest_of(arguments if verdict.input is None else canonical(verdict.input))
    values = {
        **_names(held, call),
        "turn_id": held.turn_id,
        "token": account.token,
        "user_id": account.user_id,
        "agent": account.agent or "",
        "subagent": call.subagent,
        "tool": gate.clean_text(call.name, max_chars=gate.MAX_NAME_CHARS),
        "digest": digest_of(arguments),
        "allowed_digest": allowed,
        "verdict": "allow" if allowed else "deny" if isinstance(verdict, Deny) else "ask",
        "decided_by": gate.clean_text(verdict.by, max_chars=gate.MAX_NAME_CHARS),
        "arguments": gate.clean_text(arguments, max_chars=_MAX_ARGUMENTS_CHARS),
    }
    row = await fetch_one(conn, statement("sessions", "tool_call/decide"), values)
    if row is None:
        raise taken_by_another(held.session_id, held.epoch)
    return bool(row["allowed"])


async def record_end(conn: Connection, held: HeldTurn, call: ToolCall, *, failed: bool) -> None:
    """Record that the tool of a call has ended. Raises LeaseLost where another run has taken the session."""
    values = {**_names(held, call), "failed": failed}
    if not await execute(conn, statement("sessions", "tool_call/end"), values):
        raise taken_by_another(held.session_id, held.epoch)


async def record_word(conn: Connection, word: Word) -> None:
    """Add to the audit what a person says of a call whose outcome nobody knew."""
    await execute(conn, statement("sessions", "tool_call/say"), asdict(word))


async def calls_of_turn(conn: Connection, turn_id: UUID) -> list[Called]:
    """The calls of a turn that were let through, its subagents' left out, the oldest first."""
    rows = await fetch(conn, statement("sessions", "tool_call/of_turn"), {"turn_id": turn_id})
    return [Called(**row) for row in rows]


async def decisions(
    conn: Connection, session_id: UUID | None = None, *, limit: int = 50, before_id: int | None = None
) -> list[Decision]:
    """The newest decisions about calls, all or a session's, newest first; page on with the last one's id as `before_id`."""
    values = {"session_id": session_id, "limit": limit, "before_id": before_id}
    return [Decision(**row) for row in await fetch(conn, statement("sessions", "tool_call/decisions"), values)]


def word_of_lost_calls(calls: Iterable[Called], entries: list[dict[str, Any]], *, waits: str | None = None) -> str:
    """What to tell a model that goes on: the calls that its transcript does not show; '' where it shows all.

    waits: the deferred call that it goes on with. Of the others in that message the CLI shows it none without a result.
    """
    shown = {call.get("id") for entry in entries for call in calls_in(entry)}
    if waits is not None:
        shown &= answered_calls(entries) | {waits}
    lost = [call for call in calls if call.call_id not in shown]
    if not lost:
        return ""
    lines = [_line(call) for call in lost[:_MOST_NAMED]]
    if len(lost) > _MOST_NAMED:
        lines.append(f"- and {len(lost) - _MOST_NAMED} more")
    return (
        "Before you were interrupted you had called tools of which this conversation shows nothing:\n"
        + "\n".join(lines)
        + "\nDo not repeat a call before you have checked whether it took effect."
    )


def _line(call: Called) -> str:
    arguments = gate.clean_text(call.arguments, max_chars=_MOST_NAMED_CHARS)
    became = "its outcome is unknown"
    if call.ended:
        became = "it failed" if call.failed else "it ran to its end; what it returned is lost"
    return f"- {call.tool} {arguments} (call {call.call_id}): {became}"


def _names(held: HeldTurn, call: ToolCall) -> dict[str, Any]:
    call_id = gate.check_name(call.id, field="tool_use_id")
    return {"session_id": held.session_id, "epoch": held.epoch, "call_id": call_id}
