"""Redrive: what failed is done again by new jobs; unless told otherwise, only what that would come to."""

from contextlib import aclosing
from dataclasses import asdict
from typing import Annotated, Any

import structlog
from fastapi import Request
from pydantic import BaseModel, ConfigDict, Field, StrictBool

from gateways.web.body import read
from gateways.web.context import Context, Here
from gateways.web.parameters import Id, Name
from jobs_core import InvalidInput
from jobs_core.dead_letters import DEAD, Letters, Place, preview
from jobs_core.moments import Moment
from jobs_core.redrive import redrive as redriven_in_batches

log = structlog.get_logger()


class After(BaseModel):
    """The dead letter to go on behind, as `next` of an answer tells it."""

    model_config = ConfigDict(extra="forbid")

    ended_at: Moment
    id: Id


class Redrive(BaseModel):
    """Which dead letters, and whether to redrive them; with ids no filter. limit: about how many to look at in one request."""

    model_config = ConfigDict(extra="forbid")

    ids: Annotated[list[Id], Field(min_length=1, max_length=1000)] | None = None
    job_type: Name | None = None
    queue: Name | None = None
    user_id: Name | None = None
    lane: Name | None = None
    since: Moment | None = None
    until: Moment | None = None
    cancelled: StrictBool = False
    again: StrictBool = False
    dry_run: StrictBool = True
    limit: Annotated[int, Field(ge=1, le=1000)] = 100
    after: After | None = None

    def letters(self) -> Letters:
        """Those that are meant. Raises InvalidInput where ids and filters are given, or neither, for a redrive."""
        filters = {name: getattr(self, name) for name in ("job_type", "queue", "user_id", "lane", "since", "until")}
        filtered = any(value is not None for value in filters.values())
        if self.ids is not None and (filtered or self.after):
            raise InvalidInput("ids: filters or `after` are given too; leave one out", field="ids")
        if not (self.dry_run or self.ids or filtered):
            raise InvalidInput("ids: give these, or a filter: this would redrive all that failed", field="ids")
        ids = tuple(self.ids) if self.ids else None
        return Letters(states=DEAD if self.cancelled else DEAD[:1], **filters, ids=ids, again=self.again)


async def redrive(request: Request, context: Here) -> dict[str, Any]:
    """Tell what a redrive would come to, or, with dry_run false, redrive up to a limit and tell where the next one goes on."""
    wanted = await read(request, Redrive)
    letters = wanted.letters()
    if not wanted.dry_run:
        return {"dry_run": False, **await _go(context, wanted, letters)}
    async with context.database.connection() as conn:
        found = await preview(conn, letters)
    return {"dry_run": True, "jobs": found.n, "redriven_before": found.redriven, **asdict(found)}


async def _go(context: Context, wanted: Redrive, letters: Letters) -> dict[str, Any]:
    """`next` holds the fields to send beside the same others, or is null: there are no more."""
    after = Place(wanted.after.ended_at, wanted.after.id) if wanted.after else None
    most = len(letters.ids) if letters.ids is not None else wanted.limit
    redriven, left, next_ = dict[int, int](), list[dict[str, Any]](), None
    async with (
        context.database.connection() as conn,
        aclosing(redriven_in_batches(conn, context.jobs.table, letters, limit=most, after=after)) as batches,
    ):
        async for batch in batches:
            context.jobs.notifier.wake(batch.ready)
            redriven |= batch.redriven
            left += map(asdict, batch.left)
            if len(redriven) + len(left) >= most and letters.ids is None and batch.last:
                next_ = {"until": batch.until, "after": batch.last._asdict()}
                break
    log.info("jobs.redriven", jobs=len(redriven), left=len(left))
    return {
        "redriven": [{"job_id": new, "retry_of": old} for old, new in redriven.items()],
        "left": left,
        "next": next_,
    }
