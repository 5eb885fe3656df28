"""What people do with pending actions: approve, edit, reject, expire, supersede; and what they allow for good.

    decide ─▶ compare and set, from `pending` ─┬─ it was ─▶ the event of its job, same transaction ─▶ commit ─▶ wake
                                               └─ it was not ─▶ NotDecided, which says what became of it

A decision names the digest of what its person was shown: what is shown and what runs cannot come apart. Verbs take the
connection first; each decision is one transaction, the caller's or its own.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from assistant import action_cards, metrics, people
from assistant.action import Action
from assistant.actions import MAX_ARGUMENTS_BYTES, find, pending_in
from assistant.errors import MayNotDecide, NoSuchAlways, NotDecided
from assistant.remarks import remark
from jobs_core import Connection, InvalidInput, execute, fetch, fetch_one, gate, statement
from jobs_core.waits import emit
from jobs_core.wake import Ready
from sessions import canonical, digest_of

OWNERS = "role:owner"
"""Who may decide unless an action says otherwise."""
MAX_REASON_CHARS = 2_000
_MAX_WHOLE = 2**53 - 1


@dataclass(frozen=True, slots=True)
class Decider:
    """Somebody who decides. id: a person's, or what a door calls whoever comes in by it."""

    id: str
    role: Literal["owner", "external"]

    @property
    def names(self) -> tuple[str, str]:
        """What an action calls them that is theirs to decide."""
        return self.id, f"role:{self.role}"

    def may_decide(self, action: Action) -> bool:
        """Whether the action is theirs to decide."""
        return not set(self.names).isdisjoint(action.may_decide)


@dataclass(frozen=True, slots=True)
class Decided:
    """A decision that counts. ready: where its job goes on, and its cards' jobs stand; wake them after the commit."""

    action: Action
    ready: Sequence[Ready]


@dataclass(frozen=True, slots=True)
class Always:
    """A call that is allowed without asking: of this tool, with exactly these arguments, by this agent, for this user."""

    id: int
    user_id: str
    agent: str
    tool: str
    digest: str
    arguments: str
    allowed_by: str
    allowed_at: datetime


async def approve(
    conn: Connection,
    action_id: int,
    by: Decider,
    *,
    digest: str,
    edited: dict[str, Any] | None = None,
    reason: str | None = None,
    always: bool = False,
) -> Decided:
    """Let the call run, with `edited` as its arguments where that is given.

    always: such calls need no approval from now on; not together with edited. Raises NoSuchAction, MayNotDecide, NotDecided,
    and InvalidInput for arguments that do not fit; nothing was written then.
    """
    if always and edited is not None:
        raise InvalidInput("always: is for the call as it is; approve the edited one without it", field="always")
    text = None if edited is None else _checked(edited)
    async with conn.transaction():
        decided = await _decide(conn, action_id, by, "approved", digest=digest, reason=reason, edited=text)
        if always:
            await _allow_always(conn, decided.action, by)
    return decided


async def reject(conn: Connection, action_id: int, by: Decider, *, digest: str, reason: str | None = None) -> Decided:
    """Have the call not run; the model is told the reason. Raises as `approve`."""
    return await _decide(conn, action_id, by, "rejected", digest=digest, reason=reason)


async def expire(conn: Connection, action_id: int, by: Decider, *, digest: str) -> Decided:
    """Let the action's time be over now. Raises as `approve`."""
    return await _decide(conn, action_id, by, "expired", digest=digest)


async def said_in(conn: Connection, session_id: str, user_id: str | None, words: str) -> Sequence[Ready]:
    """See to the action that a chat waits for, if any, when somebody has said something there; returns what to wake.

    From one who may decide, it is superseded: their words are the reason, and the message is the next turn's. Others' messages
    wait, and the chat is told once what for. user_id: None is the owner. Call it in the message's transaction, after the
    message's job was created: that locks their lane.
    """
    action = await pending_in(conn, session_id)
    if action is None:
        return ()
    user = await (people.owner(conn) if user_id is None else people.get(conn, user_id))
    by = Decider(user.id, user.role)
    if by.may_decide(action):
        try:
            return (await _decide(conn, action.id, by, "superseded", digest=action.digest, reason=words)).ready
        except NotDecided:  # somebody was faster
            return ()
    if await execute(conn, statement("assistant", "action/notice"), {"id": action.id}):
        return await remark(
            conn, f"This waits until somebody decides about action {action.id} ({action.tool}).", session_id=session_id
        )
    return ()


