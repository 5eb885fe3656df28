"""Rules that create jobs: alone, in bulk, with keys, in a caller's transaction, and two at once."""

import asyncio

from jobs_core import InvalidInput, KeyReused, execute, fetch_one
from jobs_core.job_types import UniqueWhile
from jobs_core.keys import expire_keys
from tests.drills.walk.known import EventKey, Violation
from tests.drills.walk.new_jobs import HOUR, New, created, idempotent, new, stands_for, with_a_new_key
from tests.drills.walk.runs import make_room
from tests.drills.walk.walk import Walk, rule


async def _create(walk: Walk, one: New) -> str:
    await make_room(walk)
    return created(walk, [one], await walk.jobs.create_many([one.job()]))


@rule()
async def create_plain(walk: Walk) -> str:
    """Ready at once."""
    return await _create(walk, new(walk))


@rule()
async def create_in_lane(walk: Walk) -> str:
    """At the tail of a lane."""
    return await _create(walk, new(walk, lane=True))


@rule()
async def create_later(walk: Walk) -> str:
    """Due in an hour."""
    return await _create(walk, new(walk, later=True))


@rule()
async def create_later_in_lane(walk: Walk) -> str:
    """Joins its lane in an hour."""
    return await _create(walk, new(walk, later=True, lane=True))


@rule()
async def create_unique_unstarted(walk: Walk) -> str:
    """One a key until it is claimed."""
    return await _create(walk, _unique(walk, "unstarted"))


@rule()
async def create_unique_unfinished(walk: Walk) -> str:
    """One a key until it ends."""
    return await _create(walk, _unique(walk, "unfinished"))


def _unique(walk: Walk, held_while: UniqueWhile) -> New:
    key = f"u{walk.dice.randrange(2)}"
    later = walk.chance(0.2)
    return New(later=later, unique_key=key, unique_while=held_while, at=HOUR if later else None)


@rule()
async def create_debounced(walk: Walk) -> str:
    """A job of nobody that was not claimed takes its input in; whether it is ready, and its place, stay as they are."""
    await make_room(walk)
    text = f"debounced {len(walk.story)}"
    one = New(
        "note", None, True, unique_key=f"u{walk.dice.randrange(2)}", unique_while="unstarted", text=text, debounce=HOUR
    )
    met = stands_for(walk, one)
    if met and ((job := walk.model.jobs[met]).token is not None or job.user_id is not None):
        try:
            await walk.jobs.create_many([one.job()])
        except InvalidInput:
            return f"refused: job {met} has begun, or is {job.user_id}'s"
        raise Violation(f"S10: job {met} was claimed, or is {job.user_id}'s, and took another input in")
    told = await _create(walk, one)
    where = {"id": met or max(walk.model.jobs)}
    row = await fetch_one(walk.conn, "SELECT input ->> 'text' AS text FROM jobs.jobs WHERE id = %(id)s", where)
    if row is None or row["text"] != text:
        raise Violation(f"job {where['id']} has lost {text!r}")
    return told


@rule()
async def create_idempotent(walk: Walk) -> str:
    """One an outside event, also after it ended."""
    return await _create(walk, idempotent(walk))


async def a_key(walk: Walk) -> tuple[str, str, EventKey]:
    """A job type, and an idempotency key that stands for a job of it; where none does, one is created."""
    if all(key.expired for key in walk.model.keys.values()):
        walk.tell(await create_idempotent(walk))
    (job_type, name), key = walk.pick(pair for pair in walk.model.keys.items() if not pair[1].expired)
    return job_type, name, key


@rule()
async def reuse_an_idempotency_key(walk: Walk) -> str:
    """With another input: an error, and nothing written."""
    job_type, name, key = await a_key(walk)
    try:
        await walk.jobs.create(job_type, {"text": f"not {key.text}"}, idempotency_key=name)
    except KeyReused:
        return name
    raise Violation(f"S10: {name} was given to job {key.job_id}, and taken for another input")


@rule()
async def create_many(walk: Walk) -> str:
    """Of all kinds, in one call, all or none."""
    await make_room(walk)
    kinds = [new(walk, lane=walk.chance(0.5), later=walk.chance(0.2), unique=walk.chance(0.2)) for _ in range(3)]
    kinds += [idempotent(walk)] if walk.chance(0.2) else []
    return created(walk, kinds, await walk.jobs.create_many([one.job() for one in kinds]))


@rule()
async def create_in_a_callers_transaction(walk: Walk) -> str:
    """Which commits."""
    await make_room(walk)
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


@rule()
async def create_twice_at_once(walk: Walk) -> str:
    """Two callers with the same key: one job."""
    await make_room(walk)
    one = with_a_new_key(walk)
    both = await asyncio.gather(*(walk.jobs.create_many([one.job()]) for _ in range(2)))
    first, second = sorted(both, key=lambda got: len(got.met))
    return f"{created(walk, [one], first)}; and {created(walk, [one], second)}"


@rule()
async def a_keys_time_is_over(walk: Walk) -> str:
    """An idempotency key stands for its job no longer."""
    job_type, name, key = await a_key(walk)
    sql = "UPDATE jobs.job_keys SET expires_at = clock_timestamp() WHERE job_type = %(job_type)s AND key = %(key)s"
    await execute(walk.conn, sql, {"job_type": job_type, "key": name})
    key.expired = True
    return name


@rule()
async def expire_the_keys(walk: Walk) -> str:
    """Housekeeping deletes those whose time is over, and no other."""
    over = [place for place, key in walk.model.keys.items() if key.expired]
    if await expire_keys(walk.conn) != len(over):
        raise Violation(f"S10: housekeeping did not delete exactly {over}")
    for place in over:
        del walk.model.keys[place]
    return str(over)
