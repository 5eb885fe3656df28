"""Rules of ageing: what is ready for long goes up a class; and what housekeeping forgets of it, of turns and of sticky keys."""

import asyncio
from datetime import timedelta

from jobs_core import Connection, execute, fetch, fetch_one
from jobs_core.ageing import age, forget_ready_times
from jobs_core.sticky import forget_sticky_keys
from jobs_core.turns import forget_fair_keys
from tests.drills.walk.known import Known, must
from tests.drills.walk.model_ageing import Note
from tests.drills.walk.new_jobs import New
from tests.drills.walk.runs import create_ready, done, ids_of
from tests.drills.walk.walk import QUEUES, TYPES, NotNow, Walk, rule

_AGEING = {name: job_type.ageing for name, job_type in TYPES.items() if job_type.ageing}
_NOTED = """
SELECT (SELECT ready_seq FROM jobs.ready_times ORDER BY at DESC LIMIT 1) AS upto,
       (SELECT last_value - (NOT is_called)::integer FROM jobs.ready_seq) AS last
"""


def _old(walk: Walk, types: dict[str, timedelta], queues: list[str], hours: float) -> list[Known]:
    """Those that go up, so many hours from now."""
    old = walk.model.ageing.old(walk.model.jobs.values(), types, queues, after_h=hours)
    return [job for job in old if not walk.model.pauses.keep_back(job)]


async def _pass(walk: Walk, hours: float) -> None:
    span = {"span": timedelta(hours=hours)}
    await execute(walk.conn, "UPDATE jobs.ready_times SET at = at - %(span)s", span)
    walk.model.ageing.pass_hours(hours)


async def _learn(walk: Walk, raised: list[Known], *, in_order: bool) -> None:
    """They stand a class higher, behind all that were ready before; and how far readiness has come by now was noted."""
    sql = "SELECT id FROM jobs.jobs WHERE id = ANY(%(ids)s) ORDER BY ready_seq"
    there = [row["id"] for row in await fetch(walk.conn, sql, {"ids": ids_of(raised)})]
    must(not in_order or there == ids_of(raised), f"{ids_of(raised)} went up, in the order {there}")
    for job in raised:
        job.first_priority = job.priority if job.first_priority is None else job.first_priority
        job.priority -= 1
    noted = await fetch_one(walk.conn, _NOTED)
    assert noted is not None
    must(noted["upto"] == noted["last"] or not in_order, f"{noted}: that is not how far readiness has come")
    walk.model.ageing.notes.append(Note(0.0, noted["upto"]))


@rule(2.5)
async def what_is_ready_ages(walk: Walk) -> str:
    """Hours pass; upkeep has those go up that have been ready for a span, of the types and queues that it serves."""
    hours = walk.dice.choice((0.6, 1.1))
    queues = walk.dice.choice((QUEUES, QUEUES[:1]))
    types = _AGEING if walk.chance(0.7) else dict(walk.dice.sample(list(_AGEING.items()), 3))
    if not _old(walk, types, queues, hours) and walk.chance(0.7):
        raise NotNow
    return await _age(walk, types, queues, hours)


async def _age(walk: Walk, types: dict[str, timedelta], queues: list[str], hours: float) -> str:
    old = _old(walk, types, queues, hours)
    await _pass(walk, hours)
    await age(walk.conn, types, queues=queues)
    await _learn(walk, old, in_order=True)
    return f"{hours} h: {ids_of(old)}"


@rule(1.5)
async def two_look_at_once_for_what_has_aged(walk: Walk) -> str:
    """Each goes up once."""
    if not _old(walk, _AGEING, QUEUES, 1.1):
        await create_ready(walk, New())
        await done(walk, await _age(walk, _AGEING, QUEUES, 0.6))
    old = _old(walk, _AGEING, QUEUES, 1.1)
    await _pass(walk, 1.1)

    async def one(conn: Connection) -> None:
        await age(conn, _AGEING, queues=QUEUES)

    async with walk.jobs.database.connection() as other:
        await asyncio.gather(one(walk.conn), one(other))
    await _learn(walk, old, in_order=False)
    return str(ids_of(old))


@rule(1.1)
async def forget_what_is_only_for_order(walk: Walk) -> str:
    """Days later: who was served, which worker ran what, how long who is ready. Keys of dead workers go at once."""
    model = walk.model
    there = {
        "turns": model.turns.served,
        "keys of the dead": model.sticky.last,
        "keys": model.sticky.last,
        "ages": model.ageing.notes,
    }
    what = walk.pick(name for name, some in there.items() if some)
    match what:
        case "turns":
            await execute(walk.conn, "UPDATE jobs.fair_keys SET served_at = served_at - interval '2 hours'")
            model.turns.served = {}
        case "keys":
            await execute(walk.conn, "UPDATE jobs.sticky_keys SET ran_at = ran_at - interval '2 days'")
            model.sticky.last = {}
        case "ages":
            await execute(walk.conn, "UPDATE jobs.ready_times SET at = at - interval '3 days'")
            model.ageing.notes = []
    model.sticky.forget({id_ for id_, worker in model.workers.items() if worker.dead})
    await forget_fair_keys(walk.conn)
    await forget_sticky_keys(walk.conn)
    await forget_ready_times(walk.conn)
    return what