async def is_always_allowed(conn: Connection, *, user_id: str, agent: str, tool: str, digest: str) -> int | None:
    """The id of what allows just such a call, None where nothing does."""
    values = {"user_id": user_id, "agent": agent, "tool": tool, "digest": digest}
    row = await fetch_one(conn, statement("assistant", "always/find"), values)
    return int(row["id"]) if row else None


async def list_always(conn: Connection, *, limit: int = 50, before_id: int | None = None) -> list[Always]:
    """What is allowed for good, newest first."""
    values = {"limit": limit, "before_id": before_id}
    return [Always(**row) for row in await fetch(conn, statement("assistant", "always/list"), values)]


async def revoke_always(conn: Connection, always_id: int, by: str) -> None:
    """Have such calls ask again from now on. Raises NoSuchAlways."""
    values = {"id": always_id, "revoked_by": by}
    if not await execute(conn, statement("assistant", "always/revoke"), values):
        raise NoSuchAlways(f"Nothing is always allowed under {always_id}: ./jobs approvals always lists what is")


async def _decide(
    conn: Connection,
    action_id: int,
    by: Decider,
    state: Literal["approved", "rejected", "expired", "superseded"],
    *,
    digest: str,
    reason: str | None = None,
    edited: str | None = None,
) -> Decided:
    found = await find(conn, action_id)
    if not by.may_decide(found):
        raise MayNotDecide(f"{by.id} may not decide about action {action_id}; {', '.join(found.may_decide)} may")
    values = {
        "id": action_id,
        "digest": digest,
        "state": state,
        "by": gate.clean_text(by.id, max_chars=gate.MAX_NAME_CHARS),
        "reason": gate.clean_text(reason, max_chars=MAX_REASON_CHARS) if reason else None,
        "edited_arguments": edited,
        "edited_digest": digest_of(edited) if edited is not None else None,
    }
    async with conn.transaction():
        row = await fetch_one(conn, statement("assistant", "action/decide"), values)
        if row is None:
            raise await _why_not(conn, action_id, digest)
        action = Action(**row)
        told = await emit(conn, action.event, {"state": action.state})
        ready = await action_cards.changed(conn, action)
    metrics.approvals.labels(action.state).inc()
    return Decided(action, (*told.ready, *ready))


async def _why_not(conn: Connection, action_id: int, digest: str) -> NotDecided:
    now = await find(conn, action_id)
    if now.state != "pending":
        by = f" by {now.decided_by}" if now.decided_by else ""
        return NotDecided(f"Action {action_id} is {now.state}{by} already; nothing was changed")
    if now.digest != digest:
        return NotDecided(
            f"Action {action_id} has arguments with the digest {now.digest}, not {digest}: look at it again before you decide"
        )
    return NotDecided(f"The time to decide about action {action_id} is over, or its job has ended; nothing was changed")


async def _allow_always(conn: Connection, action: Action, by: Decider) -> None:
    values = {
        "user_id": action.user_id,
        "agent": action.agent,
        "tool": action.tool,
        "digest": action.digest,
        "arguments": action.arguments,
        "allowed_by": by.id,
    }
    await execute(conn, statement("assistant", "always/allow"), values)


def _checked(edited: dict[str, Any]) -> str:
    """Edited arguments as canonical text."""
    if not isinstance(edited, dict):
        raise InvalidInput(f"arguments: is {type(edited).__name__}, not an object of arguments", field="arguments")
    gate.to_json(edited, field="arguments", max_bytes=MAX_ARGUMENTS_BYTES)
    _check_carried(edited, "arguments")
    return canonical(edited)


def _check_carried(value: Any, place: str) -> None:
    """Refuse what would come to the tool as something else: the CLI between is JavaScript, whose numbers are all doubles."""
    match value:
        case int() if abs(value) > _MAX_WHOLE:
            raise InvalidInput(
                f"{place}: {value} would reach the tool rounded: at most {_MAX_WHOLE}; write it as text", field=place
            )
        case dict():
            for name, inner in value.items():
                if name == "__proto__":
                    raise InvalidInput(f"{place}: {name} is a name that would not reach the tool", field=place)
                _check_carried(inner, f"{place}.{name}")
        case list():
            for index, inner in enumerate(value):
                _check_carried(inner, f"{place}.{index}")
