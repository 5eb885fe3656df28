"""R34: the schema is migrated under load, while the previous code works on it, and goes on beside the new code after that.

    fill ─▶ previous workers, previous producer ─▶ reader opens a transaction ─▶ `./jobs migrate` of the new code ─▶ reader ends
         ─▶ a producer of the new code, beside the previous workers ─▶ workers are replaced one after another ─▶ all has ended

From the code that was released last to today's, where git has it; and from today's to one with a migration more. With a
migration that waits for its locks as long as it takes, all must stand still behind the reader.
"""

import asyncio
import random
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from jobs_core import Connection, db, execute, fetch, fetch_one
from tests.drills import load
from tests.drills.deploy_record import COLD, Findings, findings
from tests.drills.deploy_site import Code, Member, Site, largest_gap_s, serving
from tests.drills.deploy_versions import next_one, released
from tests.drills.main import parse
from tests.drills.report import CannotRun, show, show_skipped
from tests.support.database import fresh_database, server

STALL_S = 2.0
"""The longest that no run begins, or a create takes."""
_SETTINGS = {"JOBS_DRAIN_S": "5", "JOBS_POLL_S": "1", "JOBS_SLOTS": "20"}
_LONGEST_RUN_S = 0.3
_SOME = 50
_FILL = (
    """
    INSERT INTO jobs.jobs (job_type, queue, priority, state, input, scheduled_for)
    SELECT 'deploy_plain', %(cold)s, 2, 'pending', '{}', now() + interval '1 day' FROM generate_series(1, %(rows)s)
    """,
    """
    INSERT INTO jobs.history (id, job_type, queue, priority, state, input, retry_count, lost_count, created_at)
    SELECT nextval('jobs.job_id_seq'), 'deploy_plain', %(cold)s, 2, 'complete', '{}', 0, 0, now()
    FROM generate_series(1, %(rows)s)
    """,
)


@dataclass(frozen=True, slots=True)
class Plan:
    """`jobs` created in all, `rows` of jobs and as many of history lying there, a reader for `reader_s`. `since`: released, or
    today: the previous code; `mutant` is the demonstration's."""

    since: str
    jobs: int
    seed: int
    rows: int = 100_000
    reader_s: float = 5.0
    per_s: float = 100.0
    supervisors: int = 2
    processes: int = 1
    mutant: str = ""


@dataclass(slots=True)
class Report:
    """migrate_s: how long that took since it first waited, the reader's time in it. gap_s: the longest without a start.
    create_s: how long creates took. beside: jobs that previous workers ran on the new schema."""

    findings: Findings | None = None
    migrate_s: float = 0.0
    gap_s: float = 0.0
    create_s: list[float] = field(default_factory=list)
    beside: int = 0
    left: int = 0
    trouble: dict[str, int] = field(default_factory=dict)

    def stalls(self, slack: float) -> list[str]:
        """Where nothing went on for too long; `slack` is a factor on the promised time."""
        return [
            *([f"no start for {self.gap_s:.2f} s"] if self.gap_s > STALL_S * slack else []),
            *([f"a create took {max(self.create_s):.2f} s"] if max(self.create_s) > STALL_S * slack else []),
        ]

    def broken(self, plan: Plan, *, slack: float = 1.0) -> list[str]:
        """What did not hold."""
        assert self.findings
        return [
            *self.findings.broken,
            *self.stalls(slack),
            *(f"{event}: {times}" for event, times in self.trouble.items()),
            *([f"left running: {self.left}"] if self.left else []),
            *([] if self.beside else ["previous workers ran nothing on the new schema"]),
        ]


async def run(dsn: str, plan: Plan, folder: Path) -> Report:
    """Carry out the plan in an empty database. Raises CannotRun where the previous code is not to be had."""
    before, after = _codes(plan, folder)
    report = Report()
    with Site(dsn, folder / "site", **_SETTINGS) as site:
        await site.migrate(before)
        async with await db.connect(dsn, name="drill looks") as looks:
            for sql in _FILL:
                await execute(looks, sql, {"cold": COLD, "rows": plan.rows})
            await load.prepare(looks)
            fleet = [site.supervise(before, processes=plan.processes) for _ in range(plan.supervisors)]
            await serving(looks, plan.supervisors * plan.processes)
            producer = _producer(site, before, plan)
            await _created(site, _SOME)
            await _migrate(site, looks, after, plan, report)
            migrated_at = time.time()
            if not plan.mutant:
                previous, producer = producer, _producer(site, after, plan)
                await _created(site, _SOME, by=after)
                await previous.drain()
                await _replace(site, looks, fleet, after, report)
                await _created(site, plan.jobs)
            await producer.drain()
            await _ended(looks)
            for member in fleet:
                report.left += await member.drain()
            _look_back(site, before, migrated_at, report)
            report.findings = await findings(looks, site)
        report.trouble = site.trouble()
    return report


