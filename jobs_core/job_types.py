"""Job types: what a producer must know of a kind of work, and the table of those a process knows.

A `JobType` is declared in the lowest room that creates such jobs; `cli` binds handlers to types in a `HandlerTable`.
"""

import inspect
import random
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Generic, Literal, TypeVar, get_args

from pydantic import BaseModel

from jobs_core.errors import UnknownJobType
from jobs_core.limit import Limit

InputT = TypeVar("InputT", bound=BaseModel)

FIRST_RETRY_S = 30.0
LAST_RETRY_S = 15 * 60.0
DEFAULT_QUEUE = "default"
DEFAULT_PRIORITY = 2
"""Priority classes are 0 (first) to 4 (last)."""
PRIORITIES = range(5)
GIVE_UP_AFTER = timedelta(hours=24)
LONGEST_STICKY = timedelta(minutes=1)
LONGEST_DELAY = timedelta(days=36_500)
"""Nothing is due later: Postgres holds times that Python cannot read."""
SHORTEST_AGEING, LONGEST_AGEING = timedelta(seconds=1), timedelta(days=1)
"""Of a class: upkeep looks once a second at most, and knows how far readiness numbers had come for two days (ageing.py)."""

Retention = Literal["none", "short", "standard", "long"]

UniqueWhile = Literal["unstarted", "unfinished"]
UNIQUE_WHILE: tuple[UniqueWhile, ...] = get_args(UniqueWhile)
"""How long a job holds its unique key: until its first claim, or until it ends."""


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often a type is retried and how long it waits: 30 s × 2^(n−1) before the n-th retry, at most 15 min."""

    max_retries: int = 5
    first_s: float = FIRST_RETRY_S
    last_s: float = LAST_RETRY_S
    never_for: tuple[type[Exception], ...] = ()
    """Exceptions after which no retry will help: the job fails at once."""
    by_exception: Mapping[type[Exception], "RetryPolicy"] = field(default_factory=dict, hash=False)
    """Another policy after these; of several that fit, the first. All of a job's retries count for each."""

    def after(self, error: BaseException) -> "RetryPolicy | None":
        """The policy after this exception; None: no retry will help."""
        if isinstance(error, self.never_for):
            return None
        return next((policy for kind, policy in self.by_exception.items() if isinstance(error, kind)), self)

    def delay_s(self, retry: int) -> float:
        """Seconds before the `retry`-th retry (from 1): the backoff, less up to a tenth so that a crowd spreads."""
        backoff = min(self.first_s * 2.0 ** min(retry - 1, 30), self.last_s)
        return backoff * random.uniform(0.9, 1.0)  # noqa: S311 - spreads a crowd; nothing secret


@dataclass(frozen=True, slots=True)
class JobType(Generic[InputT]):
    """One kind of work.

    name: as in `jobs.job_type`. Input, Result: the pydantic models of what goes in and comes out.
    queue, priority: where its jobs go unless their creator says otherwise.
    lane: names the lane a job belongs to, from its input; None for no lane.
    holds_lane: a job that failed holds its lane: those behind it wait until somebody releases it (lanes.py).
    brief: no outside effects and done in milliseconds: its first run is not marked `running`, workers claim many ahead, and one
        task runs many of them: a handler that keeps its task to cancel it later would hit another job.
    give_up_after: how long after its first claim a job may still be put back by its own runs (429s for ever end somewhere).
    retention: how long ended jobs stay in history; `none`: complete ones are only counted, failed ones stay as `short`.
    unique_key: names the key that one job at a time holds, from its input, unless its creator gives one; None for no key.
    unique_while: how long a job holds it: `unstarted`, until its first claim, or `unfinished`, until it ends.
    merge: what the input of a job becomes that was not claimed yet, when a create meets it by its unique key: from the old one
        and the create's. It is called with the job's row locked, on the event loop: let it be quick, and ask nothing outside.
        What it raises refuses the create. Such keys are held while `unstarted`: what a run has read can no longer be merged.
        None: a debounced create replaces the input, others leave it.
    idempotency_for: how long an idempotency key stands for the job that it was first given to, ended or not.
    limits: names the keys that bound how many such jobs run at once, or how often, from its input; none: nothing does.
    fair_by: whose a job is: `"user_id"` or `"project_id"`, as its creator says, or a name made of its input (None: nobody's).
        Jobs of one type, queue and class then go round by that name instead of by arrival. Not given: they do not.
    ageing: a ready job goes up one priority class for each such span that it waits, from a second to a day; None: never.
    sticky_key: names what a worker has at hand after a run, from its input: a session, a checkout. A job of that key would
        rather run on the worker that ran the last one, and waits for it for up to sticky_for (sticky.py); None: anywhere.
    suspected: after a run that was lost with its worker the next one is alone in a process (suspects.py). False: it is run
        where any is, for types that only a certain process can run; their handlers look at `lost_count`.
    timeout: how long a run may take. progress_timeout: how long it may take from one step, line of its log or word of its
        progress to the next; None for as long as it likes. Either ends the run of an async handler as a counted `timeout`; a
        thread cannot be stopped.
    """

    name: str
    Input: type[InputT]
    Result: type[BaseModel] | None = None
    queue: str = DEFAULT_QUEUE
    priority: int = DEFAULT_PRIORITY
    lane: Callable[[InputT], str] | None = None
    holds_lane: bool = False
    retries: RetryPolicy = field(default_factory=RetryPolicy)
    timeout: timedelta = timedelta(hours=1)
    progress_timeout: timedelta | None = None
    brief: bool = False
    give_up_after: timedelta = GIVE_UP_AFTER
    retention: Retention = "standard"
    unique_key: Callable[[InputT], str | None] | None = None
    unique_while: UniqueWhile = "unfinished"
    merge: Callable[[InputT, InputT], InputT] | None = None
    idempotency_for: timedelta = timedelta(days=7)
    limits: Callable[[InputT], Sequence[Limit]] | None = None
    sticky_key: Callable[[InputT], str | None] | None = None
    sticky_for: timedelta = timedelta(seconds=2)
    fair_by: Literal["user_id", "project_id"] | Callable[[InputT], str | None] | None = None
    ageing: timedelta | None = None
    suspected: bool = True

    @property
    def waits_apart(self) -> bool:
        """Whether its jobs wait for limits or turns, and are claimed by a statement of their own (claim_limited.py)."""
        return self.limits is not None or self.fair_by is not None

    def __post_init__(self) -> None:
        if self.merge is not None and self.unique_while != "unstarted":
            raise ValueError(f"job type {self.name!r} has a merge: give it unique_while='unstarted' as well")


