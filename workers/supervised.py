"""One place under the supervisor: a worker process, and after its end the next one."""

import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress

import structlog

from workers.guard_link import GuardEnd
from workers.process_table import look
from workers.process_tree import boottime_s, kill_descendants

log = structlog.get_logger()

_FIRST_WAIT_S = 0.1
_LONGEST_WAIT_S = 5.0
_LONG_LIFE_S = 10.0
"""Who lived this long is replaced at once, as after a first end."""


class Supervised:
    """Starts a worker when due, guards it, and takes note of its end. Nothing here waits.

    With `may_end` an end in order (exit status 0) is no failure, after which the next start would have to wait.
    """

    def __init__(self, command: Sequence[str], environment: Mapping[str, str], *, may_end: bool = False) -> None:
        self._command = command
        self._environment = environment
        self._may_end = may_end
        self._process: subprocess.Popen[bytes] | None = None
        self._end: GuardEnd | None = None
        self.killed = False
        """Whether the worker was killed, and its end is not noted yet."""
        self._started_at = 0.0
        self._due_at = time.monotonic()
        self._short_lives = 0

    @property
    def pid(self) -> int | None:
        """The worker process, ended or not; None once its end was noted and until the next starts."""
        return self._process.pid if self._process else None

    @property
    def suspects(self) -> int:
        """How many jobs wait for an alone runner, as this worker last told."""
        return self._end.suspects if self._end else 0

    @property
    def busy(self) -> bool:
        """Whether this alone runner runs a job, as it last told."""
        return self._end is not None and self._end.busy

    def start_if_due(self) -> None:
        """Start a worker where there is none and its time has come; where the system refuses, later again."""
        if self._process or time.monotonic() < self._due_at:
            return
        try:
            self._process, self._end = self._spawn()
        except OSError as error:
            self._set_due(lived_s=0.0)
            log.warning("worker.not_started", error=str(error), retry_in_s=self._wait_s())
            return
        self._started_at = time.monotonic()
        log.info("worker.started", worker_pid=self._process.pid)

    def note_end(self) -> bool:
        """Whether the worker had ended, which is noted now; what is left of its process group is killed."""
        if self._process is None or not _ended(self._process):
            return False
        assert self._end is not None
        self._end.close()
        lived_s = time.monotonic() - self._started_at
        code = self._process.returncode
        self._set_due(_LONG_LIFE_S if self._may_end and code == 0 else lived_s)
        how = {"signal": signal.strsignal(-code)} if code < 0 else {"exit_code": code}
        log_end = log.warning if code else log.info
        log_end("worker.ended", worker_pid=self._process.pid, **how, lived_s=round(lived_s, 3))
        self._process = self._end = None
        self.killed = False
        return True

    def hear(self) -> None:
        """Take in what the worker has told."""
        if self._process is None or self._end is None:
            return
        try:
            self._end.read()
        except ValueError as error:
            log.warning("guard.misread", worker_pid=self._process.pid, error=str(error))

    def enforce_deadline(self) -> None:
        """Kill all that descends from a worker whose deadline has passed. It may wake and come back with a new one."""
        if self._process is None or self._end is None:
            return
        if self._end.deadline_s is None or boottime_s() < self._end.deadline_s:
            return
        if killed := kill_descendants(self._process.pid):
            log.warning(
                "agents.killed", why="their worker's deadline passed", worker_pid=self._process.pid, pids=killed
            )

    def terminate(self) -> None:
        """Ask it to drain; asked twice, a worker hands back what it runs at once."""
        if self._process:
            os.kill(self._process.pid, signal.SIGTERM)

    def kill(self) -> None:
        """Kill it with its descendants; `note_end` follows."""
        if self._process:
            self.killed = True
            os.kill(self._process.pid, signal.SIGSTOP)
            kill_descendants(self._process.pid)
            os.kill(self._process.pid, signal.SIGKILL)

    def _spawn(self) -> tuple[subprocess.Popen[bytes], GuardEnd]:
        end = GuardEnd()
        try:
            process = subprocess.Popen(
                self._command,
                env={**self._environment, **end.variable},
                stdin=subprocess.DEVNULL,
                pass_fds=end.worker_fds,
                start_new_session=True,  # the terminal's Ctrl-C is for the supervisor; and a group to kill it by
            )
        except OSError:
            end.close()
            raise
        finally:
            end.close_workers_ends()
        return process, end

    def _set_due(self, lived_s: float) -> None:
        if lived_s >= _LONG_LIFE_S:
            self._short_lives = 0
        self._short_lives += 1
        self._due_at = time.monotonic() + self._wait_s()

    def _wait_s(self) -> float:
        """How long after this end the next one starts: 0, 0.1, 0.2 … 5 s."""
        if self._short_lives == 1:
            return 0.0
        doublings = min(self._short_lives - 2, 10)  # past the longest wait; a float holds no 2 ** 1024
        return float(min(_FIRST_WAIT_S * 2**doublings, _LONGEST_WAIT_S))


def _ended(process: subprocess.Popen[bytes]) -> bool:
    # While nobody has waited for it, its id, which is its group's too, is given to no other: kill by it first.
    seen = look(process.pid)
    if seen and not seen.ended:
        return False
    with suppress(OSError):
        os.killpg(process.pid, signal.SIGKILL)
    return process.poll() is not None