def _codes(plan: Plan, folder: Path) -> tuple[Code, Code]:
    if plan.since == "released":
        return Code("released", released(folder / "released")), Code("new")
    return Code("old"), Code("new", next_one(folder / "next"))


def _producer(site: Site, code: Code, plan: Plan) -> Member:
    return site.produce(code, 1_000_000, per_s=plan.per_s, longest_s=_LONGEST_RUN_S)


async def _created(site: Site, jobs: int, *, by: Code | None = None) -> None:
    """Wait until so many have been created, by this code or by any."""
    async with asyncio.timeout(60 + jobs / 10):
        while sum(by is None or line["version"] == by.version for line in site.told("created")) < jobs:
            await asyncio.sleep(0.1)


async def _migrate(site: Site, looks: Connection, after: Code, plan: Plan, report: Report) -> None:
    """Migrate beside a transaction that has read, and stays open for a while once the migration waits for it."""
    settings = {"DEPLOY_MUTANT": plan.mutant} if plan.mutant else {}
    async with (
        await db.connect(site.dsn, name="drill reader", idle_in_transaction_s=0) as reader,
        asyncio.TaskGroup() as group,
        reader.transaction(),
    ):
        await fetch(reader, "SELECT FROM jobs.jobs, jobs.history LIMIT 1")
        group.create_task(site.migrate(after, **settings))
        await _waited_for(looks)
        began = time.monotonic()
        await asyncio.sleep(plan.reader_s)
    report.migrate_s = time.monotonic() - began


async def _waited_for(looks: Connection) -> None:
    async with asyncio.timeout(60):
        while not await fetch(looks, "SELECT pid FROM pg_locks WHERE NOT granted AND mode = 'AccessExclusiveLock'"):
            await asyncio.sleep(0.01)


async def _replace(site: Site, looks: Connection, fleet: list[Member], code: Code, report: Report) -> None:
    """The new ones first, so that there are never fewer."""
    for number, member in enumerate(fleet):
        workers = await fetch_one(looks, "SELECT count(*)::integer AS n FROM jobs.workers WHERE dead_at IS NULL")
        assert workers
        fleet[number] = site.supervise(code, processes=1)
        await serving(looks, workers["n"] + 1)
        report.left += await member.drain()


async def _ended(looks: Connection) -> None:
    async with asyncio.timeout(120):
        while await fetch_one(looks, "SELECT id FROM jobs.jobs WHERE queue <> %(cold)s LIMIT 1", {"cold": COLD}):
            await asyncio.sleep(0.1)


def _look_back(site: Site, before: Code, migrated_at: float, report: Report) -> None:
    created, starts = site.told("created"), site.told("start")
    report.gap_s = largest_gap_s([start for start in starts if start["at"] < created[-1]["at"]])
    report.create_s = [float(line["took_s"]) for line in created]
    report.beside = sum(start["version"] == before.version and start["at"] > migrated_at for start in starts)


def main(arguments: Sequence[str]) -> int:
    """`./jobs drill migrate [--short]`: from both previous codes, then a faulty migration; 0 when that one alone stalled."""
    options = parse("migrate", arguments, seed=random.randrange(10_000))
    jobs = 500 if options.short else 5_000
    plans = [Plan("released", jobs, options.seed), Plan("today", jobs, options.seed), faulty(options.seed)]
    failures = 0
    with tempfile.TemporaryDirectory(prefix="jobs-drill-") as folder, server(Path(folder) / "postgres") as server_dsn:
        for number, plan in enumerate(plans):
            own = Path(folder) / str(number)
            own.mkdir()
            with fresh_database(server_dsn, template="template1") as dsn:
                try:
                    report = asyncio.run(run(dsn, plan, own))
                except CannotRun as why:
                    show_skipped(why)
                    continue
            failures += show(plan, report, missed(report) if plan.mutant else report.broken(plan))
    return 1 if failures else 0


def faulty(seed: int) -> Plan:
    """The plan of the demonstration."""
    return Plan("today", 0, seed, rows=1_000, reader_s=3.0, per_s=40.0, supervisors=1, mutant="wait for locks")


def missed(report: Report) -> list[str]:
    """What the demonstration did not show."""
    return [] if report.stalls(1.0) else ["a migration waited for a lock behind a reader, and nothing stood still"]
