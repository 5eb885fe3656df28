"""Fairness: one user's 10,000 jobs delay another's single job by at most 1.5 times its idle pickup, and one job's run.

    idle      B creates a job, and once more … ─▶ pickups of a queue in which nothing else is
    loaded    A creates 10,000 at once; B creates a job, and once more … ─▶ pickups behind them

Eight workers, two runs each at once. Claimed by arrival, B's jobs must come later than that.
"""

import asyncio
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from jobs_core import Connection, Database, Jobs, NewJob, fetch_one
from tests.drills.fair_worker import Options
from tests.drills.fleet import Fleet
from tests.drills.report import quantile, show
from tests.support.turns import ERRAND, Errand, table

_FIRST_JOB_S = 60.0
"""For workers to come up, on a machine that does much else."""


@dataclass(frozen=True, slots=True)
class Plan:
    """`singles`: how many jobs B creates, idle and again loaded. `by_arrival`: the mutant."""

    jobs: int
    singles: int
    seed: int
    run_s: float = 0.1
    processes: int = 8
    workers_each: int = 1
    slots: int = 2
    by_arrival: bool = False

    @property
    def workers(self) -> int:
        """All of them."""
        return self.processes * self.workers_each


@dataclass(slots=True)
class Report:
    """Seconds from B's creates to their claims, and how many of A's jobs were left when the last of B's was claimed."""

    left: int = 0
    idle_s: list[float] = field(default_factory=list)
    loaded_s: list[float] = field(default_factory=list)

    def broken(self, plan: Plan, *, slack: float = 1.0) -> list[str]:
        """What did not hold; `slack` is a factor on the promised time."""
        found = [] if self.left else ["A's jobs were done before B's: give A more of them"]
        for part in (0.5, 0.95):
            promised_s = slack * (1.5 * quantile(self.idle_s, part) + plan.run_s)
            seen_s = quantile(self.loaded_s, part)
            if seen_s > promised_s:
                found.append(f"p{part * 100:.0f}: {seen_s:.3f} s, promised are {promised_s:.3f} s")
        return found


async def run(dsn: str, plan: Plan, log: Path) -> Report:
    """Carry out the plan on a fresh migrated database."""
    rng, report = random.Random(plan.seed), Report()
    options = Options(dsn, plan.workers_each, plan.slots, plan.run_s, by_arrival=plan.by_arrival)
    async with Database(dsn, name="drill") as database, Jobs(database, table()) as jobs:
        with Fleet(options.command(), plan.processes, log):
            await until_up(database, plan.workers)
            report.idle_s = await _singles(jobs, plan, rng)
            await jobs.create_many([NewJob(ERRAND, Errand(user="A"))] * plan.jobs)
            report.loaded_s = await _singles(jobs, plan, rng)
            async with database.connection() as conn:
                report.left = await _ready(conn)
    return report


async def until_up(database: Database, workers: int) -> None:
    """Wait until so many workers live. Raises TimeoutError."""
    async with asyncio.timeout(_FIRST_JOB_S), database.connection() as conn:
        while True:
            row = await fetch_one(conn, "SELECT count(*) AS n FROM jobs.workers WHERE dead_at IS NULL")
            if row and row["n"] >= workers:
                return
            await asyncio.sleep(0.1)


async def _singles(jobs: Jobs, plan: Plan, rng: random.Random) -> list[float]:
    """How long each of B's jobs waited for its claim; one after the other, at moments that have to do with no run's."""
    waited = list[float]()
    for _ in range(plan.singles):
        await asyncio.sleep(rng.uniform(plan.run_s, 2 * plan.run_s))
        waited.append(await _pickup_s(jobs, plan))
        if plan.by_arrival and waited[-1] > 20 * plan.run_s:
            break  # it has shown what it was to show
    return waited


async def _pickup_s(jobs: Jobs, plan: Plan) -> float:
    job_id = (await jobs.create(ERRAND, Errand(user="B"))).id
    claimed = """
    SELECT extract(epoch FROM claimed_at - created_at)::double precision AS s,
           extract(epoch FROM clock_timestamp() - created_at)::double precision AS so_far_s
    FROM (SELECT id, claimed_at, created_at FROM jobs.jobs UNION ALL SELECT id, claimed_at, created_at FROM jobs.history) AS j
    WHERE id = %(id)s
    """
    async with jobs.database.connection() as conn:
        while True:
            row = await fetch_one(conn, claimed, {"id": job_id})
            if row and row["s"] is not None:
                return float(row["s"])
            if row and plan.by_arrival and row["so_far_s"] > 20 * plan.run_s:
                return float(row["so_far_s"])
            await asyncio.sleep(0.02)


async def _ready(conn: Connection) -> int:
    row = await fetch_one(conn, "SELECT count(*) AS n FROM jobs.jobs WHERE ready_seq IS NOT NULL")
    return row["n"] if row else 0


def main(arguments: Sequence[str]) -> int:
    """`./jobs drill fair [--short]`: as it is, then by arrival; 0 when the one held and the other did not."""
    from tests.drills.main import in_fresh_databases, parse

    options = parse("fair", arguments, seed=random.randrange(10_000))
    singles = 15 if options.short else 60
    broken = 0
    for how, dsn, log in in_fresh_databases("by turns", "by arrival"):
        plan = Plan(10_000, singles, options.seed, by_arrival=how == "by arrival")
        report = asyncio.run(run(dsn, plan, log))
        found = report.broken(plan)
        if plan.by_arrival:
            found = [] if found else ["by arrival, B did not wait for A"]
        broken += show(plan, report, found)
    return broken