Handler = Callable[[Any], Awaitable[Any]] | Callable[[Any], Any]


class HandlerTable:
    """The job types a process knows, and the code bound to them."""

    def __init__(self) -> None:
        self._types: dict[str, JobType[Any]] = {}
        self._handlers: dict[str, Handler] = {}
        self._async = set[str]()

    def declare(self, job_type: JobType[Any]) -> None:
        """Make a type known without code for it: its jobs can be created here, not run.

        Raises ValueError where another type of that name is known, or what it says of itself does not fit.
        """
        _check(job_type)
        if self._types.setdefault(job_type.name, job_type) is not job_type:
            raise ValueError(f"two job types are called {job_type.name!r}: rename one")

    def register_handler(self, job_type: JobType[Any] | str, handler: Handler) -> None:
        """Bind the code for a type: an async function of the job, or a plain one, which runs in a thread.

        Raises UnknownJobType for a name that was not declared, ValueError for a second handler.
        """
        if isinstance(job_type, str):
            job_type = self.job_type(job_type)
        self.declare(job_type)
        if job_type.name in self._handlers:
            raise ValueError(f"job type {job_type.name!r} has a handler already")
        self._handlers[job_type.name] = handler
        if inspect.iscoroutinefunction(handler):
            self._async.add(job_type.name)

    def rebind(self, name: str, handler: Callable[[Any], Awaitable[Any]]) -> None:
        """Put an async function in the place of one that is bound to the type of that name: one that calls it, say.

        Raises ValueError where none is.
        """
        if name not in self._async:
            raise ValueError(f"job type {name!r} has no async handler")
        self._handlers[name] = handler

    def job_type(self, name: str) -> JobType[Any]:
        """The type of that name. Raises UnknownJobType, which lists the known ones."""
        try:
            return self._types[name]
        except KeyError:
            known = ", ".join(sorted(self._types)) or "none"
            raise UnknownJobType(f"no job type is called {name!r}; known: {known}", field="job_type") from None

    def handler(self, name: str) -> Handler:
        """The code for the type of that name, which `runnable` lists."""
        return self._handlers[name]

    def is_async(self, name: str) -> bool:
        """Whether the handler runs on the event loop (an async function) or in a thread."""
        return name in self._async

    @property
    def names(self) -> list[str]:
        """Names of all types known here, sorted."""
        return sorted(self._types)

    @property
    def job_types(self) -> list[JobType[Any]]:
        """All types known here, with or without code."""
        return list(self._types.values())

    @property
    def runnable(self) -> list[str]:
        """Names of the types with a handler here, sorted."""
        return sorted(self._handlers)

    @property
    def retentions(self) -> dict[str, Retention]:
        """How long history keeps the ended jobs of each type known here."""
        return {name: job_type.retention for name, job_type in self._types.items()}

    @property
    def unsuspected(self) -> list[str]:
        """Names of the types whose lost jobs run on where any do, sorted."""
        return sorted(name for name, job_type in self._types.items() if not job_type.suspected)

    def queues(self) -> list[str]:
        """The queues that the types here go to unless their creator says otherwise, sorted."""
        return sorted({DEFAULT_QUEUE, *(self._types[name].queue for name in self._handlers)})

    def declare_all(self, job_types: Iterable[JobType[Any]]) -> None:
        """Declare several."""
        for job_type in job_types:
            self.declare(job_type)


def _check(job_type: JobType[Any]) -> None:
    name = f"job type {job_type.name!r}"
    if job_type.ageing is not None and not SHORTEST_AGEING <= job_type.ageing <= LONGEST_AGEING:
        raise ValueError(f"{name}: ageing is {job_type.ageing}; give a second to a day, or None")
    if job_type.holds_lane and job_type.lane is None:
        raise ValueError(f"{name} holds its lane when it fails, and has none: name its lane")
    if job_type.sticky_key and (job_type.brief or not timedelta(0) < job_type.sticky_for <= LONGEST_STICKY):
        raise ValueError(f"{name} is sticky: it may not be brief, nor wait for 0 s or over a minute")
