"""R19: the disk of Postgres is full, again and again, under load.

    load ─▶ fill the disk ─▶ creates fail, Postgres may even stop (no room for its log) ─▶ stay so ─▶ free it ─▶ work goes on
     ▲                                                                                                             │
     └─────────────────────────────────── by itself: nobody starts anything ◀──────────────────────────────────────┘

Postgres lies on a small tmpfs, in a mount namespace of the drill's own. Acknowledged is what committed, also meanwhile.
"""

import asyncio
import os
import random
import shutil
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from cli.embedded_postgres import EmbeddedPostgres
from jobs_core import ConnectionFailed, Database, Jobs, db, fetch_one
from tests.drills import load
from tests.drills.fleet import Fleet
from tests.drills.load_worker import Options
from tests.drills.main import parse
from tests.drills.namespaces import enter_own_mounts, small_disk
from tests.drills.outage import Report
from tests.drills.report import CannotRun, show, show_skipped
from tests.drills.servers import make_ready

GOES_ON_S = 10.0
"""From when there is room again to a create that was acknowledged and a job that ended: the keeper starts a Postgres that
stopped after 2 s at most, and creates go on 5 s after that."""
_DISK_MB = 192
_SMALL = {"max_wal_size": "32MB", "min_wal_size": "32MB", "shared_buffers": "16MB"}
_UNRECYCLED = {"max_wal_size": "1GB", "checkpoint_timeout": "1h", "wal_recycle": "off"}
_SETTINGS = {"slots": 20, "lease_s": 5.0, "renew_s": 1.0, "upkeep_s": 0.5, "poll_s": 1.0, "drain_s": 5.0}
_ASYNCHRONOUS = "?options=-c%20synchronous_commit%3Doff"
_STAYS_FULL_S = 1.0


@dataclass(frozen=True, slots=True)
class Plan:
    """`rounds` of a full disk; `fault`: data (tables cannot grow), log (nor can the write-ahead log: Postgres stops).

    `early` is the demonstration: creates count as acknowledged before their commit, and some must be lost.
    """

    rounds: int
    fault: str
    seed: int
    early: bool = False
    per_s: float = 150.0
    processes: int = 2


async def run(folder: Path, plan: Plan) -> Report:
    """Carry out the plan in this folder, in the mount namespace of this process. Raises CannotRun."""
    report = Report()
    # No segment of the log is used again: each needs room, and a recovery frees all of it.
    settings = _SMALL if plan.fault == "data" else {**_SMALL, **_UNRECYCLED}
    with small_disk(folder, _DISK_MB) as disk, EmbeddedPostgres(disk / "postgres", settings) as server:
        await make_ready(server.dsn)
        async with Database(server.dsn, name="drill") as database, Jobs(database, load.table()) as jobs:
            early = list[int]()
            create = _acknowledged_early(jobs, early) if plan.early else load.either_way(jobs)
            producers = load.Producers(create, per_s=plan.per_s)
            supervisor = Options(server.dsn, _SETTINGS, processes=plan.processes)
            with Fleet(supervisor.command(), 1, folder / "log"):
                producing = asyncio.create_task(producers.run())
                for _ in range(plan.rounds):
                    await _until_both_go_on(server.dsn, producers)
                    await _fill(disk, server.dsn, plan, producers)
                    freed_at = time.monotonic()
                    await _until_both_go_on(server.dsn, producers)
                    report.goes_on_s.append(time.monotonic() - freed_at)
                producers.stop()
                await producing
                async with await db.connect(server.dsn, name="drill looks") as looks:
                    await load.drained(looks, 60.0)
                    report.findings = await load.findings(looks, early or producers.acknowledged)
    report.created, report.unanswered = len(producers.acknowledged), producers.unanswered
    return report


async def _fill(disk: Path, dsn: str, plan: Plan, producers: load.Producers) -> None:
    """Leave no room until creates have failed for a while; then give it back."""
    ballast = disk / "ballast"
    logging = asyncio.create_task(_fill_log(dsn)) if plan.fault == "log" else None
    failed, until = producers.unanswered, float("inf")
    async with asyncio.timeout(60):
        while time.monotonic() < until:
            _grow(ballast, disk)
            if producers.unanswered > failed:
                until = min(until, time.monotonic() + _STAYS_FULL_S)
            await asyncio.sleep(0.02)
    if logging:
        await logging
    ballast.unlink()


def _grow(ballast: Path, disk: Path) -> None:
    """Take what room there is."""
    if free := shutil.disk_usage(disk).free:
        with ballast.open("ab") as file, suppress(OSError):  # Postgres may take some of it first
            os.posix_fallocate(file.fileno(), file.tell(), free)


async def _fill_log(dsn: str) -> None:
    """Write to the write-ahead log, without waiting for the disk, until Postgres stops for it."""
    with suppress(*ConnectionFailed):
        async with await db.connect(dsn + _ASYNCHRONOUS, name="drill fills") as conn:
            while True:
                await fetch_one(conn, "SELECT pg_logical_emit_message(false, 'drill', repeat('x', 200000))")
                await asyncio.sleep(0.005)


def _acknowledged_early(jobs: Jobs, acknowledged: list[int]) -> load.Create:
    """The mutant: the id is told before the transaction that holds the job commits."""

    async def create(job_type: load.WorkType, work: load.Work) -> int:
        async with jobs.database.transaction() as conn:
            job_id = (await jobs.create(job_type, work, conn=conn)).id
            acknowledged.append(job_id)
            await asyncio.sleep(0.05)
        return job_id

    return create


async def _until_both_go_on(dsn: str, producers: load.Producers) -> None:
    """Until a create is acknowledged and a job ends, both begun from now on."""
    since, acknowledged = None, len(producers.acknowledged)
    async with asyncio.timeout(60):
        while True:
            with suppress(*ConnectionFailed):
                async with await db.connect(dsn, name="drill looks") as conn:
                    now = await fetch_one(conn, "SELECT clock_timestamp() AS at")
                    since = since or (now and now["at"])
                    sql = "SELECT id FROM jobs.history WHERE claimed_at > %(since)s LIMIT 1"
                    while not await fetch_one(conn, sql, {"since": since}):
                        await asyncio.sleep(0.02)
                    while len(producers.acknowledged) == acknowledged:
                        await asyncio.sleep(0.02)
                    return
            await asyncio.sleep(0.05)


def main(arguments: Sequence[str]) -> int:
    """`./jobs drill disk [--short]`: tables, then the log, then acknowledged early: that one alone may lose jobs."""
    options = parse("disk", arguments, seed=random.randrange(10_000))
    rounds = 1 if options.short else 10
    plans = (
        Plan(rounds, "data", options.seed),
        Plan(rounds, "log", options.seed),
        Plan(1, "log", options.seed, early=True),
    )
    failures = 0
    try:
        enter_own_mounts("disk", arguments)
        for plan in plans:
            with tempfile.TemporaryDirectory(prefix="jobs-drill-") as folder:
                report = asyncio.run(run(Path(folder), plan))
            failures += show(plan, report, missed(report) if plan.early else report.broken(GOES_ON_S))
    except CannotRun as why:
        return show_skipped(why)
    return 1 if failures else 0


def missed(report: Report) -> list[str]:
    """What the demonstration did not show."""
    assert report.findings
    return [] if report.findings.lost else ["creates were acknowledged before their commit, and none was lost"]
