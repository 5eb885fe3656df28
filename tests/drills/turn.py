"""Every kill point of a chat turn: the worker dies, or freezes past its lease, at each of nine points, with the real CLI.

    `jobs worker` (two processes, and those for lost jobs) ◀── jobs ── Postgres ◀── a chat's message: the next point
       └─ real CLI ─▶ simulator                                           └─▶ what the chat, the jobs and the requests say

One chat goes through all points in an order of its own, so that each turn is also asked whether it spoiled those before it.
"""

import argparse
import asyncio
import itertools
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import psutil

import simulator
from assistant import chats
from assistant.chats import CHAT_TURN
from jobs_core import Connection, Database, HandlerTable, Jobs, fetch_one
from simulator.client import SimulatorControl
from simulator.errors import ControlError
from tests.drills.report import show
from tests.drills.turn_agent import FOLDER, MUTANT
from tests.drills.turn_checks import Turn, spoiled, spoiled_chat
from tests.drills.turn_points import POINTS, Stage, has_ended
from tests.drills.waiting import WITHIN_S, until
from tests.support.sessions import KEY

CHECKOUT = Path(__file__).parents[2]
LEASE_S = 2.0
SETTINGS = {"LEASE_S": LEASE_S, "RENEW_S": 0.4, "UPKEEP_S": 0.3, "POLL_S": 1.0, "DRAIN_S": 5.0, "LOG_FORMAT": "json"}
_LONGEST_PAUSE_S = 0.15
"""Between reaching a point and the fault: entries are stored about 0.1 s after the CLI wrote them, so some are, some not."""
_GONE_S = 15.0
"""No process of a turn is left within the lease after the fault; more, because this says whether, not when."""

Fault = Literal["kill", "freeze"]


@dataclass(frozen=True, slots=True)
class Plan:
    """`times`: chats, each through all `points`. `mutant`: a name of turn_agent's, taken out of the workers' code."""

    times: int
    seed: int = 0
    fault: Fault = "kill"
    points: tuple[str, ...] = tuple(point.name for point in POINTS)
    mutant: str = ""


@dataclass(slots=True)
class Report:
    """What came of it: seconds from each fault to its job's end, and what was broken, at which point."""

    took_s: list[float] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)


async def run(dsn: str, plan: Plan, folder: Path) -> Report:
    """Carry out the plan on a fresh migrated database; the workers' log is `log` in the empty folder."""
    report, table = Report(), HandlerTable()
    table.declare(CHAT_TURN)
    with simulator.running(api_key=KEY) as sim:
        async with (
            Database(dsn, name="drill") as database,
            Jobs(database, table) as jobs,
            await database.connect("locks") as conn,
        ):
            cli = await Stage.prepare(conn, folder)
            with _worker(dsn, sim, folder, cli, plan.mutant) as supervisor:
                drill = Drill(jobs, conn, sim, folder, plan)
                for _ in range(plan.times):
                    await drill.chat(report)
            report.broken += await drill.at_the_end()
            if supervisor.returncode != 0:
                report.broken.append(f"the supervisor ended with {supervisor.returncode}: it had to kill a worker")
    if left := [process.pid for process in psutil.process_iter() if _of_a_run(process, folder)]:
        report.broken.append(f"processes left at the end: {left}")
    return report


