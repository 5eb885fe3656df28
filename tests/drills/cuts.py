"""R8: connections cut at every point of the protocol, during every statement of the queue.

    producers ─▶ ┌ cutting proxy ┐ ─▶ Postgres          before a statement is sent, half-way through it, before its answer,
    workers ───▶ └ cut, cut, cut ┘                      half-way through that and after it; COMMIT too; in order or by a reset

Creates go half by idempotency key and half in the producer's own transaction, so that they can be repeated; without either
the same drill must show jobs created twice. At the end every connection of every pool must still be to be had.
"""

import asyncio
import random
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from jobs_core import Database, Jobs
from tests.drills import load
from tests.drills.fleet import Fleet
from tests.drills.load_worker import Options, usable
from tests.drills.main import in_fresh_databases, parse
from tests.drills.report import show
from tests.support.cutting_proxy import POINTS, Cutter, cutting

SETTINGS = {"slots": 10, "lease_s": 3.0, "renew_s": 0.3, "upkeep_s": 0.5, "poll_s": 1.0, "drain_s": 5.0}
_CONNECTIONS = 6
_COVERED_WITHIN_S = 60.0
MUST_BE_CUT = ("connect", "job/create", "job/claim", "job/start", "job/end", "worker/renew", "begin", "commit")
"""What a statement's name begins with."""


@dataclass(frozen=True, slots=True)
class Plan:
    """`cuts` in all; `safe` False is the demonstration: creates are repeated by producers that do nothing against a second."""

    cuts: int
    seed: int
    safe: bool = True
    pause_s: float = 0.02
    per_s: float = 150.0
    processes: int = 2


@dataclass(slots=True)
class Report:
    """cut: how often each statement was, at each point. pools: how many were looked at when their process was drained, and
    leaked: the connections that they no longer give out."""

    findings: load.Findings | None = None
    created: int = 0
    unanswered: int = 0
    leaked: int = 0
    pools: int = 0
    cut: dict[str, str] = field(default_factory=dict)

    def broken(self) -> list[str]:
        """What did not hold."""
        assert self.findings
        return [
            *self.findings.broken,
            *([f"leaked: {self.leaked}"] if self.leaked else []),
            *([f"pools: {self.pools}"] if self.pools < 3 else []),
            *(f"never cut: {statement}" for statement in _uncut(self.cut)),
        ]


async def run(dsn: str, plan: Plan, log: Path) -> Report:
    """Carry out the plan on a fresh migrated database."""
    report = Report()
    cutter = Cutter(random.Random(plan.seed), cuts=plan.cuts, pause_s=plan.pause_s)
    async with cutting(dsn, cutter) as cut_dsn, Database(dsn, name="drill looks") as looks:
        async with looks.connection() as conn:
            await load.prepare(conn)
        supervisor = Options(cut_dsn, SETTINGS, processes=plan.processes, connections=_CONNECTIONS)
        pool = Database(cut_dsn, name="drill", max_connections=_CONNECTIONS)
        async with pool, Jobs(pool, load.table()) as jobs:
            with Fleet(supervisor.command(), 1, log) as fleet:
                producers = load.Producers(load.either_way(jobs) if plan.safe else _plainly(jobs), per_s=plan.per_s)
                await _produce_until_cut(producers, cutter)
                async with looks.connection() as conn:
                    await load.drained(conn, 60.0)
                    report.findings = await load.findings(conn, producers.acknowledged)
                pools = await asyncio.to_thread(fleet.drain)
            report.pools = len(pools) + 1
            report.leaked = sum(one["connections"] - one["usable"] for one in pools)
            report.leaked += _CONNECTIONS - await usable(pool, _CONNECTIONS)
    report.created, report.unanswered = len(producers.acknowledged), producers.unanswered
    report.cut = _table(cutter.cuts)
    return report


async def _produce_until_cut(producers: load.Producers, cutter: Cutter) -> None:
    producing = asyncio.create_task(producers.run())
    async with asyncio.timeout(_COVERED_WITHIN_S + cutter.left):
        while (cutter.left or _uncut({statement for statement, _ in cutter.cuts})) and not producing.done():
            await asyncio.sleep(0.05)
    cutter.stopped = True
    producers.stop()
    await producing


def _uncut(cut: Collection[str]) -> list[str]:
    return [name for name in MUST_BE_CUT if not any(statement.startswith(name) for statement in cut)]


def _plainly(jobs: Jobs) -> load.Create:
    async def create(job_type: load.WorkType, work: load.Work) -> int:
        return (await jobs.create(job_type, work)).id

    return create


def _table(cuts: Counter[tuple[str, str]]) -> dict[str, str]:
    """For each statement: how often it was cut, by point."""
    return {
        statement: " ".join(f"{point} {cuts[statement, point]}" for point in POINTS if cuts[statement, point])
        for statement in sorted({statement for statement, _ in cuts})
    }


def main(arguments: Sequence[str]) -> int:
    """`./jobs drill cuts [--short] [--pgbouncer]`: safe creates, then plain ones; 0 when only those made a second job."""
    options = parse("cuts", arguments, seed=random.randrange(10_000), poolable=True)
    cuts = 200 if options.short else 2_000
    failures = 0
    for name, dsn, log in in_fresh_databases("safe", "plain", pooled=options.pgbouncer):
        plan = Plan(cuts, options.seed) if name == "safe" else Plan(200, options.seed, safe=False)
        report = asyncio.run(run(dsn, plan, log))
        failures += show(plan, report, report.broken() if plan.safe else missed(report))
    return 1 if failures else 0


def missed(report: Report) -> list[str]:
    """What the demonstration did not show."""
    assert report.findings
    return [] if report.findings.twins else ["creates were repeated blindly, and no job was created twice"]
