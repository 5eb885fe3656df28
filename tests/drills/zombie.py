"""R5: a woken zombie tries every write that there is, and all are refused; its agents are dead by then.

    a worker's runs stand, with their agents ─▶ frozen past its lease ─▶ the guard kills the agents
      ─▶ the drill rescues the jobs, claims and starts them ─▶ what the tables hold ─▶ woken: each run tries every kind
      ─▶ what the tables hold: the same

With every fence out, each kind must be accepted of some run: what could not be, would show nothing by being refused.
"""

import asyncio
import json
import signal
import sys
import uuid
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import psutil

from jobs_core import AnyJob, Complete, Connection, Database, Jobs, LeaseLost, Limit, NewJob, execute, fetch
from jobs_core.claim import start
from jobs_core.leases import register
from jobs_core.limits import make_limits
from jobs_core.settle import settle
from jobs_core.suspects import claim_alone
from jobs_core.upkeep import bury, rescue
from sessions.records import take_session
from tests.drills.fleet import Fleet
from tests.drills.main import in_fresh_databases, parse
from tests.drills.points_jobs import AGENT, LIMITED, PLAIN, Files, Part
from tests.drills.report import count, show
from tests.drills.waiting import until
from tests.drills.walk import tables
from tests.drills.zombie_worker import JUDGED, TYPES, table
from tests.drills.zombie_writes import WRITES
from tests.support.processes import MARK, left_running

_SPARES = 4

_TABLES = """
SELECT c.oid::regclass::text AS name FROM pg_class AS c
WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND c.relnamespace IN ('jobs'::regnamespace, 'public'::regnamespace)
"""


@dataclass(frozen=True, slots=True)
class Plan:
    """`rounds` times `jobs` runs are frozen, and each tries every kind. fence: `out`, the demonstration."""

    rounds: int
    jobs: int
    fence: Literal["whole", "out"] = "whole"


@dataclass(slots=True)
class Report:
    """tried: by kind, how often. not_refused: what came of those that were not refused. changed: rows that did, by table.

    agents: how many were there, and outlived: of these, how many lived when their worker woke.
    """

    tried: dict[str, int] = field(default_factory=dict)
    not_refused: dict[str, int] = field(default_factory=dict)
    changed: dict[str, int] = field(default_factory=dict)
    agents: int = 0
    outlived: int = 0

    def broken(self, plan: Plan) -> list[str]:
        """What did not hold."""
        n = plan.rounds * plan.jobs
        return [
            *(f"{kind}: tried {self.tried.get(kind)} times, not {n}" for kind in WRITES if self.tried.get(kind) != n),
            *(f"{what}: {times} times" for what, times in self.not_refused.items()),
            *(f"{name}: {rows} rows changed" for name, rows in self.changed.items()),
            *([f"agents: {self.outlived} of {self.agents} outlived their lease"] if self.outlived else []),
            *([f"agents: {self.agents}, not {n}"] if self.agents != n else []),
        ]

    def missed(self) -> list[str]:
        """What the demonstration did not show."""
        shown = {what.split(":")[0] for what in self.not_refused if what.endswith(": accepted")}
        return [f"{kind} was never accepted" for kind in WRITES if kind not in shown]


async def run(dsn: str, plan: Plan, folder: Path) -> Report:
    """Carry out the plan on a fresh migrated database; logs and files go to the empty folder."""
    report, mark = Report(), uuid.uuid4().hex
    command = [sys.executable, "-m", "tests.drills.zombie_worker", dsn, str(folder), str(plan.jobs), plan.fence]
    async with Database(dsn, name="drill") as database, Jobs(database, table()) as jobs, database.connection() as conn:
        await tables.prepare(conn)
        with Fleet([*command, "supervisor"], 1, folder / "log", environments=[{MARK: mark}]) as fleet:
            drill = Drill(jobs, conn, folder, mark, report)
            for number in range(plan.rounds):
                await drill.round(f"round-{number}", plan.jobs)
            if plan.fence == "whole":
                await asyncio.to_thread(fleet.drain)
                report.outlived += len(left_running(mark))
    return report


