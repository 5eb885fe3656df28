"""The points of a job's way at which the points drill strikes, and what each fault may cost the job.

    create ─▶ claim ─▶ start ─▶ steps, waits, notes, children ─▶ settle ─▶ lane's next, slots, parent, hint
    beside it: limits, retry, cancel, drain, due jobs, rescue

A point is a statement that the struck process is about to send, or whose answer it has not had, or a handler that stands.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from jobs_core import JobType
from tests.drills.points_jobs import BRIEF, LANED, LIMITED, PLAIN, Part
from tests.support.holding_proxy import Stop


@dataclass(frozen=True, slots=True)
class Came:
    """What must have become of a job: its state (empty: there is none), its runs, and the reasons of those that did not
    complete. steps: how often its step was really done. lines: of its log."""

    attempts: tuple[str, ...] = ()
    runs: int = 1
    state: str = "complete"
    steps: int = 0
    lines: int = 0


ONCE, TWICE = Came(), Came(runs=2)
LOST = Came(("lost",), runs=2)
NEVER = Came(runs=0, state="")


Cast = Mapping[str, tuple[JobType[Part], str]]
"""By role: the type of its job, and what that does."""


@dataclass(frozen=True, slots=True)
class Scene:
    """The jobs of a trial. earlier: jobs that must wait before the subject is created; beside: created together with it.

    struck: whose run the fault is meant for. came: what must have become of the others, of each ONCE unless
    it is named. prelude: what is done when the subject's handler stands. due_s: when the subject is due. opens: False, the
    handler stands on until it is cancelled. then: what is done after the fault, when the subject waits.
    """

    act: str = "write"
    job_type: JobType[Part] = PLAIN
    struck: str = "subject"
    earlier: Cast = field(default_factory=dict)
    beside: Cast = field(default_factory=dict)
    came: Mapping[str, Came] = field(default_factory=dict)
    prelude: Literal["", "cancel", "drain", "kill"] = ""
    due_s: float = 0.0
    opens: bool = True
    then: Literal["", "emit", "answer"] = ""
    by_producer: bool = False

    @property
    def subject(self) -> Cast:
        """The first job of the trial."""
        return {"subject": (self.job_type, self.act)}


@dataclass(frozen=True, slots=True)
class Point:
    """Where to strike, and what that may cost the subject: a killed or frozen process (any of these), a cut connection.

    stop: None, where the handler stands. holders: only the process that holds the subject is struck there. more_runs: how many
    runs a frozen worker may begin when it wakes, before it hears that it lost its lease.
    """

    name: str
    scene: Scene
    stop: Stop | None
    gone: tuple[Came, ...]
    cut: tuple[Came, ...] = (ONCE,)
    frozen: Came | None = None
    holders: bool = False
    more_runs: int = 0


def _before(statement: str, within: str = "") -> Stop:
    return Stop(statement, "before", within)


def _after(statement: str, within: str = "", *, rows: bool = False) -> Stop:
    return Stop(statement, "after", within, rows)


_PRODUCED = Scene(job_type=LANED, by_producer=True)
_WRITES, _BRIEF, _STANDS = Scene(), Scene("nothing", BRIEF), Scene("stand")
_COLLECTED, _STEPS, _SAYS, _RETRIES = Scene("nothing"), Scene("step"), Scene("say"), Scene("retry")
_ASKS, _WAITS = Scene("ask", then="answer"), Scene("wait", then="emit")
_EMITS = Scene("emit", earlier={"waiter": (PLAIN, "wait")}, came={"waiter": TWICE})
_LANE = Scene(job_type=LANED, beside={"follower": (LANED, "write")})
_SPAWNS = Scene("spawn", came={"child": ONCE})
_CHILD = Scene("spawn", struck="child", came={"subject": TWICE})
_LIMIT = Scene(job_type=LIMITED, beside={"second": (LIMITED, "write")})
_CANCELS = Scene("stand", prelude="cancel", opens=False)
_DRAINS, _RESCUED = Scene("stand", prelude="drain"), Scene("stand", prelude="kill")
_DUE, _DUE_IN_LANE = Scene(due_s=0.5), Scene(job_type=LANED, due_s=0.5)

_STEPPED = Came(steps=1)
_WROTE = Came(lines=1)
_SPAWNED_ANEW = Came(("lost",), runs=3)
_SPAWNED = (Came(("lost",), runs=2), _SPAWNED_ANEW)
"""The child had ended before the parent looked, or not; likewise where a cut connection held the parent up."""
_CANCELLED = (
    Came(("lost",), state="cancelled"),
    Came(("lost", "cancelled"), runs=2, state="cancelled"),
)
"""By upkeep before it runs again, or after that in its run."""

POINTS = (
    Point("create_uncommitted", _PRODUCED, _before("commit", "job/create"), (NEVER,), frozen=ONCE),
    Point("create_unanswered", _PRODUCED, _after("commit", "job/create"), (ONCE,)),
    Point("hint_unsent", _PRODUCED, _before("notify"), (ONCE,)),
    Point("claim_unanswered", _WRITES, _after("job/claim", rows=True), (ONCE,)),
    Point("unstarted", _WRITES, _before("job/start_many"), (ONCE,)),
    Point("started", _WRITES, _after("job/start_many"), (Came(("lost",)),), more_runs=1),
    Point("brief_unsettled", _BRIEF, _before("job/end_many"), (TWICE,)),
    Point("in_handler", _STANDS, None, (LOST,)),
    Point("step_unrecorded", _STEPS, _before("job/fence"), (Came(("lost",), 2, steps=2),), (_STEPPED,)),
    Point("step_uncommitted", _STEPS, _before("commit", "step/write"), (Came(("lost",), 2, steps=2),), (_STEPPED,)),
    Point("step_unanswered", _STEPS, _after("commit", "step/write"), (Came(("lost",), 2, steps=1),), (_STEPPED,)),
    Point("step_unknown", _ASKS, Stop("job/fence", "before", nth=2), (Came(("lost",), 3, steps=2),), (_STEPPED,)),
    Point("event_unseen", _WAITS, _before("event/find"), (Came(("lost",), 3),), (TWICE,)),
    Point("wait_unwritten", _WAITS, _before("job/wait"), (Came(("lost",), 3),), (TWICE,)),
    Point("wait_uncommitted", _WAITS, _before("commit", "job/wait"), (Came(("lost",), 3),), (TWICE,)),
    Point("wait_unanswered", _WAITS, _after("commit", "job/wait"), (TWICE,), (TWICE,)),
    Point("emit_uncommitted", _EMITS, _before("commit", "event/emit"), (LOST,)),
    Point("spawn_uncommitted", _SPAWNS, _before("commit", "job/adopt"), (_SPAWNED_ANEW,), (TWICE,)),
    Point("spawn_unanswered", _SPAWNS, _after("commit", "job/adopt"), _SPAWNED, (ONCE, TWICE)),
    Point("child_ended", _CHILD, _before("job/wake_parent"), (LOST,)),
    Point("note_unwritten", _SAYS, _before("note/write"), (Came(("lost",), 2, lines=1),), (_WROTE,)),
    Point("note_unanswered", _SAYS, _after("note/write"), (Came(("lost",), 2, lines=2),), (_WROTE,)),
    Point("settle_unsent", _COLLECTED, _before("job/end_many"), (LOST,)),
    Point("settle_unanswered", _COLLECTED, _after("job/end_many"), (ONCE,)),
    Point("settle_uncommitted", _WRITES, _before("commit", "job/end"), (LOST,)),
    Point("commit_unanswered", _WRITES, _after("commit", "job/end"), (ONCE,)),
    Point("follower_blocked", _LANE, _before("lane/promote"), (LOST,)),
    Point("follower_unhinted", _LANE, _before("notify"), (ONCE,)),
    Point("retry_unwritten", _RETRIES, _before("job/put_back"), (Came(("lost", "error"), 3),), (Came(("error",), 2),)),
    Point("retry_unanswered", _RETRIES, _after("job/put_back"), (Came(("error",), 2),), (Came(("error",), 2),)),
    Point("slots_uncommitted", _LIMIT, _before("commit", "job/claim_limited"), (ONCE,)),
    Point("slots_unanswered", _LIMIT, _after("commit", "job/claim_limited"), (ONCE,)),
    Point("slots_unfreed", _LIMIT, _before("slot/free"), (LOST,)),
    Point(
        "cancel_unseen",
        _CANCELS,
        _before("cancel/asked"),
        _CANCELLED,
        (Came(("cancelled",), state="cancelled"),),
        holders=True,
    ),
    Point("put_back_unsent", _DRAINS, _before("job/put_back"), (LOST,), (Came(("drained",), 2),)),
    Point("put_back_unanswered", _DRAINS, _after("job/put_back"), (Came(("drained",), 2),), (Came(("drained",), 2),)),
    Point("rescue_uncommitted", _RESCUED, _before("commit", "job/rescue"), (LOST,), (LOST,)),
    Point("due_unpromoted", _DUE, _before("job/promote"), (ONCE,)),
    Point("due_unjoined", _DUE_IN_LANE, _before("commit", "job/join"), (ONCE,)),
)

By = Literal["kill", "freeze", "cut"]


def allowed(point: Point, fault: By) -> tuple[Came, ...]:
    """What may have become of the subject."""
    if fault == "cut":
        return point.cut
    return (point.frozen,) if fault == "freeze" and point.frozen else point.gone


def parts(cast: Cast, trial: str) -> list[tuple[JobType[Part], Part]]:
    """Types and inputs of these jobs."""
    return [(job_type, Part(trial=trial, role=role, act=act)) for role, (job_type, act) in cast.items()]


def roles(scene: Scene) -> dict[str, Came]:
    """What must have become of everybody but the subject."""
    return dict.fromkeys((*scene.earlier, *scene.beside), ONCE) | dict(scene.came)
