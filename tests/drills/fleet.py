"""The worker processes of a drill: started, killed and replaced, stopped."""

import json
import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import psutil

CHECKOUT = Path(__file__).parents[2]
_DRAINED_WITHIN_S = 30.0


class Fleet:
    """`size` processes of one command, their logs in one file; inside the block they run, one that is killed is replaced."""

    def __init__(
        self, command: Sequence[str], size: int, log: Path, *, environments: Sequence[Mapping[str, str]] = ({},)
    ) -> None:
        self._command = command
        self._environments = environments
        self._log = log.open("ab")
        self.workers = [self._spawn(number) for number in range(size)]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()

    def kill(self, worker: subprocess.Popen[bytes]) -> None:
        """SIGKILL it and start another in its place."""
        worker.kill()
        worker.communicate()
        number = self.workers.index(worker)
        self.workers[number] = self._spawn(number)

    def revive(self) -> int:
        """Replace those that ended by themselves (a worker that lost its lease may); returns how many."""
        ended = [worker for worker in self.workers if worker.poll() is not None]
        for worker in ended:
            self.kill(worker)
        return len(ended)

    def drain(self) -> list[dict[str, Any]]:
        """SIGTERM all, wait for their ends, and return what each said last, a line of JSON."""
        for worker in self.workers:
            worker.send_signal(signal.SIGTERM)
        said = [worker.communicate(timeout=_DRAINED_WITHIN_S)[0].splitlines() for worker in self.workers]
        return [json.loads(line) for lines in said for line in lines]

    def below(self) -> list[int]:
        """The pids of all that run below them: a supervisor's workers."""
        return [child.pid for worker in self.workers for child in psutil.Process(worker.pid).children(recursive=True)]

    def stop(self) -> None:
        """Leave none of them, nor any frozen one."""
        for worker in self.workers:
            if worker.poll() is None:
                worker.send_signal(signal.SIGCONT)
                worker.kill()
            worker.communicate()
        self._log.close()

    def _spawn(self, number: int) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            self._command,
            cwd=CHECKOUT,
            env=os.environ | self._environments[number % len(self._environments)],
            stdout=subprocess.PIPE,
            stderr=self._log,
        )
