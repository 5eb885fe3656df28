"""Pickup: how long an idle worker takes from the call that creates a job to the start of its handler, 50 times a second."""

from benchmarks.contender import Contender
from benchmarks.plan import PICKUPS_PER_S, Plan
from benchmarks.server import Server

_WARM_UP = 25
_WITHIN_S = 60.0


async def picked_up(server: Server, contender: Contender, plan: Plan) -> tuple[float, float]:
    """p50 and p99 in ms, on CLOCK_MONOTONIC, which all processes of a machine share. Raises BenchFailed."""
    async with server.fresh(migrated=contender.migrated) as dsn:
        await contender.install(dsn)
        async with contender.producing(dsn) as producer, contender.working(dsn, 1) as fleet:
            fleet.go()
            await producer.do("pickup", _WARM_UP, per_s=PICKUPS_PER_S)
            if not await fleet.until(_WARM_UP, _WITHIN_S):
                raise contender.failed("did not pick up its jobs")
            fleet.ms.clear()
            await producer.do("pickup", plan.pickups, per_s=PICKUPS_PER_S)
            if not await fleet.until(_WARM_UP + plan.pickups, _WITHIN_S):
                raise contender.failed("did not pick up its jobs")
            seen = sorted(fleet.ms)
    return seen[len(seen) // 2], seen[len(seen) * 99 // 100]
