"""Jobs: create, list and look at them; which types there are, and who works."""

from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal

from fastapi import Path, Query, Request, Response
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StrictInt

from gateways.web.body import read
from gateways.web.context import Here
from gateways.web.errors import Refused
from gateways.web.idempotency import IdempotencyKey
from gateways.web.parameters import Id, Name, Page
from jobs_core import HandlerTable, InvalidInput, UnknownJobType, look, notes
from jobs_core.explain import Why
from jobs_core.explain import explain as why
from jobs_core.leases import live_workers
from jobs_core.moments import YEARS, Moment

_LONGEST_WAIT_S = 10 * 365 * 24 * 3600


class Create(BaseModel):
    """A job to create.

    queue, priority, unique_key, unique_while: its type's unless given. It is due now unless one of the scheduled two is given,
    or debounce_s and debounce_at_most_s: then when no create of its unique key has come for the one, or the other has passed.
    """

    model_config = ConfigDict(extra="forbid")

    job_type: Name
    input: dict[str, Any] = Field(default_factory=dict)
    queue: str | None = None
    priority: StrictInt | None = None
    user_id: str | None = None
    task_id: Annotated[StrictInt, Field(ge=1, lt=2**63)] | None = None
    project_id: str | None = None
    scheduled_in_s: float | None = Field(None, ge=0, le=_LONGEST_WAIT_S)
    scheduled_at: AwareDatetime | None = None
    unique_key: str | None = None
    unique_while: Literal["unstarted", "unfinished"] | None = None
    debounce_s: float | None = Field(None, gt=0, le=_LONGEST_WAIT_S)
    debounce_at_most_s: float | None = Field(None, gt=0, le=_LONGEST_WAIT_S)

    def due(self) -> datetime | timedelta | None:
        """When it is due. Raises InvalidInput where both are given, or the time is centuries away."""
        if self.scheduled_in_s is not None and self.scheduled_at is not None:
            raise InvalidInput("scheduled_at: scheduled_in_s is given too; leave one out", field="scheduled_at")
        if self.scheduled_in_s is not None:
            return timedelta(seconds=self.scheduled_in_s)
        if self.scheduled_at is not None and self.scheduled_at.year not in YEARS:
            raise InvalidInput(
                f"scheduled_at: the year is not between {YEARS[0]} and {YEARS[-1]}", field="scheduled_at"
            )
        return self.scheduled_at.astimezone(UTC) if self.scheduled_at else None  # Postgres takes no offset past 15:59


class Created(BaseModel):
    """The job that was created, or, where it was there already by one of its keys, met.

    merged: the job that was met took this input in. due_at: when it starts if this create
    has debounced it, unless a next one puts that off.
    """

    job_id: int
    met: bool
    merged: bool = False
    due_at: datetime | None = None


class Matching(Page):
    """Which jobs: newest first, those that have what is given; since, until: when they ended, or, living, were created."""

    state: Literal["pending", "blocked", "waiting", "claimed", "running", "complete", "failed", "cancelled"] | None = (
        None
    )
    job_type: Name | None = None
    queue: Name | None = None
    user_id: Name | None = None
    lane: Name | None = None
    since: Moment | None = None
    until: Moment | None = None


class KnownType(BaseModel):
    """A job type: where its jobs go, what they take (JSON schema), and how many live workers run them."""

    name: str
    queue: str | None
    priority: int | None
    input_schema: dict[str, Any] | None
    workers: int


async def create(request: Request, response: Response, context: Here, idempotency_key: IdempotencyKey) -> Created:
    """Create a job: 201, or 200 where one was met."""
    wanted = await read(request, Create)
    created = await context.jobs.create(
        wanted.job_type,
        wanted.input,
        user_id=wanted.user_id,
        task_id=wanted.task_id,
        project_id=wanted.project_id,
        queue=wanted.queue,
        priority=wanted.priority,
        scheduled_for=wanted.due(),
        idempotency_key=idempotency_key,
        unique_key=wanted.unique_key,
        unique_while=wanted.unique_while,
        debounce=_span(wanted.debounce_s),
        debounce_at_most=_span(wanted.debounce_at_most_s),
    )
    if created.met:
        response.status_code = 200
    job_id = created.id
    return Created(job_id=job_id, met=bool(created.met), merged=bool(created.merged), due_at=created.due.get(job_id))


def _span(seconds: float | None) -> timedelta | None:
    return None if seconds is None else timedelta(seconds=seconds)


async def newest(context: Here, matching: Annotated[Matching, Query()]) -> dict[str, list[look.JobSummary]]:
    """The newest jobs, living and ended, without input and result: a page of those could be a hundred megabytes."""
    async with context.database.connection() as conn:
        return {"jobs": await look.newest(conn, **matching.model_dump())}


async def one(context: Here, job_id: Annotated[Id, Path()]) -> dict[str, Any]:
    """One job, living or ended, with its attempts that did not complete, and the last of what its runs have said."""
    async with context.database.connection() as conn:
        job = await look.find(conn, job_id)
        if job is None:
            raise Refused(404, "no_such_job", f"There is no job {job_id}", field="job_id")
        said = await notes.newest(conn, job_id, job.created_at)
        return {**asdict(job), "attempts": await look.attempts_of(conn, job), **said._asdict()}


async def explain(context: Here, job_id: Annotated[Id, Path()]) -> dict[str, list[Why]]:
    """Why it does not run, the nearest reason first; or that it does, or how it ended."""
    async with context.database.connection() as conn:
        reasons = await why(conn, job_id)
    if reasons is None:
        raise Refused(404, "no_such_job", f"There is no job {job_id}", field="job_id")
    return {"reasons": reasons}


async def job_types(context: Here) -> dict[str, list[KnownType]]:
    """The types that somebody runs: those bound in this program, and those that live workers name."""
    async with context.database.connection() as conn:
        workers = await live_workers(conn)
    served = [name for worker in workers for name in worker["job_types"]]
    names = sorted({*context.jobs.table.runnable, *served})
    return {"job_types": [_known_type(context.jobs.table, name, served.count(name)) for name in names]}


def _known_type(table: HandlerTable, name: str, workers: int) -> KnownType:
    try:
        known = table.job_type(name)
    except UnknownJobType:  # newer code than this door's runs it
        return KnownType(name=name, queue=None, priority=None, input_schema=None, workers=workers)
    schema = known.Input.model_json_schema()
    return KnownType(name=name, queue=known.queue, priority=known.priority, input_schema=schema, workers=workers)


async def workers(context: Here) -> dict[str, list[dict[str, Any]]]:
    """The live workers, oldest first."""
    async with context.database.connection() as conn:
        return {"workers": await live_workers(conn)}
