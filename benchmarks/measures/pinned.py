"""Create and drain in rounds at full speed while a snapshot is held open, so that no dead row can be cleaned away.

snapshot taken ─▶ warm-up ─▶ create n ─▶ handled n ─▶ create n ─▶ … for so many seconds ─▶ first rounds, last rounds
"""

from statistics import median

from psycopg import AsyncConnection

from benchmarks.contender import Contender, now_s
from benchmarks.plan import DRAIN_LIMIT_S, Plan
from benchmarks.server import Server

_FEWEST, _MOST = 100, 10_000
_WARM_UPS = 3
_SHARE = 5
"""The first and the last fifth of the rounds are compared."""


async def pinned(server: Server, contender: Contender, plan: Plan) -> tuple[float, float]:
    """Jobs/s, created and handled, of the first rounds and of the last; one run. Raises BenchFailed."""
    rates: list[float] = []
    jobs, created = _FEWEST, 0
    async with server.fresh(migrated=contender.migrated) as dsn:
        await contender.install(dsn)
        async with (
            await AsyncConnection.connect(dsn) as holder,
            contender.producing(dsn) as producer,
            contender.working(dsn, 1) as fleet,
        ):
            await holder.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            await holder.execute("SELECT pg_current_snapshot()")
            fleet.go()
            ends_s = now_s() + plan.pinned_s
            while now_s() < ends_s:
                began, before = now_s(), fleet.handled
                await producer.create_bulk(jobs)
                created += jobs
                whole = await fleet.until(created, DRAIN_LIMIT_S)
                rates.append((fleet.handled - before) / (now_s() - began))
                if not whole:
                    break
                jobs = max(_FEWEST, min(_MOST, round(rates[-1])))
    counted = rates[_WARM_UPS:] or rates[-1:]
    share = max(1, len(counted) // _SHARE)
    return median(counted[:share]), median(counted[-share:])
