"""Drain: how fast workers get through jobs that are there, alone and beside a million others.

mark ─▶ create n ─▶ vacuum, checkpoint ─▶ workers imported ─▶ go ─▶ first handled … all handled ─▶ all settled
                                                                      └────────── the time ──────────┘
"""

import asyncio

from benchmarks.contender import Contender, now_s
from benchmarks.plan import DRAIN_LIMIT_S, Plan
from benchmarks.server import Server, plain, value

_LOOK_S = 0.001
_SETTLED_WITHIN_S = 30.0


async def drained(
    contender: Contender, dsn: str, jobs: int, *, processes: int = 1, kind: str = "ready", vacuumed: str = ""
) -> float:
    """Create jobs and drain them; returns jobs/s, from the first handled to all settled as Postgres sees it.

    vacuumed: a table; none: all of them.
    One that takes longer than DRAIN_LIMIT_S is cut off: its rate is what it handled until then. Raises BenchFailed.
    """
    async with plain(dsn) as conn:
        mark = await value(conn, contender.mark)
        async with contender.producing(dsn) as producer:
            await producer.create_bulk(jobs, kind)
        await conn.execute(f"VACUUM (ANALYZE) {vacuumed}")
        await conn.execute("CHECKPOINT")
        async with contender.working(dsn, processes) as fleet:
            fleet.go()
            if not await fleet.until(1, _SETTLED_WITHIN_S):
                raise contender.failed("handled nothing")
            if await fleet.until(jobs, DRAIN_LIMIT_S):
                async with asyncio.timeout(_SETTLED_WITHIN_S):
                    while await value(conn, contender.unfinished, mark):  # noqa: ASYNC110 - it lies in Postgres
                        await asyncio.sleep(_LOOK_S)
            return min(fleet.handled, jobs) / (now_s() - fleet.first_s)


async def drained_alone(
    server: Server, contender: Contender, plan: Plan, *, processes: int, kind: str = "ready"
) -> float:
    """`drained` in a database of its own."""
    async with server.fresh(migrated=contender.migrated) as dsn:
        await contender.install(dsn)
        return await drained(contender, dsn, plan.jobs, processes=processes, kind=kind)


async def drained_beside(server: Server, contender: Contender, plan: Plan, kind: str) -> list[float]:
    """The drains of one worker beside `plan.beside` jobs of another kind, all in one database."""
    async with server.fresh(migrated=contender.migrated) as dsn:
        await contender.install(dsn)
        async with contender.producing(dsn) as producer:
            await producer.create_bulk(plan.beside, kind)
        return [await drained(contender, dsn, plan.jobs) for _ in range(plan.rounds)]
