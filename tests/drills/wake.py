"""R12: wake-ups fail: the NOTIFY queue is jammed by a listener stuck in a transaction, or the workers' listeners are killed.

    create ─▶ commit ─✗▶ NOTIFY: refused, or nobody hears it          every create commits; the poll finds each job
                                                                      within poll + 0.2 s (p99)

With the NOTIFY inside the creating transaction, creates must fail while it is jammed; with workers that poll a third as
often, pickups must be late.
"""

import asyncio
import random
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from cli.embedded_postgres import EmbeddedPostgres
from jobs_core import Connection, ConnectionFailed, Database, Jobs, db, execute, fetch
from tests.drills import load
from tests.drills.fleet import Fleet
from tests.drills.load_worker import Options
from tests.drills.main import parse
from tests.drills.report import quantile, show
from tests.drills.servers import make_ready

POLL_S = 1.0
PICKED_UP_S = POLL_S + 0.2
_QUEUE = {"max_notify_queue_pages": "64"}  # the fewest: 512 KiB
_KILL_EVERY_S = 0.3


@dataclass(frozen=True, slots=True)
class Plan:
    """`fault`: jammed (the queue is full), deaf (listeners are killed again and again). The demonstrations: `inside` (NOTIFY
    in the creating transaction), `seldom` (workers that look every 3 × poll)."""

    jobs: int
    fault: str
    seed: int
    demonstration: str = ""
    per_s: float = 100.0
    workers: int = 2


@dataclass(slots=True)
class Report:
    """refused: creates that did not commit. jammed: NOTIFYs refused of those tried at the end. killed: listeners."""

    findings: load.Findings | None = None
    refused: int = 0
    jammed: int = 0
    killed: int = 0
    pickup_s: list[float] = field(default_factory=list)

    def broken(self, plan: Plan, *, slack: float = 1.0) -> list[str]:
        """What did not hold; `slack` is a factor on the promised time."""
        assert self.findings
        p99 = quantile(self.pickup_s, 0.99)
        bit = self.jammed if plan.fault == "jammed" else self.killed
        return [
            *self.findings.broken,
            *([f"refused: {self.refused}"] if self.refused else []),
            *([f"pickup: {p99:.2f} s"] if p99 > PICKED_UP_S * slack else []),
            *([] if bit else [f"the fault did not bite: {plan.fault}"]),
        ]


async def run(folder: Path, plan: Plan) -> Report:
    """Carry out the plan on a server of its own in this folder."""
    report = Report()
    poll_s = POLL_S * 3 if plan.demonstration == "seldom" else POLL_S
    settings = {"slots": 100, "lease_s": 15.0, "upkeep_s": 1.0, "poll_s": poll_s, "drain_s": 5.0}
    with EmbeddedPostgres(folder / "postgres", _QUEUE) as server:
        await make_ready(server.dsn)
        async with (
            await db.connect(server.dsn, name="drill looks") as looks,
            Database(server.dsn, name="drill") as database,
            Jobs(database, load.table()) as jobs,
        ):
            with Fleet(Options(server.dsn, settings, processes=plan.workers).command(), 1, folder / "log"):
                await _until_listening(looks, plan.workers)
                async with (_jammed if plan.fault == "jammed" else _deaf)(server.dsn, report):
                    create = _notifying_inside(jobs) if plan.demonstration == "inside" else load.either_way(jobs)
                    producers = load.Producers(_counted(create, report), plan.jobs, per_s=plan.per_s)
                    await producers.run()
                    await load.drained(looks, 120.0)
                    report.findings = await load.findings(looks, producers.acknowledged)
                    report.pickup_s = await _pickups_s(looks)
    return report


@asynccontextmanager
async def _jammed(dsn: str, report: Report) -> AsyncIterator[None]:
    """The NOTIFY queue is full: a listener that never leaves its transaction keeps all that was sent since."""
    async with (
        await db.connect(dsn, name="drill stuck", idle_in_transaction_s=0) as stuck,
        await db.connect(dsn, name="drill fills") as fills,
    ):
        await execute(stuck, "LISTEN drill")
        await execute(stuck, "BEGIN")
        await execute(stuck, "SELECT 1")
        for size in (7_900, 100, 1):
            while not await _refused(fills, size):
                pass
        yield
        report.jammed = sum([await _refused(fills, 1) for _ in range(3)])


