"""Jobs that rules create: with which powers, whom a create of them must meet, and what the model learns of it."""

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, datetime, timedelta

from jobs_core import Created, NewJob
from jobs_core.job_types import UNIQUE_WHILE, UniqueWhile
from tests.drills.walk.known import HOLDING, EventKey, Known, Violation
from tests.drills.walk.model_limits import DECLARED
from tests.drills.walk.walk import QUEUES, TYPES, Walk

HOUR = timedelta(hours=1)
LANES = ("a", "b", "c")
STICKY_KEYS = ("k0", "k1")
USERS = (None, "u1", "u2", "u3")


@dataclass(frozen=True, slots=True)
class New:
    """A job to create."""

    job_type: str = "note"
    lane: str | None = None
    later: bool = False
    priority: int = 2
    unique_key: str | None = None
    unique_while: UniqueWhile | None = None
    idempotency_key: str | None = None
    text: str = ""
    at: timedelta | datetime | None = None
    debounce: timedelta | None = None
    queue: str = "default"
    limits: Mapping[str, int] = field(default_factory=dict)
    sticky: str | None = None
    user_id: str | None = None

    def __str__(self) -> str:
        """What is not as usual."""
        return " ".join(
            f"{one.name}={value}" for one in fields(self) if (value := getattr(self, one.name)) not in (one.default, {})
        )

    def job(self) -> NewJob:
        """As `create_many` takes it."""
        return NewJob(
            TYPES[self.job_type],
            {"text": self.text, "lane": self.lane or "", "sticky": self.sticky or "", "limits": dict(self.limits)},
            self.user_id,
            queue=self.queue,
            priority=self.priority,
            scheduled_for=self.at,
            idempotency_key=self.idempotency_key,
            unique_key=self.unique_key,
            unique_while=self.unique_while,
            debounce=self.debounce,
            debounce_at_most=self.debounce,
        )

    def known(self, job_id: int, parent_id: int | None = None) -> Known:
        """As the model has it."""
        return Known(
            job_id,
            self.job_type,
            self.priority,
            self.lane,
            parent_id,
            self.unique_key,
            self.unique_while,
            self.queue,
            dict(self.limits),
            sticky=self.sticky,
            user_id=self.user_id,
            fair=None if TYPES[self.job_type].fair_by is None else self.user_id or "",
        )


def new(
    walk: Walk, *, lane: bool = False, later: bool = False, unique: bool = False, limited: bool | None = None
) -> New:
    """A job with these powers, and all else at random; limited: None, now and then."""
    kind: UniqueWhile = walk.dice.choice(UNIQUE_WHILE)
    ahead = walk.dice.choice((HOUR, datetime.now(UTC) + HOUR)) if later else None
    limits = some_limits(walk) if limited or (limited is None and walk.chance(0.15)) else {}
    return replace(
        of_some_type(walk, walk.dice.choice(LANES) if lane else None, limits),
        later=later,
        priority=walk.dice.choice((0, 2, 2, 4)),
        unique_key=f"u{walk.dice.randrange(2)}" if unique else None,
        unique_while=kind if unique else None,
        at=ahead if later else walk.dice.choice((None, None, timedelta(seconds=-1))),
        queue=QUEUES[walk.chance(0.3)],
    )


def of_some_type(walk: Walk, lane: str | None, limits: Mapping[str, int]) -> New:
    """A job of a type that has a lane, limits, both or neither; with what its type wants besides."""
    if limits:
        return New("lane_bound" if lane else "bound", lane, limits=limits)
    if lane:
        key = walk.dice.choice((None, *STICKY_KEYS)) if lane in LANES else None
        return walk.dice.choice((New("lane_note", lane), New("holding", lane, sticky=key)))
    sticky, fair = New("sticky", sticky=walk.dice.choice(STICKY_KEYS)), New("fair", user_id=walk.dice.choice(USERS))
    return walk.dice.choice((New("note"), New("note"), New("counted"), sticky, fair))


def in_a_free_lane(walk: Walk) -> New | None:
    """A job that would be the head of a lane in which nobody stands, if there is one, and hold it where it failed."""
    free = [lane for lane in LANES if lane not in walk.model.lanes.holds and not walk.model.lanes.jobs[lane]]
    return New(HOLDING, walk.dice.choice(free)) if free else None


def some_limits(walk: Walk) -> dict[str, int]:
    """A key or two, each with its weight."""
    keys = walk.dice.sample(list(DECLARED), walk.dice.choice((1, 1, 2)))
    return {key: walk.dice.choice((1, 1, 1, 2, 4)) for key in sorted(keys)}


def stands_for(walk: Walk, one: New) -> int | None:
    """The job that a create of this must meet."""
    key = walk.model.keys.get((one.job_type, one.idempotency_key or ""))
    if key and not key.expired:
        return key.job_id
    return walk.model.holder(one.job_type, one.unique_key) if one.unique_key else None


def created(walk: Walk, wanted: list[New], got: Created) -> str:
    """The model learns of what a create did."""
    return learned(walk, wanted, got.ids, got.met)


def learned(walk: Walk, wanted: list[New], ids: Sequence[int], said_met: AbstractSet[int]) -> str:
    """The model learns of what was created, in its order; what must be met, must have been."""
    before = {*walk.model.jobs, *walk.model.ended}
    for one, job_id in zip(wanted, ids, strict=True):
        met = stands_for(walk, one)
        if met is None and job_id in {*walk.model.jobs, *walk.model.ended}:
            raise Violation(f"a create met job {job_id}, which holds no key of it")
        if met is not None and job_id != met:
            raise Violation(f"S10: job {met} holds the key, and yet job {job_id} was created")
        if met is None:
            walk.model.create(one.known(job_id), later=one.later)
        if one.idempotency_key:
            place = (one.job_type, one.idempotency_key)
            if place not in walk.model.keys or walk.model.keys[place].expired:
                walk.model.keys[place] = EventKey(job_id, one.text)
    if said_met != before & set(ids):
        raise Violation(f"S10: of {ids} those were there before: {before & set(ids)}; it said {set(said_met)}")
    return f"{list(ids)}, met {sorted(said_met)}: {', '.join(map(str, wanted))}"


def idempotent(walk: Walk) -> New:
    """With a key, and the input that it stands for."""
    key = f"i{walk.dice.randrange(3)}"
    known = walk.model.keys.get(("note", key))
    return New(idempotency_key=key, text=known.text if known and not known.expired else "first")


def with_a_new_key(walk: Walk) -> New:
    """A job whose key nobody holds."""
    name, held_while = f"new {len(walk.story)}", walk.dice.choice((None, *UNIQUE_WHILE))
    return New(unique_key=name, unique_while=held_while) if held_while else New(idempotency_key=name)
