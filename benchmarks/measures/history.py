"""Drains that keep their jobs in history, beside a year of it and without, in turns."""

from benchmarks.contender import Contender
from benchmarks.measures.drain import drained
from benchmarks.measures.year import DAYS, make_history
from benchmarks.plan import Plan
from benchmarks.server import Server


async def drained_beside_a_year(server: Server, contender: Contender, plan: Plan) -> list[tuple[float, float]]:
    """Jobs/s of each round, beside `plan.ended` jobs and without. Raises BenchFailed."""
    rounds = []
    async with server.fresh() as year, server.fresh() as none:
        await make_history(year, plan.ended, days=DAYS)
        for number in range(plan.rounds):
            rates = {}
            for dsn in (year, none) if number % 2 else (none, year):
                rates[dsn] = await drained(contender, dsn, plan.jobs, kind="kept", vacuumed="jobs.jobs")
            rounds.append((rates[year], rates[none]))
    return rounds
