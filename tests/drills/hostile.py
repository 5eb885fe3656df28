"""R16: hostile payloads at every door, among jobs that are fine.

    program: create, create_many ─┐
    HTTP: /api/jobs, /api/chat ───┼─▶ refused, naming the field ──▶ nothing written, nothing stuck, no 5xx, no traceback
    ./jobs create ────────────────┤
    environment ──────────────────┘
    handlers: results, reasons, raises ─▶ settle ─▶ each such job ends, and its worker goes on

The web process must stay as large as it was once it had seen a fifth of them: what leaks grows in both halves of the rest.
"""

import asyncio
import random
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import psutil

from jobs_core import Database, HandlerTable, Jobs, fetch
from tests.drills import hostile_doors as doors
from tests.drills import hostile_payloads as payloads
from tests.drills.hostile_types import BREAKS, ENDINGS, PROBE, Anything, register
from tests.drills.main import in_fresh_databases, parse
from tests.drills.report import show
from workers.settings import WorkerSettings
from workers.worker import Worker

GROWTH_BYTES = 20 << 20
"""Of the web process, from a fifth of the payloads to the last, at the rate of the slower half: what the allocator keeps back
grows by a step of tens of MB in one of them, by some MB in both."""
_AT_ONCE = 4
_FINE_EVERY = 25


@dataclass(frozen=True, slots=True)
class Plan:
    """`payloads` over HTTP, in a program and through the environment, and so many more by the command and by handlers."""

    payloads: int
    commands: int
    endings: int
    seed: int


@dataclass(slots=True)
class Report:
    """wrong: what was not refused as it should be, by kind. left: jobs that have not ended. stray: chats that were begun."""

    sent: dict[str, int] = field(default_factory=dict)
    wrong: dict[str, str] = field(default_factory=dict)
    fine: int = 0
    completed: int = 0
    ended: int = 0
    left: int = 0
    stray: int = 0
    tracebacks: int = 0
    growth_bytes: int = 0

    def count(self, door: str) -> None:
        """One more was sent to this door."""
        self.sent[door] = self.sent.get(door, 0) + 1

    def broken(self, plan: Plan) -> list[str]:
        """What did not hold."""
        return [
            *(f"{kind}: {why}" for kind, why in self.wrong.items()),
            *([f"{self.left} jobs are stuck"] if self.left else []),
            *([f"{self.stray} rows were written"] if self.stray else []),
            *([f"{self.fine} jobs were fine, {self.completed} completed"] if self.completed != self.fine else []),
            *([f"{plan.endings} bad endings, {self.ended} ended"] if self.ended != plan.endings else []),
            *([f"{self.tracebacks} tracebacks in the web log"] if self.tracebacks else []),
            *([f"the web process grew by {self.growth_bytes} bytes"] if self.growth_bytes > GROWTH_BYTES else []),
        ]


async def run(dsn: str, folder: Path, plan: Plan) -> Report:
    """Carry out the plan on this migrated database."""
    report, rng = Report(), random.Random(plan.seed)
    table = HandlerTable()
    register(table)
    async with Database(dsn, name="drill") as database, Jobs(database, table) as jobs:
        with doors.web(dsn, folder) as (pid, url):
            headers = {"Authorization": f"Bearer {doors.TOKEN}"}
            limits = httpx.Limits(
                keepalive_expiry=1.0
            )  # the door ends an idle connection after 5 s, maybe as it is used
            async with (
                httpx.AsyncClient(base_url=url, headers=headers, timeout=60, trust_env=False, limits=limits) as client,
                _working(jobs),
            ):
                await _send_all(_Sender(report, jobs, client), psutil.Process(pid), plan, rng)
                await _end_badly(jobs, plan, rng)
                await _send_commands(report, dsn, folder, plan)
                await _until_idle(database)
        report.tracebacks = (folder / "web.log").read_text().count("Traceback")
        await _look(database, report)
    return report


