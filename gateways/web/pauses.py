"""Pauses: what claims leave alone for now, and until when."""

from datetime import datetime, timedelta
from typing import Annotated

from fastapi import Query, Request
from pydantic import BaseModel, ConfigDict, Field

from gateways.web.body import read
from gateways.web.context import Here
from gateways.web.errors import Refused
from gateways.web.parameters import Name
from jobs_core import InvalidInput
from jobs_core import pauses as core
from jobs_core.moments import Moment

_LONGEST_S = 10 * 365 * 24 * 3600


class Target(BaseModel):
    """A queue, a type, or the type in that queue."""

    model_config = ConfigDict(extra="forbid")

    queue: Name | None = None
    job_type: Name | None = None


class NewPause(Target):
    """A pause to set; it ends when `until`, or `for_s` from now, has come, or with neither by a resume alone.

    set_by: who asks for it; all who know the token come in by the same door.
    """

    until: Moment | None = None
    for_s: float | None = Field(None, gt=0, le=_LONGEST_S)
    reason: str | None = None
    set_by: Name = "web API"

    def end(self) -> datetime | timedelta | None:
        """When it ends. Raises InvalidInput where both are given."""
        if self.until is not None and self.for_s is not None:
            raise InvalidInput("until: for_s is given too; leave one out", field="until")
        return self.until if self.for_s is None else timedelta(seconds=self.for_s)


async def in_force(context: Here) -> dict[str, list[core.Pause]]:
    """The pauses whose time is not over, the oldest first."""
    async with context.database.connection() as conn:
        return {"pauses": await core.pauses(conn)}


async def pause(request: Request, context: Here) -> core.Pause:
    """Pause a queue, a type, or the type in that queue: no claim that begins after the answer takes such a job."""
    wanted = await read(request, NewPause)
    async with context.database.connection() as conn:
        return await core.pause(
            conn,
            queue=wanted.queue,
            job_type=wanted.job_type,
            until=wanted.end(),
            reason=wanted.reason,
            set_by=wanted.set_by,
        )


async def resume(context: Here, target: Annotated[Target, Query()]) -> dict[str, list[core.Pause]]:
    """Lift the pauses of just these, and wake who idles; 404 where they are not paused so."""
    async with context.database.connection() as conn:
        lifted = await core.resume(conn, **target.model_dump())
    if not lifted:
        raise Refused(404, "not_paused", "Just this is not paused: GET /api/pauses lists what is")
    context.jobs.notifier.wake_all()
    return {"resumed": lifted}
