"""Limits on eight workers, which are killed: never passed, no slot leaked; and a rate, which is kept within 1 % over a minute.

    slots   2,000 jobs of four keys, 1 to 5 slots each, weights among them; a worker is killed every second or so
    rate    50 a second of one key, jobs enough; the claims of each 60 s are counted

Slots that a claim sees free, and does not lock, must be passed. The rate's test by a clock that is moved, with its mutant, is
tests/database/test_limits_races.py.
"""

import asyncio
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jobs_core import Complete, Connection, Database, Jobs, NewJob, fetch, fetch_one
from jobs_core.leases import register
from jobs_core.settle import settle
from jobs_core.suspects import claim_alone
from tests.drills.fair import until_up
from tests.drills.fair_worker import Options
from tests.drills.fleet import Fleet
from tests.drills.report import show
from tests.support.limits import BOUND, Bound, in_use, rate_of, slots_of, table, wrong

KEYS = {"a": 1, "b": 2, "c": 3, "d": 5}
RATE_PER_S = 50.0
_LEASE_S = 4.0
_AWAY_S = 60.0
"""For the last jobs to end: those of a worker that was killed wait for its lease."""


@dataclass(frozen=True, slots=True)
class Plan:
    """`kills` while `jobs` with slots are done; then a rate for `rated_s`. `unlocked`: the mutant, of slots alone."""

    jobs: int
    kills: int
    rated_s: float
    seed: int
    processes: int = 8
    workers_each: int = 1
    unlocked: bool = False


@dataclass(slots=True)
class Report:
    """wrong: what did not hold in some look, and how often. left: jobs that did not end. rated: claims in `rated_s`."""

    looks: int = 0
    wrong: dict[str, int] = field(default_factory=dict)
    left: int = 0
    leaked: int = 0
    killed: int = 0
    rated: int = 0

    def broken(self, plan: Plan) -> list[str]:
        """What did not hold."""
        found = [f"{name}: in {times} of {self.looks} looks" for name, times in self.wrong.items()]
        found += [f"{self.left} jobs did not end"] if self.left else []
        found += [f"{self.leaked} slots leaked"] if self.leaked else []
        expected = RATE_PER_S * plan.rated_s
        if plan.rated_s and abs(self.rated - expected) > expected / 100:
            found.append(f"rate: {self.rated} claims, {expected:.0f} were allowed")
        return found


async def run(dsn: str, plan: Plan, log: Path) -> Report:
    """Carry out the plan on a fresh migrated database."""
    rng, report = random.Random(plan.seed), Report()
    options = Options(dsn, plan.workers_each, slots=4, run_s=0.01, lease_s=_LEASE_S, unlocked=plan.unlocked)
    async with Database(dsn, name="drill") as database, Jobs(database, table()) as jobs:
        with Fleet(options.command(), plan.processes, log) as fleet:
            await until_up(database, plan.processes * plan.workers_each)
            await jobs.create_many([_new_job(rng) for _ in range(plan.jobs)])
            async with database.connection() as conn:
                await _kept(conn, fleet, plan, rng, report)
                if plan.rated_s:
                    await _rated(conn, jobs, plan, report)
    return report


def _new_job(rng: random.Random) -> NewJob:
    keys = rng.sample(sorted(KEYS), rng.choice((1, 1, 2, 3)))
    return NewJob(BOUND, Bound(limits=[slots_of(key, KEYS[key], rng.choice((1, 1, 2))) for key in keys]))


async def _kept(conn: Connection, fleet: Fleet, plan: Plan, rng: random.Random, report: Report) -> None:
    """Look all the while, and kill, until all jobs have ended, or none has for too long."""
    clock = asyncio.get_running_loop().time
    kill_at, left, moved_at = clock() + 1.0, plan.jobs, clock()
    alone_id = await register(conn, queues=["default"], job_types=[], slots=1, lease_s=600)
    while left and clock() < moved_at + _AWAY_S and not (plan.unlocked and report.wrong):
        _count(report, await wrong(conn))
        if report.killed < plan.kills and clock() > kill_at:
            fleet.kill(rng.choice(fleet.workers))
            report.killed += 1
            kill_at = clock() + rng.uniform(0.5, 1.5)
        suspect = await claim_alone(conn, worker_id=alone_id, queues=["default"], job_types=[BOUND.name])
        if suspect:  # started, and its worker was killed: no worker takes it, but an alone runner, which this is
            await settle(conn, suspect, Complete(), BOUND)
        now_left = await _left(conn)
        if now_left != left:
            left, moved_at = now_left, clock()
        await asyncio.sleep(0.02)
    report.left = left
    report.leaked = sum(held for held, _ in (await in_use(conn)).values()) if not left else 0


def _count(report: Report, found: Mapping[str, Sequence[Any]]) -> None:
    report.looks += 1
    for name in found:
        report.wrong[name] = report.wrong.get(name, 0) + 1


async def _left(conn: Connection) -> int:
    row = await fetch_one(conn, "SELECT count(*) AS n FROM jobs.jobs")
    return row["n"] if row else 0


async def _rated(conn: Connection, jobs: Jobs, plan: Plan, report: Report) -> None:
    """From two seconds after the first claim on, for the bucket's first permits and a worker's first look."""
    new = NewJob(BOUND, Bound(limits=[rate_of("rate", RATE_PER_S)]))
    await jobs.create_many([new] * int(RATE_PER_S * (plan.rated_s + 10)))
    await asyncio.sleep(plan.rated_s + 4)
    counted = """
    WITH claims AS (
        SELECT claimed_at FROM jobs.history WHERE input @> '{"limits": [{"key": "rate"}]}'
        UNION ALL SELECT claimed_at FROM jobs.jobs WHERE claimed_at IS NOT NULL AND input @> '{"limits": [{"key": "rate"}]}'
    ), began AS (SELECT min(claimed_at) + interval '2 s' AS at FROM claims)
    SELECT count(*) AS n FROM claims, began
    WHERE claimed_at >= began.at AND claimed_at < began.at + make_interval(secs => %(rated_s)s)
    """
    (row,) = await fetch(conn, counted, {"rated_s": plan.rated_s})
    report.rated = row["n"]


def main(arguments: Sequence[str]) -> int:
    """`./jobs drill limits [--short]`: as it is, then with slots that are not locked; 0 when one held and the other did not."""
    from tests.drills.main import in_fresh_databases, parse

    options = parse("limits", arguments, seed=random.randrange(10_000))
    jobs, kills, rated_s = (400, 5, 10.0) if options.short else (5_000, 60, 60.0)
    broken = 0
    for how, dsn, log in in_fresh_databases("locked", "unlocked"):
        mutant = how == "unlocked"
        plan = Plan(jobs, 0 if mutant else kills, 0.0 if mutant else rated_s, options.seed, unlocked=mutant)
        report = asyncio.run(run(dsn, plan, log))
        found = report.broken(plan)
        if mutant:
            found = [] if "passed" in report.wrong else ["unlocked, no limit was passed"]
        broken += show(plan, report, found)
    return broken
