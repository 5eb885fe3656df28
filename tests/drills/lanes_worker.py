"""A process of the lanes drill: `python -m tests.drills.lanes_worker DSN CREATORS SETTLERS JOBS LANES SEED whole|folded`.

Creators create JOBS jobs each, by SQL and Python in turns, in transactions that stay open for a moment, as a chat's ingress
does; then they are done.
Settlers claim and complete, or sometimes fail, until they are killed. While the creators create, lanes are held and released.
"""

import asyncio
import random
import sys
from dataclasses import replace

from jobs_core import Complete, Database, Fail, Jobs
from jobs_core.claim import claim
from jobs_core.declare import declare_types
from jobs_core.lanes import hold, release
from jobs_core.leases import register
from jobs_core.settle import settle
from tests.support.job_types import LANE_NOTE, table
from tests.support.mutants import LANE_LOCK_FOLDED_IN, mutated
from tests.support.sql_create import create_by_sql

HOLDING = replace(LANE_NOTE, holds_lane=True)
_FAILING = 0.02
"""Of the jobs."""
_BY_HAND = 0.2
"""Of what is done to lanes by hand: the rest are releases."""


async def create(jobs: Jobs, count: int, lanes: int, rng: random.Random) -> None:
    """Create, each in a transaction of its own."""
    for number in range(count):
        lane = f"lane {rng.randrange(lanes)}"
        async with jobs.database.transaction() as conn:
            if number % 2:
                await jobs.create(LANE_NOTE, {"lane": lane}, conn=conn)
            else:
                await create_by_sql(conn, LANE_NOTE.name, lane=lane)
            await asyncio.sleep(rng.uniform(0.0, 0.004))


async def settle_on(database: Database, rng: random.Random, failing: float) -> None:
    """Claim one at a time, work for a moment, complete; for ever."""
    async with database.connection() as conn:
        worker_id = await register(conn, queues=["default"], job_types=["lane_note"], slots=1, lease_s=600)
        while True:
            jobs = await claim(conn, worker_id=worker_id, queues=["default"], job_types=["lane_note"], slots=1)
            for job in jobs:
                await asyncio.sleep(rng.uniform(0.0, 0.002))
                await settle(conn, job, Fail("no") if rng.random() < failing else Complete(), HOLDING)
            if not jobs:
                await asyncio.sleep(0.005)


async def hold_and_release(database: Database, lanes: int, rng: random.Random) -> None:
    """Now and then hold a lane by hand, and release most of those that are held, for ever."""
    async with database.connection() as conn:
        while True:
            await asyncio.sleep(rng.uniform(0.0, 0.01))
            lane = f"lane {rng.randrange(lanes)}"
            if rng.random() < _BY_HAND:
                await hold(conn, lane, held_by="somebody")
            else:
                await release(conn, lane)


async def main(dsn: str, *, creators: int, settlers: int, count: int, lanes: int, seed: int, holds: bool) -> None:
    """All of them in one process. holds: lanes are held and released, too; it would free lanes that a mutant has stranded."""
    rng = random.Random(seed)
    async with (
        Database(dsn, name="lanes", max_connections=creators + settlers + 3) as database,
        Jobs(database, table()) as jobs,
        asyncio.TaskGroup() as group,
    ):
        async with database.connection() as conn:
            await declare_types(conn, jobs.table.job_types)
        for _ in range(settlers):
            group.create_task(settle_on(database, rng, _FAILING if holds else 0.0))
        holder = group.create_task(hold_and_release(database, lanes, rng)) if holds else None
        await asyncio.gather(*(create(jobs, count, lanes, rng) for _ in range(creators)))
        if holder:
            holder.cancel()
        print("created", flush=True)


if __name__ == "__main__":
    _, dsn, *numbers, how = sys.argv
    creators, settlers, count, lanes, seed = map(int, numbers)
    with mutated(*(LANE_LOCK_FOLDED_IN if how == "folded" else ())):
        asyncio.run(
            main(dsn, creators=creators, settlers=settlers, count=count, lanes=lanes, seed=seed, holds=how == "whole")
        )
