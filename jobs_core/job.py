"""A job as a run sees it, and the fence that every write of the run begins with."""

import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from pydantic import BaseModel

from jobs_core import db
from jobs_core.errors import JobsError, LeaseLost
from jobs_core.statements import statement

if TYPE_CHECKING:
    from jobs_core.new_job import NewJob
    from jobs_core.notes import Notebook
    from jobs_core.steps import Child, Policy, Steps

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
    def parent_id(self) -> int | None: ...
    @property
    def limited(self) -> bool: ...


@dataclass(frozen=True, slots=True)
class ClaimNumbers:
    """A claim known by its numbers alone: of a job that another worker held."""

    id: int
    token: int
    lane: str | None
    parent_id: int | None
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
    parent_id: int | None = None
    limited: bool = False
    cancelled: bool = False
    """Whether somebody wants it ended. An async handler is cancelled then; one that runs in a thread should look here."""
    steps_of: "Callable[[AnyJob], Steps] | None" = field(default=None, repr=False, compare=False)
    """Who runs it sets this."""
    notes_of: "Callable[[AnyJob], Notebook] | None" = field(default=None, repr=False, compare=False)
    """Likewise."""
    moved_s: float = field(default=0.0, repr=False, compare=False)
    """When its run last gave a sign of life, a step, a wait, progress or a line, by the monotonic clock; 0: not yet."""
    notes: "Notebook | None" = field(default=None, repr=False, compare=False)
    """What its run has said; None: nothing so far."""
    _steps: "Steps | None" = field(default=None, repr=False, compare=False)

    def step(self, name: str, fn: Callable[[], Any], *, on_unknown: "Policy" = "again") -> Awaitable[Any]:
        """Do something once, however often the job is run: what `fn`, plain or async, returns is recorded, as JSON.

        A later run gets the recorded output (with lists for tuples) and `fn` is not called. What `fn` raises is raised, and
        nothing is recorded. on_unknown: what to do where an earlier run was lost in the middle: `again` does it again, `fail`
        raises StepUnknown, `ask` waits until `./jobs emit step:ID:NAME` says '{"again": true}' or '{"output": …}'; these two
        cost one more write before. Raises LeaseLost, and InvalidInput for a second step of that name.
        """
        return self._durable().step(name, fn, on_unknown=on_unknown)

    def sleep(self, until: datetime | timedelta) -> Awaitable[None]:
        """Go on at that time, or after that span; the run ends meanwhile and the handler starts at its top."""
        return self._durable().sleep(until)

    def wait_for(self, event: str, *, timeout: datetime | timedelta | None = None) -> Awaitable[Any]:
        """The payload of an event, emitted before or after; the run ends meanwhile. Raises WaitTimedOut, in later runs too."""
        return self._durable().wait_for(event, timeout)

    def spawn(self, name: str, child: "NewJob") -> Awaitable[int]:
        """Create a child, once, as the step of that name; returns its id. It is for the same user, task and project.

        Its end is told to this job (`wait_for_children`), and to cancel this job cancels it.
        """
        return self._durable().spawn(name, child)

    def wait_for_children(self) -> "Awaitable[Sequence[Child]]":
        """How all that were spawned ended, in the order of their ids; the run ends until the last one has."""
        return self._durable().wait_for_children()

    @property
    def has_steps(self) -> bool:
        """Whether this run has used any verb of these."""
        return self._steps is not None

    def progress(self, done: float | Mapping[str, Any], *, text: str = "") -> None:
        """Say how far the run is: a share from 0 to 1, or what says it better, as JSON of 4 KiB at most; the last one counts.

        Of several within half a second the last is kept. It neither blocks nor raises, in any thread, and is written soon; what
        a worker has said in its last half second dies with it. Where no worker runs the job nothing is kept.
        """
        self.moved_s = time.monotonic()
        if notes := self._notebook():
            notes.progress(done, text)

    def log(self, text: str, /, **data: Any) -> None:
        """Add a line to the job's log: text, cut at 2,000 characters, and JSON of 4 KiB at most. Otherwise as `progress`.

        A job keeps its last 1,000 lines, of all its runs. Whoever may see the job reads them: no secrets.
        """
        self.moved_s = time.monotonic()
        if notes := self._notebook():
            notes.log(text, data)

    def _notebook(self) -> "Notebook | None":
        if self.notes is None and self.notes_of is not None:
            self.notes = self.notes_of(self)
        return self.notes

    def _durable(self) -> "Steps":
        self.moved_s = time.monotonic()
        if self._steps is None:
            if self.steps_of is None:
                raise JobsError(f"job {self.id}: steps and waits need the run of an async handler")
            self._steps = self.steps_of(self)
        return self._steps


AnyJob = Job[Any]

current: ContextVar[AnyJob] = ContextVar("current_job")
"""The job that this code runs for: logs are named by it, and tools read their user from it, never from arguments."""


async def fence(conn: db.Connection, job: AnyJob) -> None:
    """Begin a transaction that writes for this run: nobody can take the job over until it ends.

    Raises LeaseLost where somebody has: roll back, stop the run, write nothing.
    """
    if await db.fetch_one(conn, statement("jobs_core", "job/fence"), {"id": job.id, "token": job.token}) is None:
        raise LeaseLost(f"job {job.id}: token {job.token} is no longer the job's")


async def still_held(conn: db.Connection, claims: Sequence[tuple[int, int]]) -> set[int]:
    """The tokens of those claims, each a job's id and a token, that hold their job; the others never will again."""
    values = {"ids": [job_id for job_id, _ in claims], "tokens": [token for _, token in claims]}
    return {row["token"] for row in await db.fetch(conn, statement("jobs_core", "job/held"), values)}
