"""Rules of limits: jobs that have some, claims of them, and how a key's numbers change."""

import asyncio
from collections.abc import Sequence

from jobs_core import AnyJob, Connection, Limit, LimitInUse, execute, fetch
from jobs_core.claim_limited import Found, claim_limited
from jobs_core.limits import forget_limits, list_limits, remove_limit, set_limit
from tests.drills.walk.known import Violation, must
from tests.drills.walk.model_limits import DECLARED, PER_S
from tests.drills.walk.new_jobs import New, created, new
from tests.drills.walk.runs import (
    a_late_worker,
    a_worker,
    begin,
    create_ready,
    done,
    ids_of,
    make_room,
    ready,
    types_of_one,
)
from tests.drills.walk.tables import turns_of
from tests.drills.walk.walk import MOST_JOBS, QUEUES, TYPES, Walk, rule

_MOST_LOOKS = 10
"""Of one claim: a look makes keys, or fits them, and the next one claims. A claim that takes more goes round without end."""


async def _look(
    conn: Connection, worker: int, *, slots: int = MOST_JOBS, types: Sequence[str] = tuple(TYPES), alone: bool = False
) -> Found:
    return await claim_limited(conn, worker_id=worker, queues=QUEUES, job_types=types, slots=slots, alone=alone)


async def look_at_turns(walk: Walk) -> None:
    """The model learns which turns were noted. Raises Violation where they are not those of what was claimed."""
    if walk.model.turns.claimed:
        sql = "SELECT queue, job_type, priority, key, served FROM jobs.fair_keys WHERE served > 0"
        walk.model.turns.learn(turns_of(row.values() for row in await fetch(walk.conn, sql)))


@rule()
async def create_limited(walk: Walk) -> str:
    """Under a key or two, some of them in a lane, for later, or with a unique key besides."""
    await make_room(walk)
    lane, later, unique = walk.chance(0.3), walk.chance(0.1), walk.chance(0.1)
    one = new(walk, lane=lane, later=later, unique=unique, limited=True)
    return created(walk, [one], await walk.jobs.create_many([one.job()]))


@rule()
async def claim_some_limited(walk: Walk) -> str:
    """All that have their slots, permits and turns, in their order, and none besides."""
    if not any(job.state == "ready" and job.apart for job in walk.model.jobs.values()):  # one that is paused, too
        await done(walk, await create_limited(walk))
    worker, types, slots = await a_worker(walk), types_of_one(walk), walk.dice.choice((1, 2, 3, MOST_JOBS))
    runs = list[AnyJob]()
    for _ in range(_MOST_LOOKS):
        waiting, held = ready(walk, types, limited=True), walk.model.held_slots()
        found = await _look(walk.conn, worker, slots=slots - len(runs), types=types)
        walk.model.limits.judge(waiting, held, {run.id for run in found.jobs})
        walk.took(found.jobs, worker)
        await look_at_turns(walk)
        runs += found.jobs
        if found.again_in_s != 0 or len(runs) == slots:
            break
    else:
        raise Violation(f"{_MOST_LOOKS} looks in a row said that there is more to find")
    left = walk.model.limits.sure(ready(walk, types, limited=True), walk.model.held_slots())
    must(len(runs) == slots or not left, f"jobs {ids_of(left)} have all they need, and were left")
    begun = await begin(walk, runs, 0.5)
    return f"worker {worker} has {[run.id for run in runs]}, started {begun}"


@rule()
async def claim_limited_twice_at_once(walk: Walk) -> str:
    """What one has locked the other passes over: neither has a slot of the other's. Two want a key that has one to give."""
    await make_room(walk)
    worker, held = await a_worker(walk), walk.model.held_slots()
    some = [key for key, has in walk.model.limits.keys.items() if has.slots is not None and has.slots > held[key]]
    key = walk.dice.choice(some or list(DECLARED))
    if not some:
        await _set(walk, Limit(key, slots=held[key] + 1))
    two = [New("bound", limits={key: 1}) for _ in range(2)]
    created(walk, two, await walk.jobs.create_many([one.job() for one in two]))

    async def one() -> Found:
        async with walk.jobs.database.connection() as conn:
            return await _look(conn, worker)

    first, second = await asyncio.gather(one(), one())
    walk.took([*first.jobs, *second.jobs], worker)
    return f"worker {worker}: {[run.id for run in first.jobs]} and {[run.id for run in second.jobs]}"


