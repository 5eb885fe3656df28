"""Tool calls that wait for a person: list and look at them, decide about one, revoke what is always allowed.

A decision is a POST whose body names the digest of the arguments that its person was shown: no link, preview or picture
decides, and nothing that was swapped since. All who know the token come in by the same door, as an owner; `decided_by` is their
word for who they are.
"""

from typing import Annotated, Any, Literal

from fastapi import Path, Query, Request
from pydantic import BaseModel, ConfigDict

from assistant import actions, approvals
from assistant.action import OPEN, Action, State
from assistant.closing import close
from gateways.web.body import read
from gateways.web.context import Here
from gateways.web.parameters import Id, Name
from gateways.web.parameters import Page as Part
from jobs_core import InvalidInput


class Page(Part):
    """Which actions: of one state, or `open` (whatever somebody should look at), or `all`."""

    state: Literal["open", "all", State] = "open"


class Decision(BaseModel):
    """What is decided. digest: of the arguments that the person was shown. arguments: to run it with instead.

    ran, not-run: of a call of which nobody knew.
    """

    model_config = ConfigDict(extra="forbid")

    decision: Literal["approve", "reject", "expire", "ran", "not-run"]
    digest: Name
    arguments: dict[str, Any] | None = None
    reason: str | None = None
    always: bool = False
    decided_by: Name = "web API"


async def listed(context: Here, page: Annotated[Page, Query()]) -> dict[str, list[Action]]:
    """Actions, newest first."""
    states = {"open": OPEN, "all": None}.get(page.state, (page.state,))
    async with context.database.connection() as conn:
        found = await actions.list_actions(conn, states=states, limit=page.limit, before_id=page.before_id)  # type: ignore[arg-type]  # one of the states
    return {"approvals": found}


async def one(context: Here, action_id: Annotated[Id, Path()]) -> Action:
    """One action, with the arguments it was asked with, and those that it was approved with."""
    async with context.database.connection() as conn:
        return await actions.find(conn, action_id)


async def decide(request: Request, context: Here, action_id: Annotated[Id, Path()]) -> Action:
    """Decide, once: 409 where it was decided before, is over, or has arguments with another digest."""
    wanted = await read(request, Decision)
    if wanted.decision != "approve" and (wanted.arguments is not None or wanted.always):
        raise InvalidInput("arguments, always: go with approve only", field="decision")
    by = approvals.Decider(wanted.decided_by, "owner")
    async with context.database.connection() as conn:
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


async def always(context: Here, page: Annotated[Part, Query()]) -> dict[str, list[approvals.Always]]:
    """What runs without being asked about, each with its exact arguments."""
    async with context.database.connection() as conn:
        return {"always": await approvals.list_always(conn, limit=page.limit, before_id=page.before_id)}


async def revoke(context: Here, always_id: Annotated[Id, Path()]) -> dict[str, int]:
    """Have such calls ask again."""
    async with context.database.connection() as conn:
        await approvals.revoke_always(conn, always_id, "web API")
    return {"revoked": always_id}