@contextmanager
def _worker(dsn: str, sim: SimulatorControl, folder: Path, cli: Path, mutant: str) -> Iterator[subprocess.Popen[bytes]]:
    """`jobs worker`, drained at the end of the block."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("ANTHROPIC_", "CLAUDE", "JOBS_"))}
    own = {"DATABASE_URL": dsn, "ANTHROPIC_BASE_URL": sim.url, "ANTHROPIC_API_KEY": KEY, "PYTHONPATH": str(CHECKOUT)}
    own |= {f"JOBS_{name}": str(value) for name, value in SETTINGS.items()}
    own |= {
        "JOBS_HANDLERS": "tests.drills.turn_agent",
        "JOBS_SCRATCH_FOLDER": str(folder / "s"),
        "JOBS_DATA": str(folder),
    }
    own |= {"JOBS_CLAUDE_CLI": str(cli), FOLDER: str(folder), MUTANT: mutant}
    command = [sys.executable, "-m", "cli", "worker", "--processes", "2", "--queue", CHAT_TURN.queue]
    with (folder / "log").open("ab") as log:
        process = subprocess.Popen(command, cwd=CHECKOUT, env=kept | own, stderr=log, stdin=subprocess.DEVNULL)
        try:
            yield process
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(WITHIN_S)
            finally:
                process.kill()
                process.wait()


def _of_a_run(process: psutil.Process, folder: Path) -> bool:
    """Whether it is a CLI or a tool of this drill: their home lies in its scratch folder."""
    with suppress(psutil.Error, OSError):
        return process.environ().get("HOME", "").startswith(f"{folder}/s/")
    return False


def _lives(process: psutil.Process) -> bool:
    """A frozen parent does not wait for its dead children, so they stay as zombies."""
    with suppress(psutil.NoSuchProcess):
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    return False


class Drill:
    """Sends chats through points, and strikes the worker that holds the turn when it stands there."""

    def __init__(self, jobs: Jobs, conn: Connection, sim: SimulatorControl, folder: Path, plan: Plan) -> None:
        self._jobs = jobs
        self._conn = conn
        self._sim = sim
        self._folder = folder
        self._rng = random.Random(plan.seed)
        self._points = [point for point in POINTS if point.name in plan.points]
        self._fault = plan.fault
        self._numbers = itertools.count(1)
        self._chats: dict[str, list[Turn]] = {}

    async def chat(self, report: Report) -> None:
        """One chat through all points, in an order of its own; a turn that hangs ends it."""
        turns: list[Turn] = []
        chat: str | None = None
        for point in self._rng.sample(self._points, len(self._points)):
            stage = Stage(self._conn, self._sim, self._folder, next(self._numbers), point)
            try:
                chat, job_id, took_s = await self._turn(stage, chat)
            except (TimeoutError, ControlError) as error:
                await stage.open()
                report.broken.append(f"{point.name}: {error}")
                return
            turns.append(Turn(stage, job_id))
            self._chats[chat] = turns
            found = await spoiled(self._conn, self._sim, chat, turns)
            report.broken += [f"{point.name}: {what}" for what in found]
            report.took_s.append(round(took_s, 2))
            await self._sim.reset()

    async def at_the_end(self) -> list[str]:
        """What is wrong with the chats when all workers have ended, those that were frozen too."""
        return [what for chat, turns in self._chats.items() for what in await spoiled_chat(self._conn, chat, turns)]

    async def _turn(self, stage: Stage, chat: str | None) -> tuple[str, int, float]:
        """One turn, struck at its point; returns the chat, the job and the seconds from the fault to the job's end."""
        await stage.close()
        async with self._jobs.database.transaction() as conn:
            said = await chats.receive(
                conn, self._jobs, session_id=chat, channel="web", message=stage.prompt(), user_id=None
            )
        job = said.job
        assert job  # a message without a key is never one that was there before
        job.wake()
        session_id = await chats.claude_session_of(self._conn, said.session_id)
        await stage.reached(session_id, job.id)
        await asyncio.sleep(self._rng.uniform(0.0, _LONGEST_PAUSE_S))
        struck_at = time.monotonic()
        worker = await self._strike(job.id)
        try:
            await stage.open()
            await until(lambda: has_ended(self._conn, job.id), f"the job goes on after {stage.point.name}")
        finally:
            if self._fault == "freeze":
                worker.resume()
        return said.session_id, job.id, time.monotonic() - struck_at

    async def _strike(self, job_id: int) -> psutil.Process:
        """Kill or freeze the worker process that holds the job, or ended it; returns when all that it ran is gone."""
        row = await fetch_one(
            self._conn,
            "SELECT pid FROM jobs.workers WHERE id = (SELECT worker_id FROM jobs.jobs WHERE id = %(id)s UNION ALL "
            "SELECT worker_id FROM jobs.history WHERE id = %(id)s)",
            {"id": job_id},
        )
        assert row is not None
        worker = psutil.Process(row["pid"])
        below = worker.children(recursive=True)
        worker.send_signal(signal.SIGKILL if self._fault == "kill" else signal.SIGSTOP)
        deadline = time.monotonic() + _GONE_S
        while any(_lives(process) for process in below):
            if time.monotonic() > deadline:
                raise TimeoutError(
                    f"processes of the worker {worker.pid} outlive it: {[p for p in below if _lives(p)]}"
                )
            await asyncio.sleep(0.02)
        return worker


def main(arguments: Sequence[str]) -> int:
    """`./jobs drill turn [--short] [--times N] [--fault kill|freeze]`: 0 when every turn was asked and answered once."""
    from tests.drills.main import in_fresh_databases

    parser = argparse.ArgumentParser(prog="./jobs drill turn")
    parser.add_argument("--short", action="store_true", help="each point once instead of 20 times")
    parser.add_argument("--times", type=int, help="how often each point is struck")
    parser.add_argument("--fault", choices=["kill", "freeze"], help="only this one")
    parser.add_argument("--seed", type=int, default=int.from_bytes(os.urandom(4)), help="repeat a run that went wrong")
    asked = parser.parse_args(arguments)
    times, broken = asked.times or (1 if asked.short else 20), 0
    for name, dsn, _ in in_fresh_databases(*([asked.fault] if asked.fault else ["kill", "freeze"])):
        fault: Fault = "kill" if name == "kill" else "freeze"
        plan, folder = Plan(times, asked.seed, fault), Path(tempfile.mkdtemp(prefix="jobs-turn-"))
        report = asyncio.run(run(dsn, plan, folder))
        if show(plan, report, report.broken):
            broken += 1
            print(f"The workers' log is {folder / 'log'}")
        else:
            shutil.rmtree(folder, ignore_errors=True)
    return 1 if broken else 0
