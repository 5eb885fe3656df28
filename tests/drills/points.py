"""R4: a fault at each named point of a job's way: its process killed, frozen past its lease, or its connections cut.

    two workers under a supervisor ─▶ ┌ holding proxy ┐ ─▶ Postgres ◀── the drill: creates, strikes, looks
      (and a producer)                └ at the point  ┘       frozen: held until another has taken over, then let go

A point is reached by the statement itself on the wire (tests/support/holding_proxy.py), so that the product's code knows
nothing of it. Each lab is a database of its own with its own processes; several work side by side. Where a worker was frozen,
what it was about to say arrives while its successor works.
"""

import argparse
import asyncio
import os
import random
import shutil
import signal
import subprocess
import tempfile
import time
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import ExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import psutil

from jobs_core import Connection, Database, Jobs, NewJob, fetch, fetch_one
from tests.drills import points_checks as checks
from tests.drills.fleet import CHECKOUT, Fleet
from tests.drills.points_jobs import AGENT, Files, event_of, table
from tests.drills.points_way import POINTS, By, Point, allowed, parts, roles
from tests.drills.points_worker import LEASE_S, PROCESSES, Options
from tests.drills.report import show
from tests.support.database import fresh_database, make_template, server
from tests.support.holding_proxy import HeldLine, HoldingProxy, holding
from tests.support.processes import MARK, left_running

FAULTS: tuple[By, ...] = ("kill", "freeze", "cut")
_LOOK_EVERY_S = 0.05

_READY = """
SELECT pid FROM jobs.workers WHERE dead_at IS NULL AND expires_at > clock_timestamp() AND slots > 1
"""
_HOLDER = """
SELECT w.pid FROM jobs.jobs AS j JOIN jobs.workers AS w ON w.id = j.worker_id WHERE j.id = %(id)s
"""
_TAKEN_OVER = """
SELECT NOT EXISTS (SELECT FROM jobs.workers WHERE pid = %(pid)s AND dead_at IS NULL)
   AND NOT EXISTS (SELECT FROM jobs.jobs AS j LEFT JOIN jobs.workers AS w ON w.id = j.worker_id
                   WHERE j.input ->> 'role' = %(role)s AND j.state <> 'waiting'
                     AND (w.id IS NULL OR w.dead_at IS NOT NULL OR j.rescued AND NOT %(again)s)) AS over
"""
"""Nobody holds the jobs of that role but who lives, and who has rescued one stands at the gate."""


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
    within_s: float = 60.0

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
    """What came of it: trials by fault, seconds from each fault to the end of the trial's jobs, and what was broken, where."""

    trials: Counter[str] = field(default_factory=Counter)
    took_s: list[float] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)


def run(server_dsn: str, plan: Plan, folder: Path) -> Report:
    """Carry out the plan on fresh databases of a server with the tests' template; logs and files go to the empty folder."""
    with ExitStack() as stack:
        dsns = [stack.enter_context(fresh_database(server_dsn)) for _ in range(plan.labs)]
        return asyncio.run(_run(dsns, plan, folder))


async def _run(dsns: Sequence[str], plan: Plan, folder: Path) -> Report:
    report, trials = Report(), iter(plan.trials())
    async with asyncio.TaskGroup() as group:
        for number, dsn in enumerate(dsns):
            own = folder / f"lab-{number}"
            own.mkdir()
            group.create_task(_work(dsn, plan, own, trials, report))
    return report


async def _work(dsn: str, plan: Plan, folder: Path, trials: Iterator[tuple[Point, By]], report: Report) -> None:
    """One lab: trials until there are no more, or one did not end."""
    async with _lab(dsn, plan, folder) as lab:
        for number, (point, fault) in enumerate(trials):
            try:
                took_s, broken = await lab.trial(f"{folder.name}-{number}", point, fault)
            except (TimeoutError, Broken) as error:
                report.broken.append(f"{point.name}, {fault}: {error}")
                break
            report.trials[fault] += 1
            report.took_s.append(took_s)
            report.broken += [f"{point.name}, {fault}: {what}" for what in broken]
        report.broken += await lab.at_the_end()
    report.broken += [f"{folder.name}: left at the end: {left}" for left in left_running(lab.mark)]


@asynccontextmanager
async def _lab(dsn: str, plan: Plan, folder: Path) -> AsyncIterator["Lab"]:
    mark = uuid.uuid4().hex
    async with (
        holding(dsn) as proxy,
        Database(dsn, name="drill") as database,
        Jobs(database, table()) as jobs,
        database.connection() as conn,
    ):
        await checks.prepare(conn)
        options = Options(proxy.dsn, str(folder), plan.mutant)
        with Fleet(options.command(), 1, folder / "log", environments=[{MARK: mark}]) as fleet:
            lab = Lab(plan, proxy, jobs, conn, fleet, folder, options, mark)
            try:
                yield lab
                await asyncio.to_thread(fleet.drain)
            finally:
                lab.end()


