"""The processes of a lab of the points drill: a supervisor with its workers, and a producer when one is wanted."""

import asyncio
import json
import os
import signal
import subprocess
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

import psutil

from tests.drills.fleet import CHECKOUT, Fleet
from tests.drills.points_jobs import AGENT
from tests.drills.points_worker import Options
from tests.support.processes import MARK, left_running, ports_of


class Processes:
    """Inside the block they run; all that they start carries the mark."""

    def __init__(self, options: Options, mark: str) -> None:
        self._options = options
        self._mark = mark
        self._log = Path(options.folder) / "log"
        self._fleet = Fleet(options.command(), 1, self._log, environments=[{MARK: mark}])
        self._producer: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._fleet.stop()
        self._end_producer()

    async def drain(self) -> None:
        """End the workers in order."""
        await asyncio.to_thread(self._fleet.drain)

    def produce(self, trial: str) -> None:
        """Have the producer create the trial's job; one that was killed is replaced."""
        if self._producer is None or self._producer.poll() is not None:
            self._end_producer()
            self._producer = self._start_producer()
        assert self._producer.stdin
        self._producer.stdin.write(f"{trial}\n".encode())
        self._producer.stdin.flush()

    def owner(self, port: int) -> int:
        """The pid of the process that has a connection from this port; 0 where it has ended meanwhile."""
        producer = [self._producer.pid] if self._producer else []
        return next((pid for pid in (*self._fleet.below(), *producer) if port in ports_of(pid)), 0)

    def agents(self) -> list[psutil.Process]:
        """What runs have started and nobody has ended."""
        return left_running(self._mark, AGENT)

    def logged_bytes(self) -> int:
        """How long the log is."""
        return self._log.stat().st_size

    def lost_leases(self, since_byte: int) -> list[int]:
        """Ids of the workers that lost their leases, as the log says from there on."""
        with self._log.open() as log:
            log.seek(since_byte)
            events = [json.loads(line) for line in log if line.startswith("{") and line.endswith("}\n")]
        return [event["worker_id"] for event in events if event["event"] in {"lease.lost", "worker.buried"}]

    def _start_producer(self) -> subprocess.Popen[bytes]:
        with self._log.open("ab") as log:
            return subprocess.Popen(
                self._options.command("producer"),
                cwd=CHECKOUT,
                env=os.environ | {MARK: self._mark},
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=log,
            )

    def _end_producer(self) -> None:
        if self._producer:
            self._producer.kill()
            self._producer.communicate()


def send(number: signal.Signals, pid: int) -> None:
    """To a process of ours, which may have ended: one that lost its lease does."""
    assert pid > 0, "0 would be everybody"
    with suppress(ProcessLookupError):
        os.kill(pid, number)
