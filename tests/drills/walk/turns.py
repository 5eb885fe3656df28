"""Rules of turns: jobs of several users, who of them is claimed first, and how turns are noted, given back and forgotten."""

import asyncio
from collections.abc import Sequence

from jobs_core import AnyJob, execute
from jobs_core.claim_limited import claim_limited
from tests.drills.walk.known import Known, must
from tests.drills.walk.limits import look_at_turns
from tests.drills.walk.model_turns import AHEAD, key_of
from tests.drills.walk.new_jobs import USERS, New, created
from tests.drills.walk.runs import a_late_worker, a_worker, begin, create_ready, ids_of, make_room, ready
from tests.drills.walk.walk import FAIR, QUEUES, Walk, rule

_NUMBERS = 700
"""Readiness numbers drawn at once, by others; two such, and a newcomer is not before those who waited since."""


@rule()
async def create_for_users(walk: Walk) -> str:
    """Several, of two users, in a queue and a class."""
    await make_room(walk)
    users, priority = walk.dice.sample(USERS, 2), walk.dice.choice((1, 2, 2))
    several = [
        New(FAIR.name, priority=priority, user_id=walk.dice.choice(users)) for _ in range(walk.dice.choice((2, 3)))
    ]
    return created(walk, several, await walk.jobs.create_many([one.job() for one in several]))


async def _claim(walk: Walk, worker: int, slots: int, queues: Sequence[str] = QUEUES) -> list[AnyJob]:
    async with walk.jobs.database.connection() as conn:
        found = await claim_limited(conn, worker_id=worker, queues=queues, job_types=[FAIR.name], slots=slots)
    return found.jobs


def _in_turn(walk: Walk, queues: Sequence[str] = QUEUES) -> list[Known]:
    """Jobs that take turns, the next one first."""
    return [job for job in ready(walk, [FAIR.name], limited=True) if job.queue in queues]


async def _come(walk: Walk, queue: str) -> None:
    """Two users, in the class of who is next in this queue."""
    first = next(iter(_in_turn(walk, [queue])), None)
    users, priority = walk.dice.sample(USERS, 2), first.priority if first else 2
    await create_ready(walk, *(New(FAIR.name, priority=priority, queue=queue, user_id=user) for user in users))


def _next_two(walk: Walk, queue: str) -> list[Known]:
    """Those whose turns are next in this queue, if they are of one class; else nobody."""
    top = _in_turn(walk, [queue])[:2]
    return top if len({job.priority for job in top}) == 1 < len(top) else []


@rule(1.5)
async def claim_turns(walk: Walk) -> str:
    """Those whose turn it is; of two who have one together, the later one's is noted as the later."""
    if not _in_turn(walk):
        await _come(walk, QUEUES[0])
    worker, slots, waiting = await a_worker(walk), walk.dice.choice((1, 1, 2, 3)), _in_turn(walk)
    wanted = waiting[:slots]
    keys = list({key_of(job): None for job in reversed(wanted)})[::-1]
    runs = await _claim(walk, worker, slots)
    must(
        {run.id for run in runs} == {*ids_of(wanted)}, f"{[run.id for run in runs]} were claimed, not {ids_of(wanted)}"
    )
    walk.took(runs, worker)
    await look_at_turns(walk)
    served = walk.model.turns.served
    for one in keys:
        for other in keys[: keys.index(one)]:
            must(one[:3] != other[:3] or served[other] < served[one], f"{other} had its turn before {one}")
    return f"worker {worker} has {ids_of(wanted)}, started {await begin(walk, runs, 0.5)}"


@rule(1.5)
async def claim_turns_twice_at_once(walk: Walk) -> str:
    """One each, of one queue and class: not both take the same turn."""
    tops = [top for queue in QUEUES if (top := _next_two(walk, queue))]
    if not tops:
        await _come(walk, QUEUES[0])
        tops.append(_next_two(walk, QUEUES[0]))
    worker, (first, second) = await a_worker(walk), walk.dice.choice(tops)
    queue = first.queue
    both = await asyncio.gather(*(_claim(walk, worker, 1, [queue]) for _ in range(2)))
    runs = [run for runs in both for run in runs]
    must(
        {run.id for run in runs} == {first.id, second.id},
        f"{[run.id for run in runs]} had turns, not {first.id} of {first.fair} and {second.id} of {second.fair}",
    )
    walk.took(runs, worker)
    return f"worker {worker} has {[[run.id for run in runs] for runs in both]}"


@rule(1.5)
async def claim_turns_without_a_lease(walk: Walk) -> str:
    """Nothing; and who would have had a turn is next as before."""
    if not _in_turn(walk):
        await _come(walk, QUEUES[0])
    worker = await a_late_worker(walk)
    runs = await _claim(walk, worker, walk.dice.choice((1, 2)))
    must(not runs, f"worker {worker} has no lease, and claimed {[run.id for run in runs]}")
    return f"worker {worker}"


@rule()
async def many_others_become_ready(walk: Walk) -> str:
    """Elsewhere: so long has everybody waited for a turn, but for newcomers."""
    await _pass(walk, _NUMBERS)
    return ""


async def _pass(walk: Walk, numbers: int) -> None:
    await execute(walk.conn, "SELECT setval('jobs.ready_seq', nextval('jobs.ready_seq') + %(n)s)", {"n": numbers})


@rule(1.8)
async def a_newcomer_comes_after_many_others(walk: Walk) -> str:
    """Who had a turn before those came is next, and not the newcomer."""
    if not walk.model.turns.served:
        walk.tell(await claim_turns(walk))
        await look_at_turns(walk)
    queue, job_type, priority, user = walk.pick(sorted(walk.model.turns.served))
    new = walk.pick(user for user in USERS if (queue, job_type, priority, user or "") not in walk.model.turns.served)
    before, newcomer = (New(job_type, priority=priority, queue=queue, user_id=one) for one in (user or None, new))
    await create_ready(walk, before)
    await _pass(walk, AHEAD)
    await create_ready(walk, newcomer)
    return await claim_turns(walk)
