"""Limits: list and look at them, set and remove them. A key may hold any character, slashes too."""

from typing import Annotated

from fastapi import Path, Query, Request
from pydantic import BaseModel, ConfigDict, Field, StrictFloat, StrictInt

from gateways.web.body import read
from gateways.web.context import Here
from gateways.web.errors import Refused
from gateways.web.parameters import Name
from jobs_core import Limit, LimitInUse
from jobs_core.limits import LimitView, find_limit, list_limits, remove_limit, set_limit


class Put(BaseModel):
    """A key's numbers; what is not given is not limited, and one of slots and rate_per_s must be."""

    model_config = ConfigDict(extra="forbid")

    slots: StrictInt | None = None
    rate_per_s: StrictFloat | StrictInt | None = None
    burst: StrictFloat | StrictInt | None = None


class Page(BaseModel):
    """Which part of the list: at most `limit`, behind the key `after`."""

    model_config = ConfigDict(extra="forbid")

    limit: int = Field(50, ge=1, le=100)
    after: Name = ""


async def listed(context: Here, page: Annotated[Page, Query()]) -> dict[str, list[LimitView]]:
    """Keys in order."""
    async with context.database.connection() as conn:
        return {"limits": await list_limits(conn, after=page.after, limit=page.limit)}


async def one(context: Here, key: Annotated[Name, Path()]) -> LimitView:
    """One key, and the jobs that hold its slots."""
    async with context.database.connection() as conn:
        found = await find_limit(conn, key)
    if found is None:
        raise _no_such(key)
    return found


async def put(request: Request, context: Here, key: Annotated[Name, Path()]) -> LimitView:
    """Set a key's numbers, whether or not it is there."""
    wanted = await read(request, Put)
    limit = Limit(key, slots=wanted.slots, rate_per_s=wanted.rate_per_s, burst=wanted.burst)
    async with context.database.connection() as conn:
        waiting = await set_limit(conn, limit)
        found = await find_limit(conn, key)
    context.jobs.notifier.wake(waiting)
    if found is None:  # somebody removed it in between
        raise _no_such(key)
    return found


async def remove(context: Here, key: Annotated[Name, Path()]) -> dict[str, str]:
    """Remove a key: its next job makes it anew, with the numbers of its type."""
    try:
        async with context.database.connection() as conn:
            waiting = await remove_limit(conn, key)
    except LimitInUse as error:
        raise Refused(409, "limit_in_use", str(error), field="key") from None
    if waiting is None:
        raise _no_such(key)
    context.jobs.notifier.wake(waiting)
    return {"removed": key}


def _no_such(key: str) -> Refused:
    return Refused(404, "no_such_limit", f"There is no limit {key!r}: GET /api/limits lists them", field="key")
