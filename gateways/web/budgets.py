"""Budgets: list and look at them, set, raise and remove caps. A scope may hold any character, slashes too."""

from decimal import Decimal
from typing import Annotated, Any

from fastapi import Path, Request
from pydantic import BaseModel, ConfigDict, StrictFloat, StrictInt

from gateways.web.body import read
from gateways.web.context import Context, Here
from gateways.web.errors import Refused
from gateways.web.parameters import Name
from jobs_core.wake import Ready
from sessions.budgets import Scope
from sessions.caps import Period, list_budgets, parse_scope, raise_cap, remove_cap, set_cap, shown

_SET_BY = "web API"

ScopePath = Annotated[Name, Path()]


class Put(BaseModel):
    """A cap in US dollars, null for none; period: day, month or once, where the scope has a choice."""

    model_config = ConfigDict(extra="forbid")

    cap_usd: StrictFloat | StrictInt | None
    period: Period | None = None


class Raise(BaseModel):
    """How much more, in this period or, `for_good`, in each; period: which of its caps, where it has several."""

    model_config = ConfigDict(extra="forbid")

    by_usd: StrictFloat | StrictInt
    for_good: bool = False
    period: Period | None = None


async def listed(context: Here) -> dict[str, list[dict[str, Any]]]:
    """All caps, and all that jobs wait for."""
    async with context.database.connection() as conn:
        return {"budgets": [shown(budget) for budget in await list_budgets(conn)]}


async def one(context: Here, scope: ScopePath) -> dict[str, list[dict[str, Any]]]:
    """What concerns one scope; 404 where nothing does."""
    found = await _about(context, parse_scope(scope))
    if not found["budgets"]:
        raise _no_such(scope)
    return found


async def put(request: Request, context: Here, scope: ScopePath) -> dict[str, list[dict[str, Any]]]:
    """Set a cap, whether or not there is one; who waits and may go on does."""
    wanted, chosen = await read(request, Put), parse_scope(scope)
    cap = None if wanted.cap_usd is None else Decimal(str(wanted.cap_usd))
    async with context.database.transaction() as conn:
        ready = await set_cap(conn, chosen, cap, period=wanted.period, set_by=_SET_BY)
    return await _changed(context, chosen, ready)


async def raised(request: Request, context: Here, scope: ScopePath) -> dict[str, list[dict[str, Any]]]:
    """Approve more; who waits for it goes on."""
    wanted, chosen = await read(request, Raise), parse_scope(scope)
    by_usd = Decimal(str(wanted.by_usd))
    async with context.database.transaction() as conn:
        ready = await raise_cap(conn, chosen, by_usd, period=wanted.period, for_good=wanted.for_good, set_by=_SET_BY)
    return await _changed(context, chosen, ready)


async def remove(context: Here, scope: ScopePath, period: Period | None = None) -> dict[str, str]:
    """Remove a cap; 404 where there is none."""
    async with context.database.transaction() as conn:
        ready = await remove_cap(conn, parse_scope(scope), period=period)
    if ready is None:
        raise _no_such(scope)
    context.jobs.notifier.wake(ready)
    return {"removed": scope}


async def _about(context: Context, scope: Scope) -> dict[str, list[dict[str, Any]]]:
    async with context.database.connection() as conn:
        return {"budgets": [shown(budget) for budget in await list_budgets(conn, scope)]}


async def _changed(context: Context, scope: Scope, ready: set[Ready]) -> dict[str, list[dict[str, Any]]]:
    context.jobs.notifier.wake(ready)
    return await _about(context, scope)


def _no_such(scope: str) -> Refused:
    message = f"{scope} has no such cap and has spent nothing under one: GET /api/budgets lists caps"
    return Refused(404, "no_such_budget", message, field="scope")
