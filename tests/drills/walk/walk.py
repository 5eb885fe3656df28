"""One walk: what its rules share, and the loop that takes its steps."""

import random
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import partial
from typing import Any, TypeVar

from pydantic import BaseModel

from jobs_core import AnyJob, Connection, HandlerTable, Jobs, JobType, LeaseLost, Limit, execute
from jobs_core.job_types import LONGEST_STICKY
from jobs_core.notes import Notebook
from jobs_core.steps import Steps
from tests.drills.walk.known import HOLDING, Known, Violation
from tests.drills.walk.model import RETRIES, Model
from tests.drills.walk.model_ageing import SPAN_H
from tests.drills.walk.model_limits import DECLARED
from tests.drills.walk.tables import check

T = TypeVar("T")

MOST_JOBS = 25
"""That live at once, about: more would seldom meet each other."""
LAST_STEPS = 30
_A_WALK_TAKES_H = 0.2  # at most, on a slow machine


class Input(BaseModel):
    """Of all jobs of a walk. sticky: a key, or none. limits: weights by key."""

    text: str = ""
    lane: str = ""
    sticky: str = ""
    limits: dict[str, int] = {}


def _lane(given: Input) -> str:
    return given.lane


def _sticky_key(given: Input) -> str | None:
    return given.sticky or None


def _limits(given: Input) -> list[Limit]:
    return [replace(DECLARED[key], weight=weight) for key, weight in given.limits.items()]


_AGEING = timedelta(hours=SPAN_H)
NOTE = JobType("note", Input, retries=RETRIES, ageing=_AGEING)
COUNTED = JobType("counted", Input, retries=RETRIES, retention="none", brief=True)
LANE_NOTE = JobType("lane_note", Input, retries=RETRIES, ageing=_AGEING, lane=_lane)
HOLDS = JobType(
    HOLDING, Input, retries=RETRIES, lane=_lane, holds_lane=True, sticky_key=_sticky_key, sticky_for=LONGEST_STICKY
)
STICKY = JobType("sticky", Input, retries=RETRIES, ageing=_AGEING, sticky_key=_sticky_key, sticky_for=LONGEST_STICKY)
FAIR = JobType("fair", Input, retries=RETRIES, ageing=_AGEING, fair_by="user_id")
BOUND = JobType("bound", Input, retries=RETRIES, ageing=_AGEING, limits=_limits, retention="long")
LANE_BOUND = JobType("lane_bound", Input, retries=RETRIES, lane=_lane, limits=_limits)
TYPES = {job_type.name: job_type for job_type in (NOTE, COUNTED, LANE_NOTE, HOLDS, STICKY, FAIR, BOUND, LANE_BOUND)}
QUEUES = ["default", "other"]


def table() -> HandlerTable:
    """A table that knows these types."""
    known = HandlerTable()
    known.declare_all(TYPES.values())
    return known


class NotNow(Exception):
    """There is nothing that this rule could be applied to; it has done nothing but what it told."""


