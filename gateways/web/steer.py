"""Steering jobs that are there: cancel one, tell an event that some wait for."""

from typing import Annotated, Any

from fastapi import Path, Request
from pydantic import BaseModel, ConfigDict

from gateways.web.body import read
from gateways.web.context import Here
from gateways.web.errors import Refused
from gateways.web.parameters import Id, Name


class Reason(BaseModel):
    """Why; it becomes the job's error."""

    model_config = ConfigDict(extra="forbid")

    reason: str | None = None


class Cancelled(BaseModel):
    """The jobs, children included, that are over now, and those whose runs were asked to end."""

    ended: list[int]
    asked: list[int]


class Payload(BaseModel):
    """What whoever waits is given."""

    model_config = ConfigDict(extra="forbid")

    payload: Any = None


class Emitted(BaseModel):
    """False: the event was emitted before, and nothing changed."""

    first: bool


async def cancel(request: Request, context: Here, job_id: Annotated[Id, Path()]) -> Cancelled:
    """End a job and its children; 404 where no such job lives."""
    wanted = await read(request, Reason, if_empty=b"{}")
    cancelled = await context.jobs.cancel(job_id, reason=wanted.reason)
    if cancelled is None:
        raise Refused(404, "no_such_job", f"Job {job_id} has ended, or was never there", field="job_id")
    return Cancelled(ended=sorted(cancelled.ended), asked=sorted(cancelled.asked))


async def emit(request: Request, context: Here, event: Annotated[Name, Path()]) -> Emitted:
    """Tell an event, once."""
    told = await read(request, Payload, if_empty=b"{}")
    return Emitted(first=await context.jobs.emit(event, told.payload))
