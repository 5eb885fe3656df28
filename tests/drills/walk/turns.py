"""Rules of turns: jobs of several users, who of them is claimed first, and how turns are noted, given back and forgotten."""

import asyncio
from collections.abc import Sequence

from jobs_core import AnyJob, execute
from jobs_core.claim_limited import claim_limited
from tests.drills.walk.claims import begin, ids_of, ready
from tests.drills.walk.known import Known, must
from tests.drills.walk.limits import look_at_turns
from tests.drills.walk.model_turns import key_of
from tests.drills.walk.new_jobs import USERS, New, created
from tests.drills.walk.walk import FAIR, QUEUES, NotNow, Walk, rule

_NUMBERS = 700
"""Readiness numbers drawn at once, by others; two such, and a newcomer is not before those who waited since."""


@rule(2.2)
async def create_for_users(walk: Walk) -> str:
    """Several, of two users, in a queue and a class."""
    walk.has_room()
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


@rule(18)
async def claim_turns(walk: Walk) -> str:
    """Those whose turn it is; of two who have one together, the later one's is noted as the later."""
    worker, slots, waiting = walk.worker(), walk.dice.choice((1, 1, 2, 3)), _in_turn(walk)
    if not waiting:
        raise NotNow
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


@rule(65)
async def claim_turns_twice_at_once(walk: Walk) -> str:
    """One each, of one queue and class: not both take the same turn."""
    worker, tops = walk.worker(), [_in_turn(walk, [queue])[:2] for queue in QUEUES]
    first, second = walk.pick(top for top in tops if len({job.priority for job in top}) == 1 < len(top))
    queue = first.queue
    both = await asyncio.gather(*(_claim(walk, worker, 1, [queue]) for _ in range(2)))
    runs = [run for runs in both for run in runs]
    must(
        {run.id for run in runs} == {first.id, second.id},
        f"{[run.id for run in runs]} had turns, not {first.id} of {first.fair} and {second.id} of {second.fair}",
    )
    walk.took(runs, worker)
    return f"worker {worker} has {[[run.id for run in runs] for runs in both]}"


@rule(9.3)
async def claim_turns_without_a_lease(walk: Walk) -> str:
    """Nothing; and who would have had a turn is next as before."""
    worker = walk.worker(alone=None, good=False)
    if not _in_turn(walk):
        raise NotNow
    runs = await _claim(walk, worker, walk.dice.choice((1, 2)))
    must(not runs, f"worker {worker} has no lease, and claimed {[run.id for run in runs]}")
    return f"worker {worker}"


@rule(2.1)
async def many_others_become_ready(walk: Walk) -> str:
    """Elsewhere: so long has everybody waited for a turn, but for newcomers."""
    await execute(walk.conn, "SELECT setval('jobs.ready_seq', nextval('jobs.ready_seq') + %(n)s)", {"n": _NUMBERS})
    return ""
