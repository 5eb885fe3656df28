"""A job as a run sees it, and the fence that every write of the run begins with."""

from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, Protocol, TypeVar

from pydantic import BaseModel

from jobs_core import db
from jobs_core.errors import LeaseLost
from jobs_core.statements import statement

InputT = TypeVar("InputT", bound=BaseModel)


class Claim(Protocol):
    """What a settle needs to know of a claim."""

    @property
    def id(self) -> int: ...
    @property
    def token(self) -> int: ...
    @property
    def lane(self) -> str | None: ...
    @property
    def limited(self) -> bool: ...


@dataclass(frozen=True, slots=True)
class ClaimNumbers:
    """A claim known by its numbers alone: of a job that another worker held."""

    id: int
    token: int
    lane: str | None
    limited: bool


@dataclass(slots=True)
class Job(Generic[InputT]):
    """One claimed job. `token` is the claim's: it grows with every claim and is what all writes are fenced by.

    `input` is JSON text as it was stored until the run has fitted it to its type. `limited`: it may hold slots of limits, which
    its settle frees. Handlers change nothing here.
    """

    id: int
    job_type: str
    queue: str
    priority: int
    input: InputT
    user_id: str | None
    task_id: int | None
    project_id: str | None
    lane: str | None
    token: int
    retry_count: int
    lost_count: int
    rescued: bool
    created_at: datetime
    claimed_at: datetime
    give_up_at: datetime
    ready_seq: int
    limited: bool = False


AnyJob = Job[Any]

current: ContextVar[AnyJob] = ContextVar("current_job")
"""The job that this code runs for: logs are named by it, and tools read their user from it, never from arguments."""


async def fence(conn: db.Connection, job: AnyJob) -> None:
    """Begin a transaction that writes for this run: nobody can take the job over until it ends.

    Raises LeaseLost where somebody has: roll back, stop the run, write nothing.
    """
    if await db.fetch_one(conn, statement("jobs_core", "job/fence"), {"id": job.id, "token": job.token}) is None:
        raise LeaseLost(f"job {job.id}: token {job.token} is no longer the job's")
