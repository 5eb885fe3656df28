"""Lanes: list and look at them, hold and release them. A lane's name may hold any character, slashes too."""

from typing import Annotated

from fastapi import Path, Query, Request
from pydantic import BaseModel, ConfigDict, Field

from gateways.web.body import read
from gateways.web.context import Here
from gateways.web.errors import Refused
from gateways.web.parameters import Name
from jobs_core import NotRedriven
from jobs_core import lanes as core


class Page(BaseModel):
    """Which lanes: all that have jobs or are held, or only the held ones; at most `limit`, behind the lane `after`."""

    model_config = ConfigDict(extra="forbid")

    held: bool = False
    limit: int = Field(50, ge=1, le=100)
    after: Name = ""


class NewHold(BaseModel):
    """Why a lane is held, and who asks for it; all who know the token come in by the same door."""

    model_config = ConfigDict(extra="forbid")

    reason: str | None = None
    held_by: Name = "web API"


class How(BaseModel):
    """redrive: do the job that failed again, before all that wait."""

    model_config = ConfigDict(extra="forbid")

    redrive: bool = False


async def listed(context: Here, page: Annotated[Page, Query()]) -> dict[str, list[core.LaneView]]:
    """Lanes in order."""
    async with context.database.connection() as conn:
        return {"lanes": await core.list_lanes(conn, held=page.held, after=page.after, limit=page.limit)}


async def one(context: Here, lane: Annotated[Name, Path()]) -> core.LaneView:
    """One lane, with its first job and why it is held."""
    async with context.database.connection() as conn:
        found = await core.find_lane(conn, lane)
    if found is None:
        raise Refused(
            404, "no_such_lane", f"No job ever stood in a lane {lane!r}: GET /api/lanes lists lanes", field="lane"
        )
    return found


async def hold(request: Request, context: Here, lane: Annotated[Name, Path()]) -> core.LaneView:
    """Hold a lane, used or not: after the answer no job of it begins until it is released."""
    wanted = await read(request, NewHold, if_empty=b"{}")
    async with context.database.connection() as conn:
        return await core.hold(conn, lane, held_by=wanted.held_by, reason=wanted.reason)


async def release(context: Here, lane: Annotated[Name, Path()], how: Annotated[How, Query()]) -> core.Released:
    """Let a held lane go on; 404 where it is not held, 409 where the failed job cannot be redriven as was asked."""
    try:
        async with context.database.connection() as conn:
            released = await core.release(conn, lane, redrive=context.jobs.table if how.redrive else None)
    except NotRedriven as error:
        raise Refused(409, "not_redriven", str(error), field="redrive") from None
    if released is None:
        raise Refused(
            404, "not_held", f"Lane {lane!r} is not held: GET /api/lanes?held=true lists what is", field="lane"
        )
    context.jobs.notifier.wake(released.ready)
    return released