@rule(1.2)
async def claim_limited_without_a_lease(walk: Walk) -> str:
    """A worker that was buried, or whose lease ran out: nothing."""
    if not ready(walk, limited=True):
        await create_ready(walk, new(walk, limited=True))
    worker = await a_late_worker(walk)
    found = await _look(walk.conn, worker)
    must(not found.jobs, f"worker {worker} has no lease, and claimed {[run.id for run in found.jobs]}")
    return f"worker {worker}"


@rule()
async def set_a_limit(walk: Walk) -> str:
    """Raised, lowered, closed, or of another kind; what is held stays."""
    return await _set(walk, _some_numbers(walk))


async def _set(walk: Walk, limit: Limit) -> str:
    await set_limit(walk.conn, limit)
    walk.model.limits.put(limit)
    return str(limit)


def _some_numbers(walk: Walk) -> Limit:
    slots, burst = walk.dice.choice((None, None, 0, 1, 2, 3, 4, 4)), walk.dice.choice((None, None, 2.0, 3.0))
    if slots is None and burst is None:
        slots = 2
    return Limit(walk.dice.choice(list(DECLARED)), slots=slots, rate_per_s=PER_S if burst else None, burst=burst)


@rule(2.3)
async def close_a_limit_while_one_claims(walk: Walk) -> str:
    """Whichever is first: the claim has its slots, or none; mostly it is opened again."""
    key, slots = walk.pick((key, has.slots) for key, has in walk.model.limits.keys.items() if has.slots)
    if not any(key in job.limits for job in ready(walk, limited=True)):
        await create_ready(walk, New("bound", limits={key: 1}))
    worker = await a_worker(walk)

    async def claim() -> Found:
        async with walk.jobs.database.connection() as conn:
            return await _look(conn, worker)

    found, _ = await asyncio.gather(claim(), set_limit(walk.conn, Limit(key, slots=0)))
    walk.took(found.jobs, worker)
    walk.model.limits.put(Limit(key, slots=0))
    if walk.chance(0.8):
        await _set(walk, Limit(key, slots=slots))
    return f"{key}; worker {worker} has {[run.id for run in found.jobs]}"


@rule()
async def remove_a_limit(walk: Walk) -> str:
    """Unless jobs hold slots of it; the next job of the key makes it anew."""
    key = walk.pick(DECLARED)
    there, held = key in walk.model.limits.keys, walk.model.held_slots()[key]
    try:
        said = await remove_limit(walk.conn, key)
    except LimitInUse:
        must(held, f"{key} has no slot that is held, and could not be removed")
        return f"{key}: in use"
    must(
        not held and (said is not None) is there,
        f"{key}: {held} slots are held, it is there: {there}, and it said {said}",
    )
    walk.model.limits.keys.pop(key, None)
    return f"{key}: it was there: {there}"


@rule()
async def forget_unused_limits(walk: Walk) -> str:
    """Two days later: those made for jobs, of which nothing is held and for which nothing stands ready."""
    await execute(walk.conn, "UPDATE jobs.limits SET created_at = created_at - interval '2 days'")
    held = walk.model.held_slots()
    wanted = {key for job in walk.model.jobs.values() if job.state == "ready" for key in job.limits}
    unused = [
        key
        for key, has in walk.model.limits.keys.items()
        if not has.by_hand and has.permits == has.burst and not held[key] and key not in wanted
    ]
    n = await forget_limits(walk.conn)
    must(n == len(unused), f"{n} limits were forgotten; unused are {unused}")
    for key in unused:
        del walk.model.limits.keys[key]
    return str(unused)


@rule()
async def an_hour_fills_the_buckets(walk: Walk) -> str:
    """A permit each."""
    await execute(walk.conn, "UPDATE jobs.limits SET filled_at = filled_at - interval '1 hour'")
    walk.model.limits.fill()
    return ""


@rule()
async def list_the_limits(walk: Walk) -> str:
    """As an operator sees them: who holds what, and how many wait."""
    waiting = [job for job in walk.model.jobs.values() if job.state == "ready"]
    holding = [job for job in walk.model.jobs.values() if job.held]
    wanted = {
        key: (
            walk.model.held_slots()[key],
            sum(key in job.limits for job in waiting),
            sorted(job.id for job in holding if job.slots.get(key)),
        )
        for key in walk.model.limits.keys
    }
    views = await list_limits(walk.conn)
    got = {view.key: (view.in_use, view.waiting, view.held_by) for view in views}
    must(got == wanted, f"limits are listed as {got}, must be {wanted}")
    return str(got)
