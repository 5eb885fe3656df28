"""Rules that create jobs: alone, in bulk, with keys, in a caller's transaction, and two at once."""

import asyncio
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime, timedelta

from jobs_core import Created, KeyReused, NewJob, execute
from jobs_core.job_types import UNIQUE_WHILE, UniqueWhile
from jobs_core.keys import expire_keys
from tests.drills.walk.known import EventKey, Known, Violation
from tests.drills.walk.model_limits import DECLARED
from tests.drills.walk.walk import QUEUES, TYPES, NotNow, Walk, rule

HOUR = timedelta(hours=1)
LANES = ("a", "b")


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
    queue: str = "default"
    limits: Mapping[str, int] = field(default_factory=dict)

    def __str__(self) -> str:
        """What is not as usual."""
        return " ".join(
            f"{one.name}={value}" for one in fields(self) if (value := getattr(self, one.name)) not in (one.default, {})
        )

    def job(self) -> NewJob:
        """As `create_many` takes it."""
        return NewJob(
            TYPES[self.job_type],
            {"text": self.text, "lane": self.lane or "", "limits": dict(self.limits)},
            queue=self.queue,
            priority=self.priority,
            scheduled_for=self.at,
            idempotency_key=self.idempotency_key,
            unique_key=self.unique_key,
            unique_while=self.unique_while,
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
        )


def new(
    walk: Walk, *, lane: bool = False, later: bool = False, unique: bool = False, limited: bool | None = None
) -> New:
    """A job with these powers, and all else at random; limited: None, now and then."""
    kind: UniqueWhile = walk.dice.choice(UNIQUE_WHILE)
    ahead = walk.dice.choice((HOUR, datetime.now(UTC) + HOUR)) if later else None
    limits = some_limits(walk) if limited or (limited is None and walk.chance(0.15)) else {}
    return New(
        type_of(walk, lane=lane, limits=limits),
        walk.dice.choice(LANES) if lane else None,
        later,
        walk.dice.choice((0, 2, 2, 4)),
        f"u{walk.dice.randrange(2)}" if unique else None,
        kind if unique else None,
        at=ahead if later else walk.dice.choice((None, None, timedelta(seconds=-1))),
        queue=QUEUES[walk.chance(0.3)],
        limits=limits,
    )


def type_of(walk: Walk, *, lane: bool, limits: Mapping[str, int]) -> str:
    """The name of a type that has a lane, limits, both or neither."""
    if limits:
        return "lane_bound" if lane else "bound"
    return "lane_note" if lane else walk.dice.choice(("note", "note", "counted"))


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


async def _create(walk: Walk, one: New) -> str:
    walk.has_room()
    return created(walk, [one], await walk.jobs.create_many([one.job()]))


@rule(6)
async def create_plain(walk: Walk) -> str:
    """Ready at once."""
    return await _create(walk, new(walk))


@rule(3)
async def create_in_lane(walk: Walk) -> str:
    """At the tail of a lane."""
    return await _create(walk, new(walk, lane=True))


@rule(1.5)
async def create_later(walk: Walk) -> str:
    """Due in an hour."""
    return await _create(walk, new(walk, later=True))


@rule(1.6)
async def create_later_in_lane(walk: Walk) -> str:
    """Joins its lane in an hour."""
    return await _create(walk, new(walk, later=True, lane=True))


@rule(1.4)
async def create_unique_unstarted(walk: Walk) -> str:
    """One a key until it is claimed."""
    return await _create(walk, _unique(walk, "unstarted"))


@rule(1.3)
async def create_unique_unfinished(walk: Walk) -> str:
    """One a key until it ends."""
    return await _create(walk, _unique(walk, "unfinished"))


def _unique(walk: Walk, held_while: UniqueWhile) -> New:
    key = f"u{walk.dice.randrange(2)}"
    later = walk.chance(0.2)
    return New(later=later, unique_key=key, unique_while=held_while, at=HOUR if later else None)


@rule(1.3)
async def create_idempotent(walk: Walk) -> str:
    """One an outside event, also after it ended."""
    return await _create(walk, idempotent(walk))


def idempotent(walk: Walk) -> New:
    """With a key, and the input that it stands for."""
    key = f"i{walk.dice.randrange(3)}"
    known = walk.model.keys.get(("note", key))
    return New(idempotency_key=key, text=known.text if known and not known.expired else "first")


@rule(4)
async def reuse_an_idempotency_key(walk: Walk) -> str:
    """With another input: an error, and nothing written."""
    (job_type, name), key = walk.pick(walk.model.keys.items())
    if key.expired:
        raise NotNow
    try:
        await walk.jobs.create(job_type, {"text": f"not {key.text}"}, idempotency_key=name)
    except KeyReused:
        return name
    raise Violation(f"S10: {name} was given to job {key.job_id}, and taken for another input")


@rule(4)
async def create_many(walk: Walk) -> str:
    """Of all kinds, in one call, all or none."""
    walk.has_room()
    kinds = [new(walk, lane=walk.chance(0.5), later=walk.chance(0.2), unique=walk.chance(0.2)) for _ in range(3)]
    kinds += [idempotent(walk)] if walk.chance(0.2) else []
    return created(walk, kinds, await walk.jobs.create_many([one.job() for one in kinds]))


@rule(1.5)
async def create_in_a_callers_transaction(walk: Walk) -> str:
    """Which commits."""
    walk.has_room()
    kinds = [new(walk, lane=walk.chance(0.7), unique=walk.chance(0.3)) for _ in range(2)]
    async with walk.conn.transaction():
        got = await walk.jobs.create_many([one.job() for one in kinds], conn=walk.conn)
    return created(walk, kinds, got)


@rule()
async def create_in_a_transaction_that_is_rolled_back(walk: Walk) -> str:
    """As if it had never been."""
    kinds = [new(walk, lane=walk.chance(0.7), later=walk.chance(0.2), unique=walk.chance(0.3)) for _ in range(2)]
    async with walk.conn.transaction(force_rollback=True):
        await walk.jobs.create_many([one.job() for one in kinds], conn=walk.conn)
    return ", ".join(map(str, kinds))


@rule(1.2)
async def create_twice_at_once(walk: Walk) -> str:
    """Two callers with the same key: one job."""
    walk.has_room()
    unique = walk.chance(0.6)
    held_while: UniqueWhile = walk.dice.choice(UNIQUE_WHILE)
    one = New(unique_key="u", unique_while=held_while) if unique else New(idempotency_key=f"at once {len(walk.story)}")
    both = await asyncio.gather(*(walk.jobs.create_many([one.job()]) for _ in range(2)))
    first, second = sorted(both, key=lambda got: len(got.met))
    return f"{created(walk, [one], first)}; and {created(walk, [one], second)}"


@rule(3)
async def a_keys_time_is_over(walk: Walk) -> str:
    """An idempotency key stands for its job no longer."""
    (job_type, name), key = walk.pick(pair for pair in walk.model.keys.items() if not pair[1].expired)
    sql = "UPDATE jobs.job_keys SET expires_at = clock_timestamp() WHERE job_type = %(job_type)s AND key = %(key)s"
    await execute(walk.conn, sql, {"job_type": job_type, "key": name})
    key.expired = True
    return name


@rule(1)
async def expire_the_keys(walk: Walk) -> str:
    """Housekeeping deletes those whose time is over, and no other."""
    over = [place for place, key in walk.model.keys.items() if key.expired]
    if await expire_keys(walk.conn) != len(over):
        raise Violation(f"S10: housekeeping did not delete exactly {over}")
    for place in over:
        del walk.model.keys[place]
    return str(over)
