"""A place where programs on the queue are deployed: supervisors as an operator starts them, each of a version of the code.

Site.supervise(code) ─▶ `./jobs worker` ─▶ processes ─▶ agents          Member.drain ─▶ SIGTERM ─▶ ended, nothing left of it
Site.produce(code)   ─▶ a process that creates jobs                     Site.told()  ─▶ what handlers and producers told
"""

import asyncio
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import uuid
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from jobs_core import Connection, fetch
from tests.drills import deploy_code
from tests.drills.fleet import CHECKOUT
from tests.support.processes import MARK, kill_left, left_running

_WITHIN_S = 60.0
_GONE_WITHIN_S = 1.0
TROUBLE = {
    "claim.failed",
    "upkeep.failed",
    "database.away",
    "run.lost",
    "run.not_written",
    "worker.buried",
    "worker.broke",
}
"""Events of a worker's log that no deploy may bring."""


@dataclass(frozen=True, slots=True)
class Code:
    """A version of the program, and the checkout of the queue that it runs on."""

    version: str
    root: Path = CHECKOUT


@dataclass(slots=True)
class Member:
    """One supervisor, with all that runs below it."""

    code: Code
    process: subprocess.Popen[bytes]
    mark: str

    async def drain(self) -> int:
        """Ask it to; returns how many processes were left a second after it had ended. Raises AssertionError, TimeoutError."""
        self.process.send_signal(signal.SIGTERM)
        await self.ended()
        until = time.monotonic() + _GONE_WITHIN_S
        while (left := len(left_running(self.mark))) and time.monotonic() < until:
            await asyncio.sleep(0.1)
        return left

    async def ended(self) -> None:
        """Wait until it has, in order."""
        async with asyncio.timeout(_WITHIN_S):
            while self.process.poll() is None:
                await asyncio.sleep(0.02)
        assert self.process.returncode == 0, f"a supervisor ended with {self.process.returncode}"


class Site:
    """`settings` are variables of all that runs there. As a context manager it leaves nothing running."""

    def __init__(self, dsn: str, folder: Path, **settings: str) -> None:
        self._folder = folder
        self._folder.mkdir(exist_ok=True)
        shutil.copy(deploy_code.__file__, self._folder)
        self.dsn = dsn
        self._mark = uuid.uuid4().hex
        self._told = self._folder / "told"
        self.log = self._folder / "log"
        self._settings = {
            "DATABASE_URL": dsn,
            "DEPLOY_LOG": str(self._told),
            "JOBS_HANDLERS": "deploy_code",
            "JOBS_LOG_FORMAT": "json",
            **settings,
        }
        self._started = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        kill_left(self._mark)

    def supervise(self, code: Code, *queues: str, processes: int, **settings: str) -> Member:
        """Start workers of this code."""
        chosen = [part for queue in queues for part in ("--queue", queue)]
        return self._start(code, ["-m", "cli", "worker", "--processes", str(processes), *chosen], settings)

    def produce(self, code: Code, jobs: int, *, per_s: float, longest_s: float) -> Member:
        """Start a producer of this code."""
        return self._start(code, ["deploy_code.py", self.dsn, str(jobs), str(per_s), str(longest_s)], {})

    async def migrate(self, code: Code, **settings: str) -> None:
        """Bring the schema to this code's."""
        await self._start(code, ["-m", "cli", "migrate"], settings).ended()

    def told(self, *what: str) -> list[dict[str, Any]]:
        """The lines told, of these kinds, in order of their times."""
        lines = self._told.read_text(encoding="utf-8").splitlines() if self._told.exists() else []
        facts = [json.loads(line) for line in lines]
        return sorted((fact for fact in facts if fact["what"] in what), key=lambda fact: float(fact["at"]))

    def said(self, event: str) -> int:
        """How often the log has this event."""
        return self.log.read_text(encoding="utf-8").count(f'"event": "{event}"')

    def trouble(self) -> dict[str, int]:
        """Events in the logs that should not be there, and how often; and what was said of a command or program that broke."""
        lines = self.log.read_text(encoding="utf-8").splitlines()
        events = [json.loads(line) for line in lines if line.startswith("{")]
        bad = [
            event["event"] for event in events if event["level"] in {"error", "critical"} or event["event"] in TROUBLE
        ]
        return dict(Counter([*bad, *(line for line in lines if line.startswith(("jobs: ", "Traceback")))]))

    def _start(self, code: Code, arguments: Sequence[str], settings: Mapping[str, str]) -> Member:
        self._started += 1
        mark = f"{self._mark}/{self._started}"
        own = {"DEPLOY_VERSION": code.version, "PYTHONPATH": str(code.root), MARK: mark, **settings}
        with self.log.open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, *arguments],
                cwd=self._folder,
                env={**os.environ, **self._settings, **own},
                stdout=subprocess.DEVNULL,
                stderr=log,
            )
        return Member(code, process, mark)


async def serving(conn: Connection, workers: int) -> None:
    """Wait until so many workers have registered and live."""
    async with asyncio.timeout(_WITHIN_S):
        while len(await fetch(conn, "SELECT id FROM jobs.workers WHERE dead_at IS NULL")) < workers:
            await asyncio.sleep(0.05)


def largest_gap_s(starts: Sequence[Mapping[str, Any]]) -> float:
    """The longest time in which no run began."""
    times = [start["at"] for start in starts]
    return max((later - earlier for earlier, later in pairwise(times)), default=float("inf"))


def most_at_once(moves: Sequence[Mapping[str, Any]]) -> int:
    """Of starts and ends in order: how many ran at once, at most."""
    running, most = set[tuple[int, int]](), 0
    for move in moves:
        run = (move["job"], move["token"])
        if move["what"] == "start":
            running.add(run)
        else:
            running.discard(run)
        most = max(most, len(running))
    return most