@dataclass(slots=True)
class Walk:
    """runs: every claim so far, as its run has it. used: names of steps by the token of the run that used them. notebooks: of
    runs that have said something, by token. role: one that may create by SQL."""

    jobs: Jobs
    conn: Connection
    dice: random.Random
    role: str = ""
    model: Model = field(default_factory=Model)
    runs: list[AnyJob] = field(default_factory=list)
    used: set[tuple[int, str]] = field(default_factory=set)
    notebooks: dict[int, Notebook] = field(default_factory=dict)
    fingerprints: dict[int, str] = field(default_factory=dict)
    story: list[str] = field(default_factory=list)
    fired: Counter[str] = field(default_factory=Counter)

    def pick(self, some: Iterable[T]) -> T:
        """Any of them. Raises NotNow where there is none."""
        known = list(some)
        if not known:
            raise NotNow
        return self.dice.choice(known)

    def chance(self, part: float) -> bool:
        """True for about that part of the calls."""
        return self.dice.random() < part

    def current(self) -> list[tuple[AnyJob, Known]]:
        """Runs that hold their job, with what the model knows of it."""
        found = ((run, self.model.jobs.get(run.id)) for run in self.runs)
        return [(run, job) for run, job in found if job and job.held and job.token == run.token]

    def run(self, fits: Callable[[Known], object] = lambda _: True) -> tuple[AnyJob, Known]:
        """A run that holds its job."""
        return self.pick(pair for pair in self.current() if fits(pair[1]))

    def unused(self, run: AnyJob, *names: str) -> str:
        """A name of a step that this run has not used yet."""
        name = self.pick(name for name in names if (run.token, name) not in self.used)
        self.used.add((run.token, name))
        return name

    def tell(self, what: str) -> None:
        """Add to the story what this step has done to be possible."""
        self.story[-1] += f"{what}; "

    def stale_run(self) -> AnyJob:
        """A run whose job was taken from it, was put back, waits, or has ended."""
        holding = {run.token for run, _ in self.current()}
        return self.pick(run for run in self.runs if run.token not in holding)

    def job(self, fits: Callable[[Known], object]) -> Known:
        """A living job."""
        return self.pick(job for job in self.model.jobs.values() if fits(job))

    def worker(self, *, alone: bool | None = False, good: bool = True) -> int:
        """A worker that can claim, or one that cannot."""
        return self.pick(
            id_
            for id_, worker in self.model.workers.items()
            if (worker.good and not worker.dead) is good and alone in {None, worker.alone}
        )

    def took(self, runs: Sequence[AnyJob], worker: int) -> None:
        """Claims came back with these."""
        for run in sorted(runs, key=lambda run: run.token):
            self.model.claim(run.id, worker, run.token)
            left_h, wanted_h = (run.give_up_at - run.claimed_at).total_seconds() / 3600, self.model.jobs[run.id].left_h
            if wanted_h is None or abs(left_h - wanted_h) > _A_WALK_TAKES_H:
                raise Violation(f"job {run.id} will be given up in {left_h:.1f} h; of its time {wanted_h} h are left")
        for run in runs:
            run.steps_of = partial(Steps, self.jobs)
            self.runs.append(run)

    def effect(self, run: AnyJob) -> Callable[[Connection], Awaitable[None]]:
        """An `also` that leaves a row of this run."""

        async def also(conn: Connection) -> None:
            values = {"job_id": run.id, "token": run.token}
            await execute(conn, "INSERT INTO effects (job_id, token) VALUES (%(job_id)s, %(token)s)", values)

        return also


Rule = Callable[[Walk], Awaitable[str]]
RULES: dict[str, Rule] = {}
_WEIGHTS: list[float] = []


def rule(weight: float = 1.0) -> Callable[[Rule], Rule]:
    """Register a rule: it does one thing to the database and to the model, and says what. weight: how often it is tried."""

    def register(function: Rule) -> Rule:
        RULES[function.__name__] = function
        _WEIGHTS.append(weight)
        return function

    return register


async def step(walk: Walk) -> None:
    """Take one step, of a rule that can be applied now, and check what there is then."""
    names = list(RULES)
    while not await _applied(walk, *walk.dice.choices(names, _WEIGHTS)):
        pass


async def _applied(walk: Walk, name: str) -> bool:
    """Try a rule; whether it could be applied. Checks also what one that could not has done to be possible."""
    begins, applied = f"{name}: ", True
    walk.story.append(begins)
    try:
        told = await RULES[name](walk)
    except NotNow:
        told, applied = "not now", False
    if walk.story[-1] == begins and not applied:
        walk.story.pop()
        return False
    walk.story[-1] += told
    walk.fired[name] += applied
    await check(walk.conn, walk.model, walk.fingerprints)
    return applied


async def refused(verb: Awaitable[Any], run: AnyJob) -> str:
    """A write of a stale run, which must be refused."""
    try:
        got = await verb
    except LeaseLost:
        return f"job {run.id} token {run.token}"
    raise Violation(f"S3: a write of job {run.id} with the stale token {run.token} was accepted: {got!r}")
