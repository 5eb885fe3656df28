"""Tool calls that wait for a person: list and look at them, decide about one, revoke what is always allowed.

A decision is a POST whose body names the digest of the arguments that its person was shown: no link, preview or picture
decides, and nothing that was swapped since. A person decides as who they are, and sees what they may decide, an owner all.
All who know the operator's token come in by the same door, as an owner; `decided_by` is their word for who they are.
"""

from typing import Annotated, Any, Literal

from fastapi import Path, Query, Request
from pydantic import BaseModel, ConfigDict

from assistant import actions, approvals
from assistant.action import OPEN, Action, State
from assistant.closing import close
from gateways.web.body import read
from gateways.web.caller import Caller, Calling
from gateways.web.context import Here
from gateways.web.errors import Refused
from gateways.web.parameters import Id, Name
from gateways.web.parameters import Page as Part
from jobs_core import Connection, InvalidInput


class Page(Part):
    """Which actions: of one state, or `open` (whatever somebody should look at), or `all`."""

    state: Literal["open", "all", State] = "open"


class Decision(BaseModel):
    """What is decided. digest: of the arguments that the person was shown. arguments: to run it with instead.

    ran, not-run: of a call of which nobody knew. decided_by: only with the operator's token.
    """

    model_config = ConfigDict(extra="forbid")

    decision: Literal["approve", "reject", "expire", "ran", "not-run"]
    digest: Name
    arguments: dict[str, Any] | None = None
    reason: str | None = None
    always: bool = False
    decided_by: Name | None = None


class Approvals(BaseModel):
    """Actions, newest first; page on with the last one's id as `before_id`."""

    approvals: list[Action]


class Allowed(BaseModel):
    """Calls that run unasked."""

    always: list[approvals.Always]


class Revoked(BaseModel):
    """Which one was revoked."""

    revoked: int


async def listed(context: Here, caller: Calling, page: Annotated[Page, Query()]) -> Approvals:
    """Actions, newest first."""
    states = {"open": OPEN, "all": None}.get(page.state, (page.state,))
    async with context.database.connection() as conn:
        found = await actions.list_actions(
            conn,
            states=states,  # type: ignore[arg-type]  # one of the states
            decided_by=None if caller.is_owner else list(_decider(caller).names),
            limit=page.limit,
            before_id=page.before_id,
        )
    return Approvals(approvals=found)


async def one(context: Here, caller: Calling, action_id: Annotated[Id, Path()]) -> Action:
    """One action, with the arguments it was asked with, and those that it was approved with."""
    async with context.database.connection() as conn:
        return await _theirs(conn, caller, action_id)


async def decide(request: Request, context: Here, caller: Calling, action_id: Annotated[Id, Path()]) -> Action:
    """Decide, once: 409 where it was decided before, is over, or has arguments with another digest."""
    wanted = await read(request, Decision)
    if wanted.decision != "approve" and (wanted.arguments is not None or wanted.always):
        raise InvalidInput("arguments, always: go with approve only", field="decision")
    if wanted.always and not caller.is_owner:
        raise Refused(403, "owners_only", "Only owners allow a call for good; decide about this one", field="always")
    by = _decider(caller, wanted.decided_by)
    async with context.database.connection() as conn:
        await _theirs(conn, caller, action_id)
        match wanted.decision:
            case "approve":
                decided = await approvals.approve(
                    conn,
                    action_id,
                    by,
                    digest=wanted.digest,
                    edited=wanted.arguments,
                    reason=wanted.reason,
                    always=wanted.always,
                )
            case "reject":
                decided = await approvals.reject(conn, action_id, by, digest=wanted.digest, reason=wanted.reason)
            case "expire":
                decided = await approvals.expire(conn, action_id, by, digest=wanted.digest)
            case "ran" | "not-run" as how:
                return await close(conn, action_id, by, ran=how == "ran", digest=wanted.digest, reason=wanted.reason)
    context.jobs.notifier.wake(decided.ready)
    return decided.action


async def always(context: Here, page: Annotated[Part, Query()]) -> Allowed:
    """What runs without being asked about, each with its exact arguments."""
    async with context.database.connection() as conn:
        return Allowed(always=await approvals.list_always(conn, limit=page.limit, before_id=page.before_id))


async def revoke(context: Here, caller: Calling, always_id: Annotated[Id, Path()]) -> Revoked:
    """Have such calls ask again."""
    async with context.database.connection() as conn:
        await approvals.revoke_always(conn, always_id, _decider(caller).id)
    return Revoked(revoked=always_id)


def _decider(caller: Caller, says: str | None = None) -> approvals.Decider:
    """Who decides. Raises Refused where a person says that they are somebody."""
    if caller.user_id is None:
        return approvals.Decider(says or "web API", "owner")
    if says not in {None, caller.user_id}:
        raise Refused(403, "not_yours", "decided_by: is whose token it is; leave it out", field="decided_by")
    return approvals.Decider(caller.user_id, "owner" if caller.is_owner else "external")


async def _theirs(conn: Connection, caller: Caller, action_id: int) -> Action:
    """An action that the caller may see. Raises NoSuchAction for any other."""
    found = await actions.find(conn, action_id)
    if not (caller.is_owner or _decider(caller).may_decide(found)):
        raise actions.no_such(action_id)
    return found
