"""Usage: what agents used and what it cost, added up by whom or what."""

from typing import Annotated

from fastapi import Query
from pydantic import BaseModel, ConfigDict, Field

from gateways.web.caller import Calling
from gateways.web.context import Here
from gateways.web.parameters import Name
from jobs_core.moments import Moment
from sessions.usage import By, totals


class Wanted(BaseModel):
    """What to add up by, and of which runs: those that began from `since` on and before `until`; user_id: for this person."""

    model_config = ConfigDict(extra="forbid")

    by: By = "day"
    since: Moment | None = None
    until: Moment | None = None
    user_id: Name | None = None
    limit: int = Field(100, ge=1, le=1_000)


class Used(BaseModel):
    """What was used under one name: that of a day, a person, a chat … (null: none). As sessions/usage.py has it."""

    name: str | None
    sessions: int
    turns: int
    guessed_price: bool
    calls: int
    estimated_calls: int
    input_tokens: int
    output_tokens: int
    cache_read_tokens: int
    cache_write_tokens: int
    tool_calls: int
    duration_s: float
    cost_usd: float


class Totals(BaseModel):
    """Usage, added up."""

    usage: list[Used]


async def added_up(context: Here, caller: Calling, wanted: Annotated[Wanted, Query()]) -> Totals:
    """The dearest first, days newest first; costs in US dollars by list price. Of everybody, or of one."""
    async with context.database.connection() as conn:
        asked = wanted.model_dump(exclude={"user_id"})
        found = await totals(conn, user_id=caller.about(wanted.user_id), **asked)
    return Totals(usage=[Used(**total.plain()) for total in found])