class Broken(Exception):
    """Something that must hold at every moment did not; the text says what."""


class Lab:
    """A database with its processes; `trial` is one strike and what came of it."""

    def __init__(
        self,
        plan: Plan,
        proxy: HoldingProxy,
        jobs: Jobs,
        conn: Connection,
        fleet: Fleet,
        folder: Path,
        options: Options,
        mark: str,
    ) -> None:
        self.mark = mark
        self._plan = plan
        self._proxy = proxy
        self._jobs = jobs
        self._conn = conn
        self._fleet = fleet
        self._folder = folder
        self._options = options
        self._producer: subprocess.Popen[bytes] | None = None

    async def trial(self, name: str, point: Point, fault: By) -> tuple[float, list[str]]:
        """Strike once; returns the seconds from the fault to the end, and what was broken. Raises TimeoutError, Broken."""
        files = Files(self._folder, name)
        await self._until(self._workers_are_ready, "both workers are ready")
        pid, line = await self._at_the_point(point, files)
        struck_at = time.monotonic()
        await getattr(self, f"_{fault}")(pid, line, point, files)
        if fault == "kill" and point.scene.by_producer:
            await self._until(self._nothing_is_open, "the producer's transaction has ended")
        await self._until_ended(point, fault, files)
        took_s = round(time.monotonic() - struck_at, 2)
        rows = await checks.ended(self._conn, name)
        left = [f"an agent is left: {one}" for one in left_running(self.mark) if tuple(one.cmdline()) == AGENT]
        return took_s, [*checks.spoiled(rows, files, point, fault), *left]

    async def at_the_end(self) -> list[str]:
        """What shows only over all trials."""
        return await checks.stale(self._conn)

    def end(self) -> None:
        """Leave no producer."""
        if self._producer:
            self._producer.kill()
            self._producer.communicate()

    async def _at_the_point(self, point: Point, files: Files) -> tuple[int, HeldLine | None]:
        """Send the trial's jobs on their way; returns who is at the point, with the line that is held there."""
        scene = point.scene
        if scene.earlier:
            early = [
                NewJob(job_type, {"trial": files.trial, "role": role, "act": act})
                for role, (job_type, act) in scene.earlier.items()
            ]
            await self._jobs.create_many(early)
            await self._until(lambda: self._all_wait(len(early)), "those before it wait")
        if point.stop and not scene.prelude:
            self._proxy.arm(point.stop)
        subject = await self._create(point, files)
        if scene.prelude or not point.stop:
            await self._until(lambda: _as_told(files, "stands"), "the handler stands")
        holder = await self._holder(subject)
        if point.stop is None:
            return holder, None
        if scene.prelude:
            self._proxy.arm(point.stop)
            await self._prelude(point, holder, subject)
        return await self._reached(point, subject)

    async def _create(self, point: Point, files: Files) -> int:
        """The subject's id, or 0 where a producer creates it."""
        if point.scene.by_producer:
            stdin = self._living_producer().stdin
            assert stdin
            stdin.write(f"{files.trial}\n".encode())
            stdin.flush()
            return 0
        due = timedelta(seconds=point.scene.due_s) if point.scene.due_s else None
        new = [
            NewJob(job_type, part, scheduled_for=due)
            for job_type, part in parts(point.scene, files.trial)
        ]
        return (await self._jobs.create_many(new)).ids[0]

    async def _prelude(self, point: Point, holder: int, subject: int) -> None:
        match point.scene.prelude:
            case "cancel":
                await self._jobs.cancel(subject)
            case "drain":
                os.kill(holder, signal.SIGTERM)
            case "kill":
                os.kill(holder, signal.SIGKILL)

    async def _reached(self, point: Point, subject: int) -> tuple[int, HeldLine]:
        assert point.stop
        while True:
            try:
                async with asyncio.timeout(self._plan.within_s):
                    line = await self._proxy.reached()
            except TimeoutError:
                self._proxy.disarm()
                raise TimeoutError(f"nobody came to the point within {self._plan.within_s:g} s") from None
            pid = self._owner(line)
            if not point.holders or pid == await self._holder(subject):
                return pid, line
            self._proxy.arm(point.stop)
            line.go()

    async def _kill(self, pid: int, line: HeldLine | None, point: Point, files: Files) -> None:
        os.kill(pid, signal.SIGKILL)
        if line:
            line.drop()
        self._open(point, files)

    async def _cut(self, pid: int, line: HeldLine | None, point: Point, files: Files) -> None:
        if line:
            line.drop(reset=True)
        self._proxy.cut(_ports(pid))
        self._open(point, files)

    async def _freeze(self, pid: int, line: HeldLine | None, point: Point, files: Files) -> None:
        os.kill(pid, signal.SIGSTOP)
        try:
            if point.scene.by_producer:
                await asyncio.sleep(LEASE_S)
            else:
                over = lambda: self._is_taken_over(pid, point, files)  # noqa: E731 - it is said once
                await self._until(over, "another has taken over")
            if line:
                line.go()
                async with asyncio.timeout(self._plan.within_s):
                    await line.arrived.wait()
        finally:
            self._open(point, files)
            os.kill(pid, signal.SIGCONT)

    def _open(self, point: Point, files: Files) -> None:
        if point.scene.opens:
            files.tell("open")

    async def _until_ended(self, point: Point, fault: By, files: Files) -> None:
        """Return when all jobs of the trial have ended that must be there; does what must be done while the subject waits."""
        due = Counter(came.state != "" for came in (allowed(point, fault)[0], *roles(point.scene).values()))[True]

        async def over() -> bool:
            if broken := await checks.broken_now(self._conn):
                raise Broken("; ".join(broken))
            living = await fetch(self._conn, "SELECT id, input ->> 'role' AS role, state FROM jobs.jobs")
            for job in living:
                if job["state"] == "waiting" and job["role"] == "subject":
                    await self._then(point, job["id"], files)
            return not living and len(await checks.ended(self._conn, files.trial)) >= due

        await self._until(over, "all jobs have ended")

    async def _then(self, point: Point, subject: int, files: Files) -> None:
        if point.scene.then == "emit":
            await self._jobs.emit(event_of(files.trial))
        elif point.scene.then == "answer":
            await self._jobs.emit(f"step:{subject}:pay", {"again": True})

    async def _workers_are_ready(self) -> bool:
        rows = await fetch(self._conn, _READY)
        return len(rows) == PROCESSES and all(_lives(row["pid"]) for row in rows)

    async def _is_taken_over(self, pid: int, point: Point, files: Files) -> bool:
        values = {"pid": pid, "role": point.scene.role, "again": files.told("again")}
        row = await fetch_one(self._conn, _TAKEN_OVER, values)
        return row is not None and bool(row["over"])

    async def _all_wait(self, n: int) -> bool:
        return len(await fetch(self._conn, "SELECT FROM jobs.jobs WHERE state = 'waiting'")) == n

    async def _nothing_is_open(self) -> bool:
        open_ones = (
            "SELECT FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'drill producer'"
        )
        return not await fetch(self._conn, open_ones)

    async def _holder(self, job_id: int) -> int:
        row = await fetch_one(self._conn, _HOLDER, {"id": job_id})
        return int(row["pid"]) if row else 0

    def _living_producer(self) -> subprocess.Popen[bytes]:
        if self._producer is None or self._producer.poll() is not None:
            self.end()
            with (self._folder / "log").open("ab") as log:
                self._producer = subprocess.Popen(
                    self._options.command("producer"),
                    cwd=CHECKOUT,
                    env=os.environ | {MARK: self.mark},
                    stdin=subprocess.PIPE,
                    stdout=subprocess.DEVNULL,
                    stderr=log,
                )
        return self._producer

    def _owner(self, line: HeldLine) -> int:
        """The pid of the process that has this connection."""
        producer = [self._producer.pid] if self._producer else []
        return next(pid for pid in (*self._fleet.below(), *producer) if line.port in _ports(pid))

    async def _until(self, condition: Callable[[], Awaitable[object]], what: str) -> None:
        try:
            async with asyncio.timeout(self._plan.within_s):
                while not await condition():
                    await asyncio.sleep(_LOOK_EVERY_S)
        except TimeoutError:
            raise TimeoutError(f"not within {self._plan.within_s:g} s: {what}") from None


