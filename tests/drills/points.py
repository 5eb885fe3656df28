"""R4: a fault at each named point of a job's way: its process killed, frozen past its lease, or its connections cut.

    two workers under a supervisor ─▶ ┌ holding proxy ┐ ─▶ Postgres ◀── the drill: creates, strikes, looks
      (and a producer)                └ at the point  ┘       frozen: held until another has taken over, then let go

A point is reached by the statement itself on the wire, so that the product's code knows nothing of it. Several labs
(points_lab.py) work side by side. A trial in which a process that was not struck lost its lease, as the machine was too busy,
says nothing of its fault: it is done again, and counted.
"""

import argparse
import asyncio
import os
import random
import shutil
import subprocess
import tempfile
import uuid
from collections import deque
from collections.abc import AsyncIterator, Sequence
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from jobs_core import Database, Jobs
from tests.drills import points_checks as checks
from tests.drills.points_jobs import table
from tests.drills.points_lab import Broken, Lab
from tests.drills.points_processes import Processes
from tests.drills.points_way import POINTS, By, Point
from tests.drills.points_worker import Options
from tests.drills.report import count, show
from tests.drills.waiting import WITHIN_S
from tests.support.database import fresh_database, make_template, server
from tests.support.holding_proxy import holding
from tests.support.processes import left_running

FAULTS: tuple[By, ...] = ("kill", "freeze", "cut")
_MOST_REPEATED = 0.2
"""Of all trials: beyond that the machine is too busy to say anything."""


@dataclass(frozen=True, slots=True)
class Plan:
    """Each of `points` under each of `faults`, `times` times; with `rotating`, each point once, under one of them.

    labs: how many work side by side. mutant: a name of points_worker's, taken out of the workers' code.
    """

    times: int
    seed: int = 0
    faults: tuple[By, ...] = FAULTS
    points: tuple[str, ...] = tuple(point.name for point in POINTS)
    rotating: bool = False
    labs: int = 4
    mutant: str = ""
    lease_s: float = 4.0
    within_s: float = WITHIN_S

    def trials(self) -> list[tuple[Point, By]]:
        """All of them, in an order of the seed's."""
        chosen = [point for point in POINTS if point.name in self.points]
        each = [(point, fault) for point in chosen for fault in self.faults] * self.times
        if self.rotating:
            each = [(point, self.faults[(n + self.seed) % len(self.faults)]) for n, point in enumerate(chosen)]
        random.Random(self.seed).shuffle(each)
        return each


@dataclass(slots=True)
class Report:
    """What came of it: trials by fault, seconds from each fault to the end of the trial's jobs, and what was broken, where.

    repeated: trials that said nothing, as the machine was too busy.
    """

    trials: dict[str, int] = field(default_factory=dict)
    repeated: int = 0
    took_s: list[float] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)


def run(server_dsn: str, plan: Plan, folder: Path) -> Report:
    """Carry out the plan on fresh databases of a server with the tests' template; logs and files go to the empty folder."""
    with ExitStack() as stack:
        dsns = [stack.enter_context(fresh_database(server_dsn)) for _ in range(plan.labs)]
        return asyncio.run(_run(dsns, plan, folder))


async def _run(dsns: Sequence[str], plan: Plan, folder: Path) -> Report:
    report, trials = Report(), deque(plan.trials())
    most_repeated = 2 + int(_MOST_REPEATED * len(trials))
    async with asyncio.TaskGroup() as group:
        for number, dsn in enumerate(dsns):
            own = folder / f"lab-{number}"
            own.mkdir()
            group.create_task(_work(dsn, plan, own, trials, report))
    if report.repeated > most_repeated:
        report.broken.append(f"{report.repeated} trials had to be repeated: this machine is too busy")
    return report


async def _work(dsn: str, plan: Plan, folder: Path, trials: deque[tuple[Point, By]], report: Report) -> None:
    """One lab: trials until there are no more, or one did not end."""
    mark = uuid.uuid4().hex
    async with Database(dsn, name="drill") as database, database.connection() as conn:
        await checks.prepare(conn)
        try:
            async with _lab(database, plan, folder, mark) as lab:
                while trials:
                    await _try_next(lab, trials, report)
            report.broken += [f"{folder.name}: left at the end: {left}" for left in left_running(mark)]
        except (TimeoutError, Broken, subprocess.TimeoutExpired) as error:
            report.broken.append(f"{folder.name}: {error}")
        report.broken += await checks.stale(conn)


async def _try_next(lab: Lab, trials: deque[tuple[Point, By]], report: Report) -> None:
    point, fault = trials.popleft()
    name = f"{point.name}-{fault}-{uuid.uuid4().hex[:6]}"
    try:
        took_s, broken = await lab.trial(name, point, fault)
    except TimeoutError as error:
        if not await lab.was_starved():
            raise TimeoutError(f"{name}: {error}") from None
        await lab.tidy(point)
        broken = [str(error)]
    except Broken as error:
        raise Broken(f"{name}: {error}") from None
    if broken and await lab.was_starved():
        report.repeated += 1
        trials.append((point, fault))
        return
    count(report.trials, [fault])
    report.took_s.append(took_s)
    report.broken += [f"{name}: {what}" for what in broken]


@asynccontextmanager
async def _lab(database: Database, plan: Plan, folder: Path, mark: str) -> AsyncIterator[Lab]:
    async with holding(database.dsn) as proxy, Jobs(database, table()) as jobs, database.connection() as conn:
        options = Options(proxy.dsn, str(folder), plan.lease_s, plan.mutant)
        with Processes(options, mark) as processes:
            yield Lab(proxy, jobs, conn, processes, options, within_s=plan.within_s)
            await processes.drain()


def main(arguments: Sequence[str]) -> int:
    """`./jobs drill points [--short] [--times N] [--fault NAME]`: 0 when each fault cost what it may, and nothing else."""
    parser = argparse.ArgumentParser(prog="./jobs drill points")
    parser.add_argument("--short", action="store_true", help="each point once, under one of the faults")
    parser.add_argument("--times", type=int, default=10, help="how often each point is struck by each fault")
    parser.add_argument("--lease", type=float, default=4.0, help="in seconds; longer where the machine is busy")
    parser.add_argument("--fault", choices=FAULTS, help="only this one")
    parser.add_argument("--seed", type=int, default=int.from_bytes(os.urandom(4)), help="repeat a run that went wrong")
    asked = parser.parse_args(arguments)
    folder = Path(tempfile.mkdtemp(prefix="jobs-points-"))
    faults = (asked.fault,) if asked.fault else FAULTS
    plan = Plan(asked.times, asked.seed, faults, rotating=asked.short, labs=6, lease_s=asked.lease)
    with server(folder / "postgres") as dsn:
        make_template(dsn)
        report = run(dsn, plan, folder)
    if show(plan, report, report.broken):
        print(f"What the processes logged lies in {folder}")
        return 1
    shutil.rmtree(folder, ignore_errors=True)
    return 0