async def _refused(conn: Connection, size: int) -> bool:
    """Whether a NOTIFY of so many bytes finds no room."""
    try:
        await execute(conn, "SELECT pg_notify('drill', repeat('x', %(size)s))", {"size": size})
    except ConnectionFailed:  # of the same tree: 54000, the queue is full
        return True
    return False


@asynccontextmanager
async def _deaf(dsn: str, report: Report) -> AsyncIterator[None]:
    """The workers' listeners are killed as soon as they are back."""
    sql = """
    SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE application_name LIKE '%% listen' AND datname = current_database()
    """

    async def kill() -> None:
        async with await db.connect(dsn, name="drill kills") as conn:
            while True:
                report.killed += len(await fetch(conn, sql))
                await asyncio.sleep(_KILL_EVERY_S)

    async with asyncio.TaskGroup() as group:
        killing = group.create_task(kill())
        yield
        killing.cancel()


async def _until_listening(looks: Connection, workers: int) -> None:
    sql = "SELECT pid FROM pg_stat_activity WHERE application_name LIKE 'drill worker listen' AND query LIKE 'LISTEN%'"
    async with asyncio.timeout(30):
        while len(await fetch(looks, sql)) < workers:
            await asyncio.sleep(0.05)


def _notifying_inside(jobs: Jobs) -> load.Create:
    """The mutant: the NOTIFY is part of the transaction that creates."""

    async def create(job_type: load.WorkType, work: load.Work) -> int:
        async with jobs.database.transaction() as conn:
            created = await jobs.create(job_type, work, conn=conn)
            await execute(conn, "SELECT pg_notify('jobs_wake', 'default')")
        return created.id

    return create


def _counted(create: load.Create, report: Report) -> load.Create:
    """Counts what is refused instead of repeating it; a refused job has no id, and counts as lost."""

    async def count(job_type: load.WorkType, work: load.Work) -> int:
        try:
            return await create(job_type, work)
        except ConnectionFailed:
            report.refused += 1
            return 0

    return count


async def _pickups_s(conn: Connection) -> list[float]:
    """From when a job was ready, which in a lane it is when the one ahead has ended, until it was claimed."""
    sql = """
    SELECT extract(epoch FROM claimed_at - greatest(created_at, ahead_ended_at))::double precision AS seconds FROM (
        SELECT claimed_at, created_at,
               CASE WHEN lane IS NOT NULL THEN lag(ended_at) OVER (PARTITION BY lane ORDER BY lane_pos) END AS ahead_ended_at
        FROM jobs.history) AS runs
    """
    return [row["seconds"] for row in await fetch(conn, sql)]


def main(arguments: Sequence[str]) -> int:
    """`./jobs drill wake [--short]`: both faults and both demonstrations; 0 when each showed what it must."""
    options = parse("wake", arguments, seed=random.randrange(10_000))
    jobs = 500 if options.short else 10_000
    plans = (
        Plan(jobs, "jammed", options.seed),
        Plan(jobs, "deaf", options.seed),
        Plan(20, "jammed", options.seed, "inside"),
        Plan(200, "jammed", options.seed, "seldom"),
    )
    failures = 0
    for plan in plans:
        with tempfile.TemporaryDirectory(prefix="jobs-drill-") as folder:
            report = asyncio.run(run(Path(folder), plan))
        failures += show(plan, report, missed(plan, report) if plan.demonstration else report.broken(plan))
    return 1 if failures else 0


def missed(plan: Plan, report: Report) -> list[str]:
    """What a demonstration did not show."""
    if plan.demonstration == "inside":
        return [] if report.refused else ["NOTIFY was part of the transaction, and no create failed"]
    return [] if quantile(report.pickup_s, 0.99) > PICKED_UP_S else ["workers looked seldom, and no pickup was late"]