async def _as_told(files: Files, name: str) -> bool:
    return files.told(name)


def _lives(pid: int) -> bool:
    with suppress(psutil.NoSuchProcess):
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    return False


def _ports(pid: int) -> set[int]:
    try:
        return {one.laddr.port for one in psutil.Process(pid).net_connections("tcp")}
    except psutil.Error:  # it has ended meanwhile
        return set()


def main(arguments: Sequence[str]) -> int:
    """`./jobs drill points [--short] [--times N]`: 0 when each fault cost what it may, and nothing else."""
    parser = argparse.ArgumentParser(prog="./jobs drill points")
    parser.add_argument("--short", action="store_true", help="each point once, under one of the faults")
    parser.add_argument("--times", type=int, default=10, help="how often each point is struck by each fault")
    parser.add_argument("--seed", type=int, default=int.from_bytes(os.urandom(4)), help="repeat a run that went wrong")
    asked = parser.parse_args(arguments)
    folder = Path(tempfile.mkdtemp(prefix="jobs-points-"))
    plan = Plan(1 if asked.short else asked.times, asked.seed, rotating=asked.short, labs=6)
    with server(folder / "postgres") as dsn:
        make_template(dsn)
        report = run(dsn, plan, folder)
    if show(plan, report, report.broken):
        print(f"What the processes logged lies in {folder}")
        return 1
    shutil.rmtree(folder, ignore_errors=True)
    return 0