@dataclass(slots=True)
class _Sender:
    report: Report
    jobs: Jobs
    client: httpx.AsyncClient

    async def send(self, rng: random.Random) -> None:
        """One payload, through a door that the dice choose; now and then a job that is fine as well."""
        door = rng.random()
        if door < 0.75:
            request = payloads.request(rng)
            self._note(
                f"{request.method} {request.path[:40]} {request.kind}", await doors.by_http(self.client, request)
            )
        elif door < 0.98:
            kind, name, given = payloads.created(rng)
            many = rng.random() < 0.3
            self._note(f"create {kind}", await doors.by_create(self.jobs, given, name, many=many))
        else:
            self._note("environment", doors.by_environment(rng))
        if rng.randrange(_FINE_EVERY) == 0:
            await self._send_fine(by_http=door < 0.75)

    async def _send_fine(self, *, by_http: bool) -> None:
        self.report.fine += 1
        if by_http:
            body = {"job_type": PROBE.name, "input": {"payload": "fine \N{PILE OF POO}"}, "priority": 1}
            (await self.client.post("/api/jobs", json=body)).raise_for_status()
        else:
            await self.jobs.create(PROBE, Anything(payload=[-0.0, 1e308, "é"]))

    def _note(self, kind: str, wrong: str) -> None:
        self.report.count(kind.split(" ", 1)[0])
        if wrong:
            self.report.wrong[kind] = wrong


async def _send_all(sender: _Sender, process: psutil.Process, plan: Plan, rng: random.Random) -> None:
    seeds = iter([rng.random() for _ in range(plan.payloads)])

    async def some(count: int) -> None:
        async def one_by_one() -> None:
            for _, seed in zip(range(count // _AT_ONCE), seeds, strict=False):
                await sender.send(random.Random(seed))

        async with asyncio.TaskGroup() as group:
            for _ in range(_AT_ONCE):
                group.create_task(one_by_one())

    sizes = []
    for fifths in (1, 2, 2):
        await some(plan.payloads * fifths // 5)
        sizes.append(process.memory_info().rss)
    sender.report.growth_bytes = max(0, 2 * min(sizes[1] - sizes[0], sizes[2] - sizes[1]))


async def _end_badly(jobs: Jobs, plan: Plan, rng: random.Random) -> None:
    hows = list(ENDINGS) * (plan.endings // len(ENDINGS) + 1)
    for how in rng.sample(hows[: plan.endings], plan.endings):
        await jobs.create(BREAKS, {"how": how})


async def _send_commands(report: Report, dsn: str, folder: Path, plan: Plan) -> None:
    for index in range(plan.commands):
        arguments, word = doors.ARGUMENTS[(index + plan.seed) % len(doors.ARGUMENTS)]
        report.count("command")
        if wrong := await doors.by_command(arguments, word, dsn, folder):
            report.wrong[f"jobs create {str(arguments)[:60]}"] = wrong


@asynccontextmanager
async def _working(jobs: Jobs) -> AsyncIterator[None]:
    """A worker for both types, drained at the end."""
    worker = Worker(jobs, queues=jobs.table.queues(), settings=WorkerSettings.read(slots=8, poll_s=1.0))
    task = asyncio.create_task(worker.run())
    try:
        yield
    finally:
        worker.drain()
        await task


async def _until_idle(database: Database) -> None:
    """Until no job is left, for at most a minute."""
    for _ in range(600):
        async with database.connection() as conn:
            if not await fetch(conn, "SELECT FROM jobs.jobs LIMIT 1"):
                return
        await asyncio.sleep(0.1)


async def _look(database: Database, report: Report) -> None:
    async with database.connection() as conn:
        ended = await fetch(conn, "SELECT job_type, state, count(*) AS n FROM jobs.history GROUP BY 1, 2")
        report.left = len(await fetch(conn, "SELECT FROM jobs.jobs"))
        report.stray = len(await fetch(conn, "SELECT FROM jobs.chat_sessions"))
    report.completed = sum(row["n"] for row in ended if (row["job_type"], row["state"]) == (PROBE.name, "complete"))
    report.ended = sum(row["n"] for row in ended if (row["job_type"], row["state"]) == (BREAKS.name, "failed"))


def main(arguments: Sequence[str]) -> int:
    """`./jobs drill hostile [--short]`."""
    options = parse("hostile", arguments, seed=random.randrange(10_000))
    short = Plan(400, 2, len(ENDINGS), options.seed)
    plan = short if options.short else Plan(5_000, 3 * len(doors.ARGUMENTS), 10 * len(ENDINGS), options.seed)
    failures = 0
    for _, dsn, _ in in_fresh_databases("hostile"):
        with tempfile.TemporaryDirectory(prefix="jobs-drill-") as folder:
            report = asyncio.run(run(dsn, Path(folder), plan))
        failures += show(plan, report, report.broken(plan))
    return 1 if failures else 0
