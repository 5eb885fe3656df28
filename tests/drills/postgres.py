"""R6: Postgres, postmaster and backends, killed with SIGKILL and started again, under load.

    producers ─▶ Postgres ─▶ supervised workers          each round: work goes on ─▶ kill all of Postgres ─▶ the port opens
                    ▲ SIGKILL, again and again                       (the keeper starts it) ─▶ work goes on: within 5 s

With synchronous_commit off for everybody, acknowledged creates must get lost: then the drill sees what it looks for.
"""

import asyncio
import random
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import psutil

from cli.embedded_postgres import EmbeddedPostgres
from jobs_core import ConnectionFailed, Database, Jobs, db, fetch_one
from tests.drills import load
from tests.drills.fleet import Fleet
from tests.drills.load_worker import Options
from tests.drills.main import parse
from tests.drills.outage import Report
from tests.drills.report import show
from tests.drills.servers import make_ready

GOES_ON_S = 5.0
"""From the port's opening to the first job that ended after."""
SETTINGS = {"slots": 20, "lease_s": 2.0, "renew_s": 0.4, "upkeep_s": 0.5, "poll_s": 1.0, "drain_s": 5.0}
_ASYNCHRONOUS = "?options=-c%20synchronous_commit%3Doff"
_LAZY = {"wal_writer_delay": "10s", "wal_writer_flush_after": "1GB"}
"""What was committed without waiting stays in memory for long."""


@dataclass(frozen=True, slots=True)
class Plan:
    """`kills` of Postgres while `jobs` and more are created, `per_s` a second; `durable` False is the demonstration."""

    jobs: int
    kills: int
    seed: int
    durable: bool = True
    per_s: float = 350.0
    processes: int = 2


async def run(folder: Path, plan: Plan) -> Report:
    """Carry out the plan on a server of its own in this folder."""
    report = Report()
    with EmbeddedPostgres(folder / "postgres", {} if plan.durable else _LAZY) as server:
        await make_ready(server.dsn)
        dsn = server.dsn if plan.durable else server.dsn + _ASYNCHRONOUS
        async with Database(dsn, name="drill") as database, Jobs(database, load.table()) as jobs:
            producers = load.Producers(load.keyed(jobs), per_s=plan.per_s)
            supervisor = Options(dsn, SETTINGS, processes=plan.processes)
            with Fleet(supervisor.command(), 1, folder / "log"):
                producing = asyncio.create_task(producers.run())
                await _kill_again_and_again(server, plan, report)
                while len(producers.acknowledged) < plan.jobs:
                    await asyncio.sleep(0.05)
                producers.stop()
                await producing
                async with await db.connect(server.dsn, name="drill looks") as looks:
                    await load.drained(looks, 60.0)
                    report.findings = await load.findings(looks, producers.acknowledged)
            report.created, report.unanswered = len(producers.acknowledged), producers.unanswered
    return report


async def _kill_again_and_again(server: EmbeddedPostgres, plan: Plan, report: Report) -> None:
    rng = random.Random(plan.seed)
    every_s = plan.jobs / plan.per_s / plan.kills
    await _until_work_goes_on(server.dsn)
    for _ in range(plan.kills):
        await asyncio.sleep(
            every_s * rng.uniform(0.0 if plan.durable else 0.3, 0.5)
        )  # to lose some, there must be some
        kill_server(server)
        await until_port_opens(server.dsn)
        opened_at = time.monotonic()
        await _until_work_goes_on(server.dsn)
        report.goes_on_s.append(time.monotonic() - opened_at)


def kill_server(server: EmbeddedPostgres) -> None:
    """The postmaster first: it would end the others in order."""
    postmaster = psutil.Process(server.postmaster_pid())
    backends = postmaster.children()
    for process in (postmaster, *backends):
        with suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(backends, timeout=10)


async def until_port_opens(dsn: str) -> None:
    address = urlsplit(dsn)
    async with asyncio.timeout(60):
        while True:
            try:
                _, writer = await asyncio.open_connection(address.hostname, address.port)
            except OSError:
                await asyncio.sleep(0.005)
            else:
                writer.close()
                return


async def _until_work_goes_on(dsn: str) -> None:
    """Until a job has ended since this server started."""
    sql = "SELECT id FROM jobs.history WHERE ended_at > pg_postmaster_start_time() LIMIT 1"
    async with asyncio.timeout(60):
        while True:
            with suppress(*ConnectionFailed):
                async with await db.connect(dsn, name="drill look") as conn:
                    while not await fetch_one(conn, sql):
                        await asyncio.sleep(0.02)
                    return
            await asyncio.sleep(0.02)


def main(arguments: Sequence[str]) -> int:
    """`./jobs drill postgres [--short]`: as it is, then with commits that do not wait; 0 when that one alone lost jobs."""
    options = parse("postgres", arguments, seed=random.randrange(10_000))
    size = Plan(1_400, 4, options.seed) if options.short else Plan(20_000, 20, options.seed)
    failures = 0
    for plan in (size, Plan(700, 2, options.seed, durable=False)):
        with tempfile.TemporaryDirectory(prefix="jobs-drill-") as folder:
            report = asyncio.run(run(Path(folder), plan))
        broken = report.broken(GOES_ON_S) if plan.durable else missed(report)
        failures += show(plan, report, broken)
    return 1 if failures else 0


def missed(report: Report) -> list[str]:
    """What the demonstration did not show."""
    assert report.findings
    return [] if report.findings.lost else ["commits did not wait, and no acknowledged create was lost"]
