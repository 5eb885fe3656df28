"""Liveness: once faults stop, times come and events are emitted, every job ends, and no request to cancel is left."""

from jobs_core import Complete, Limit, execute, fetch
from jobs_core.claim import claim
from jobs_core.claim_limited import claim_limited
from jobs_core.lanes import release
from jobs_core.limits import set_limit
from jobs_core.settle import settle
from jobs_core.suspects import claim_alone
from jobs_core.upkeep import promote_due, rescue
from tests.drills.walk.known import Violation
from tests.drills.walk.model_limits import DECLARED
from tests.drills.walk.runs import new_worker
from tests.drills.walk.walk import MOST_JOBS, QUEUES, TYPES, Walk
from workers.cancels import deal_with_cancels

_ROUNDS = MOST_JOBS * 2
"""Each round ends every job that is ready: a lane's head, a parent's children."""

_TIMES_COME = """
UPDATE jobs.jobs SET scheduled_for = clock_timestamp() - interval '1 second'
WHERE state = 'pending' AND ready_seq IS NULL AND scheduled_for > clock_timestamp();
UPDATE jobs.jobs SET wait_until = clock_timestamp() - interval '1 second' WHERE wait_until > clock_timestamp();
UPDATE jobs.workers SET dead_at = clock_timestamp() WHERE dead_at IS NULL;
DELETE FROM jobs.pauses
"""
_AWAITED = "SELECT DISTINCT wait_event AS event FROM jobs.jobs WHERE wait_event <> 'jobs:children'"
_HELD = "SELECT lane FROM jobs.lanes WHERE held_at IS NOT NULL ORDER BY lane"
_LEFT = "SELECT id, state, lane, lane_pos, parent_id, wait_event FROM jobs.jobs ORDER BY id"


async def all_end(walk: Walk) -> None:
    """Let everything end. Raises Violation where something does not."""
    await execute(walk.conn, _TIMES_COME)
    for key in DECLARED:
        await set_limit(walk.conn, Limit(key, slots=MOST_JOBS))
    worker, alone = await new_worker(walk, alone=False), await new_worker(walk, alone=True)
    for _ in range(_ROUNDS):
        await rescue(walk.conn)
        for row in await fetch(walk.conn, _HELD):
            await release(walk.conn, row["lane"])
        await promote_due(walk.conn)
        await deal_with_cancels(walk.conn, walk.jobs, worker, lambda *_: None)
        for row in await fetch(walk.conn, _AWAITED):
            await walk.jobs.emit(row["event"], {"again": True})
        runs = await claim(walk.conn, worker_id=worker, queues=QUEUES, job_types=list(TYPES), slots=1000)
        limited = await claim_limited(
            walk.conn, worker_id=worker, queues=QUEUES, job_types=list(TYPES), slots=MOST_JOBS
        )
        runs += limited.jobs
        while one := await claim_alone(walk.conn, worker_id=alone, queues=QUEUES, job_types=list(TYPES)):
            runs.append(one)
        for run in runs:
            await settle(walk.conn, run, Complete(), TYPES[run.job_type])
        left = await fetch(walk.conn, _LEFT)
        if not left:
            break
    else:
        raise Violation(f"these never end, though nothing fails any more: {left}")
    await deal_with_cancels(walk.conn, walk.jobs, worker, lambda *_: None)
    if requests := await fetch(walk.conn, "SELECT job_id FROM jobs.cancel_requests"):
        raise Violation(f"every job has ended, and yet requests to cancel are left: {requests}")
