"""R3: SIGKILL, and SIGSTOP past the lease, of workers at random, under load.

    create all along ─▶ two workers ─▶ history          every fault: pick a worker, kill it (a new one takes its place),
                         ▲ faults at random              or freeze it past its lease and let it go on as a zombie;
                         └─ record by triggers ─▶ verdict    what it had started runs alone, in two more processes

Run with the workers' own deadlines off, the fence is the only guard; run without the fence, stale completions must show.
"""

import asyncio
import os
import random
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path

from jobs_core import Connection, Database, Jobs, NewJob, fetch_one
from tests.drills.fleet import Fleet
from tests.drills.kill_worker import LEASE_S, UPKEEP_S
from tests.drills.records import Verdict, keep_records, taken_back_s, verdict
from tests.support.job_types import NOTE, table

RECOVERY_S = LEASE_S + UPKEEP_S + 0.5
"""P8: a dead worker's work is ready again within lease + one upkeep period + 0.5 s (p99)."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What to do: `kills` and `freezes` among `jobs` jobs on `workers` workers of `slots` slots each."""

    jobs: int
    kills: int
    freezes: int
    mode: str = "guarded"
    seed: int = 0
    workers: int = 2
    slots: int = 20
    pause_s: float = 0.3
    drained_within_s: float = 120.0


@dataclass(slots=True)
class Report:
    """What came of it. `refused`: outcomes that zombies tried to write; recovery in seconds."""

    plan: Plan
    verdict: Verdict | None = None
    refused: int = 0
    recovery_s: list[float] = field(default_factory=list)

    def lines(self) -> list[str]:
        """For a person to read."""
        assert self.verdict is not None
        seen = sorted(self.recovery_s)
        share = {
            name: seen[int(len(seen) * part)] for name, part in (("p50", 0.5), ("p99", 0.99), ("max", 0.9999)) if seen
        }
        numbers = {**asdict(self.plan), **asdict(self.verdict), "refused": self.refused}
        recovery = {f"recovery_{name}_s": round(value, 2) for name, value in share.items()}
        return [f"{name:>18} {value}" for name, value in {**numbers, **recovery}.items()]


async def run(dsn: str, plan: Plan, log: Path) -> Report:
    """Carry out the plan on a fresh migrated database; the workers' logs go to `log`."""
    report = Report(plan)
    async with Database(dsn, name="drill") as database, Jobs(database, table()) as jobs, database.connection() as conn:
        await keep_records(conn)
        command = [sys.executable, "-m", "tests.drills.kill_worker", dsn, str(plan.slots)]
        with Fleet([*command, plan.mode], plan.workers, log) as fleet, Fleet([*command, "alone"], 2, log) as alone:
            ids = await _faults((fleet, alone), jobs, conn, plan, report)
            await _drained(conn, (fleet, alone), plan.drained_within_s)
            report.verdict = await verdict(conn, ids)
    report.refused = log.read_text().count('"event": "run.lost"')  # noqa: ASYNC240 - the run is over
    return report


async def _faults(fleets: tuple[Fleet, Fleet], jobs: Jobs, conn: Connection, plan: Plan, report: Report) -> list[int]:
    """Create a batch, hit a worker that holds some of it, go on; returns the ids that were acknowledged."""
    fleet, alone = fleets
    rng = random.Random(plan.seed)
    kinds = ["kill"] * plan.kills + ["freeze"] * plan.freezes
    rng.shuffle(kinds)
    ids = list[int]()
    for number, kind in enumerate(kinds, 1):
        batch = plan.jobs * number // len(kinds) - len(ids)
        ids += (await jobs.create_many([NewJob(NOTE, {}) for _ in range(batch)])).ids
        worker, worker_id, since = await _one_that_holds_jobs(conn, fleet, rng)
        if kind == "kill":
            fleet.kill(worker)
            await asyncio.sleep(plan.pause_s * rng.uniform(0.5, 1.5))
        else:
            worker.send_signal(signal.SIGSTOP)
            await asyncio.sleep(LEASE_S + UPKEEP_S + rng.uniform(0.2, 0.8))
            report.recovery_s += await taken_back_s(conn, worker_id, since)
            worker.send_signal(signal.SIGCONT)
            await asyncio.sleep(plan.pause_s)
        fleet.revive()
        alone.revive()
    return ids


async def _one_that_holds_jobs(
    conn: Connection, fleet: Fleet, rng: random.Random
) -> tuple[subprocess.Popen[bytes], int, datetime]:
    """A worker process in the middle of its work, its worker id, and Postgres' time."""
    async with asyncio.timeout(30):
        while True:
            worker = rng.choice(fleet.workers)
            row = await fetch_one(
                conn,
                "SELECT w.id, clock_timestamp() AS now FROM jobs.workers AS w WHERE w.pid = %(pid)s AND w.dead_at IS NULL "
                "AND EXISTS (SELECT FROM jobs.jobs AS j WHERE j.worker_id = w.id)",
                {"pid": worker.pid},
            )
            if row:
                return worker, row["id"], row["now"]
            fleet.revive()
            await asyncio.sleep(0.02)


async def _drained(conn: Connection, fleets: Sequence[Fleet], within_s: float) -> None:
    async with asyncio.timeout(within_s):
        while await fetch_one(conn, "SELECT id FROM jobs.jobs LIMIT 1"):
            for fleet in fleets:
                fleet.revive()
            await asyncio.sleep(0.1)


def main(arguments: Sequence[str]) -> int:
    """`./jobs drill kill [--short] [--pgbouncer]`: all three modes, one after another; 0 when each did what it must."""
    from tests.drills.main import in_fresh_databases, parse

    options = parse("kill", arguments, seed=int.from_bytes(os.urandom(4)), poolable=True)
    size = Plan(20_000, 60, 40) if options.short else Plan(50_000, 1_000, 100, pause_s=0.2)
    failures = 0
    for mode, dsn, log in in_fresh_databases("guarded", "fence_only", "no_fence", pooled=options.pgbouncer):
        plan = Plan(size.jobs, size.kills, size.freezes, mode, options.seed, pause_s=size.pause_s)
        if mode == "no_fence":
            plan = Plan(40_000, 0, 8, mode, options.seed)
        report = asyncio.run(run(dsn, plan, log))
        failures += not held(report)
        print(*report.lines(), "HELD" if held(report) else "BROKEN", "", sep="\n")
    return 1 if failures else 0


def held(report: Report, *, slack: float = 1.0) -> bool:
    """Whether the run showed what its mode must show; `slack` is a factor on the promised time."""
    seen = report.verdict
    assert seen is not None
    if report.plan.mode == "no_fence":
        return seen.stale > 0
    nothing_broke = (seen.lost, seen.doubled, seen.failed, seen.stale) == (0, 0, 0, 0)
    in_time = sorted(report.recovery_s)[int(len(report.recovery_s) * 0.99)] <= RECOVERY_S * slack
    return nothing_broke and in_time and (report.plan.mode == "guarded" or report.refused > 0)