class Drill:
    """`round`: one freeze, and what the runs try when they wake."""

    def __init__(self, jobs: Jobs, conn: Connection, folder: Path, mark: str, report: Report) -> None:
        self._jobs = jobs
        self._conn = conn
        self._folder = folder
        self._mark = mark
        self._report = report

    async def round(self, name: str, n: int) -> None:
        """Freeze `n` runs, take their jobs over, wake them, and judge. Raises TimeoutError."""
        new = [NewJob(TYPES[i % len(TYPES)], Part(trial=f"{name}.{i}")) for i in range(n)]
        ids = (await self._jobs.create_many(new)).ids
        await until(lambda: _all_told(self._folder, ids, "stands"), "all runs stand")
        (self._folder / JUDGED).unlink(missing_ok=True)
        worker = await self._worker()
        agents = self._agents()
        worker.send_signal(signal.SIGSTOP)
        try:
            taken = await self._take_over(ids)
            await self._make_spares()
            await until(lambda: _nobody(self._agents), "the agents are dead")
        finally:
            self._report.agents += len(agents)
            self._report.outlived += len(self._agents())
            before = await self._rows()
            worker.send_signal(signal.SIGCONT)
        Files(self._folder, name).tell("woken")
        await until(lambda: _all_told(self._folder, ids, "tried"), "all runs have tried everything")
        self._judge(ids, before, await self._rows())
        await self._clear(taken)

    async def _worker(self) -> psutil.Process:
        """The process that holds them all."""
        holders = "SELECT DISTINCT w.pid FROM jobs.jobs AS j JOIN jobs.workers AS w ON w.id = j.worker_id"
        (row,) = await fetch(self._conn, holders)
        return psutil.Process(row["pid"])

    async def _take_over(self, ids: Sequence[int]) -> list[AnyJob]:
        """Rescue them as any worker would, once the lease has run out, and hold them as another's runs."""
        rescued = set[int]()

        async def all_rescued() -> bool:
            await bury(self._conn)
            rescued.update((await rescue(self._conn))[0])
            return rescued == set(ids)

        await until(all_rescued, "the lease runs out")
        names = [job_type.name for job_type in TYPES]
        taker = await register(self._conn, queues=["default"], job_types=names, slots=len(ids), lease_s=3600)
        taken = list[AnyJob]()
        while job := await claim_alone(self._conn, worker_id=taker, queues=["default"], job_types=names):
            await start(self._conn, job)
            taken.append(job)
        for session in await fetch(self._conn, "SELECT id FROM jobs.sessions"):
            await take_session(self._conn, session["id"])
        assert len(taken) == len(ids)
        return taken

    async def _make_spares(self) -> None:
        """Ready jobs of each kind, which nobody but a zombie could claim that got its lease back.

        With their limits, which whoever looks makes.
        """
        kinds = [job_type for job_type in (PLAIN, LIMITED, PLAIN) for _ in range(_SPARES)]
        spares = [NewJob(job_type, Part(trial=f"spare {n}", role="spare")) for n, job_type in enumerate(kinds)]
        ids = (await self._jobs.create_many(spares)).ids
        await make_limits(self._conn, [Limit(f"key spare {n}", slots=1) for n in range(len(kinds))])
        await execute(
            self._conn, "UPDATE jobs.jobs SET alone = true WHERE id = ANY(%(ids)s)", {"ids": [*ids[-_SPARES:]]}
        )

    async def _rows(self) -> Counter[str]:
        """All rows of all tables, as text."""
        rows = Counter[str]()
        for table_ in await fetch(self._conn, _TABLES):
            name = table_["name"]
            found = await self._conn.execute(f"SELECT t::text AS row FROM {name} AS t")
            rows.update(f"{name}: {row['row']}" for row in await found.fetchall())
        return rows

    def _judge(self, ids: Sequence[int], before: Counter[str], after: Counter[str]) -> None:
        count(self._report.changed, (row.split(":")[0] for row in ((before - after) + (after - before)).elements()))
        for job_id in ids:
            tried = json.loads((self._folder / f"{job_id}.tried").read_text())
            count(self._report.tried, tried)
            count(self._report.not_refused, (f"{kind}: {said}" for kind, said in tried.items() if said != "refused"))

    async def _clear(self, taken: Sequence[AnyJob]) -> None:
        """End what is left, and let the worker hear that it lost its lease."""
        for job in taken:
            with suppress(LeaseLost):  # where there was no fence
                await settle(self._conn, job, Complete(), self._jobs.table.job_type(job.job_type))
        await execute(self._conn, "DELETE FROM jobs.jobs WHERE input ->> 'role' = 'spare'")
        (self._folder / JUDGED).touch()

    def _agents(self) -> list[psutil.Process]:
        return left_running(self._mark, AGENT)


async def _all_told(folder: Path, ids: Sequence[int], name: str) -> bool:
    return all(Files(folder, str(job_id)).told(name) for job_id in ids)


async def _nobody(living: Callable[[], object]) -> bool:
    return not living()


def main(arguments: Sequence[str]) -> int:
    """`./jobs drill zombie [--short]`: with the fences nothing passes; without them everything must."""
    options = parse("zombie", arguments, seed=0)
    failures = 0
    for name, dsn, log in in_fresh_databases("whole", "out"):
        folder = log.with_suffix("")
        folder.mkdir()
        plan = Plan(1, len(WRITES), "out") if name == "out" else Plan(1 if options.short else 5, 20)
        report = asyncio.run(run(dsn, plan, folder))
        failures += show(plan, report, report.missed() if name == "out" else report.broken(plan))
    return 1 if failures else 0
