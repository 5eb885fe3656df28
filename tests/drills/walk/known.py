"""What the model knows of one job, worker, step or key; and what is raised where the queue does otherwise."""

from dataclasses import dataclass, field
from typing import Any

HELD = ("claimed", "running")
HOLDING = "holding"
"""The type whose failed jobs hold their lane."""


class Violation(AssertionError):
    """Something that must hold does not; its text says what, and of which job."""


def must(held: object, what: str) -> None:
    """Raises Violation, with this text, unless it held."""
    if not held:
        raise Violation(what)


@dataclass(slots=True)
class Known:
    """A job. state: as the table has it, but `scheduled` and `ready` for pending.

    joined: has a place in its lane. due: in which order the times came that it waited for; None: not yet. seq: its readiness,
    as last seen. claims, resumes, not_started: how often it was claimed, went on after a wait, and was taken from a worker
    that had not started it. limits, slots: by key, its weight, and what it took at its last claim. left_h: of the time in
    which its runs may put it back; None: it was never claimed. gone: it has ended, and history holds it no more. sticky: what a
    worker has at hand after it. prefers, until: the worker that it waits for, and the end of that, as last seen. fair: whose
    turn it takes; None: it takes none. first_priority: the class it was created in, where it has gone up since.
    """

    id: int
    job_type: str
    priority: int
    lane: str | None = None
    parent_id: int | None = None
    unique_key: str | None = None
    unique_while: str | None = None
    queue: str = "default"
    limits: dict[str, int] = field(default_factory=dict)
    retry_of: int | None = None
    sticky: str | None = None
    user_id: str | None = None
    fair: str | None = None
    first_priority: int | None = None
    prefers: int | None = None
    until: float | None = None
    state: str = "scheduled"
    worker: int | None = None
    token: int | None = None
    retries: int = 0
    lost: int = 0
    alone: bool = False
    alone_lost: int = 0
    rescued: bool = False
    joined: bool = False
    waits_for: str | None = None
    timed: bool = False
    due: int | None = None
    told: bool = False
    slots: dict[str, int] = field(default_factory=dict)
    left_h: float | None = None
    gone: bool = False
    seq: int = 0
    claims: int = 0
    resumes: int = 0
    not_started: int = 0

    @property
    def held(self) -> bool:
        """Whether a worker has it."""
        return self.state in HELD

    @property
    def apart(self) -> bool:
        """Whether claims of its own kind take it: it waits for slots, permits or a turn."""
        return bool(self.limits) or self.fair is not None

    @property
    def holds_lane(self) -> bool:
        """Whether its lane is held when it fails."""
        return self.job_type == HOLDING

    @property
    def gives_up(self) -> bool:
        """Whether a run that puts it back ends it."""
        return self.left_h is not None and self.left_h <= 0

    @property
    def place(self) -> tuple[int, int]:
        """Claims take what is first in this: priority, then readiness."""
        return self.priority, self.seq

    @property
    def holds_key(self) -> bool:
        """Whether its unique key is taken."""
        return self.unique_key is not None and (self.unique_while == "unfinished" or self.token is None)


@dataclass(slots=True)
class Worker:
    """alone: runs suspects only. slots: how many it says it runs at once. good: its lease runs. dead: buried or retired."""

    alone: bool
    slots: int
    good: bool = True
    dead: bool = False


@dataclass(slots=True)
class Step:
    """A record; past: of a wait, its time was moved to the past. output: of a step that is done."""

    state: str
    token: int
    output: Any = None
    past: bool = False


@dataclass(slots=True)
class EventKey:
    """What an idempotency key stands for."""

    job_id: int
    text: str
    expired: bool = False
