"""A supervisor of stand-ins, run for a test and seen from outside."""

import json
import os
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil

from tests.support.guarded.children import last_line_ns
from tests.support.processes import MARK, kill_left, left_running, until

CHECKOUT = Path(__file__).parents[3]


class Run:
    """A running supervisor of stand-ins, seen from outside."""

    def __init__(self, folder: Path, process: subprocess.Popen[bytes], mark: str) -> None:
        self.folder = folder
        self.process = process
        self.mark = mark

    def workers(self, kind: str = "worker") -> list[int]:
        """The pids of the workers (`alone`: of the alone runners) that are ready and live, oldest first."""
        ready = sorted(self.folder.glob(f"*.{kind}"), key=lambda file: file.stat().st_mtime_ns)
        return [int(file.stem) for file in ready if alive(int(file.stem))]

    def ready(self, count: int = 1, kind: str = "worker") -> list[int]:
        """Wait for so many workers, or alone runners."""
        until(lambda: len(self.workers(kind)) == count, f"{count} of {kind} ready")
        return self.workers(kind)

    def agents(self, worker: int) -> list[psutil.Process]:
        """What descends from a worker, dead or alive."""
        return left_running(f"{self.mark}/{worker}")

    def writing(self, worker: int, kind: str, number: int = 0) -> Path:
        """Wait until this child of a worker writes."""
        file = self.folder / f"{worker}.{kind}.{number}"
        until(lambda: last_line_ns(file), f"{file.name} writes")
        return file

    def events(self) -> list[dict[str, Any]]:
        """What the supervisor logged so far."""
        return [json.loads(line) for line in (self.folder / "log").read_text().splitlines() if line.startswith("{")]


Supervise = Callable[..., Run]


@contextmanager
def supervising(folder: Path) -> Iterator[Supervise]:
    """At the end nothing of it is left, whatever the test did."""
    mark = uuid.uuid4().hex
    started: list[subprocess.Popen[bytes]] = []

    def start(worker: dict[str, Any], *, beside: str = "", **supervision: Any) -> Run:
        how = {"worker": {"folder": str(folder), **worker}, **supervision}
        command = [sys.executable, "-m", "tests.support.guarded.supervise", json.dumps(how)]
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen(
                ["sh", "-c", f'{beside} exec "$@"', "sh", *command],
                cwd=CHECKOUT,
                env={**os.environ, MARK: mark},
                stdout=log,
                stderr=log,
            )
        started.append(process)
        return Run(folder, process, mark)

    try:
        yield start
    finally:
        for process in started:
            process.kill()
            process.wait()
        kill_left(mark)


def alive(pid: int) -> bool:
    """Whether a process runs or is frozen."""
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def silent(*files: Path) -> bool:
    """Whether nobody writes into these files for as long as eight lines of the slowest take."""
    before = [file.stat().st_size for file in files]
    time.sleep(0.4)
    return before == [file.stat().st_size for file in files]
