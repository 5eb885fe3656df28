"""The line between a worker and its guard, the supervisor: two pipes, so that each sees the other's end.

    worker ── one line a message, as below ─────────────────────────────────────────▶ guard: GuardEnd
    worker ◀── nothing, ever; it closes when the guard is gone, however it died ────── guard

    deadline SECONDS   its descendants may run until then, on boottime_s' clock
    no_lease           nothing runs that the guard would have to stop
    suspects NUMBER    so many jobs stand ready to run alone, or will soon
    busy, free         of an alone runner: it runs a job, it runs none

Without its guard a worker kills its descendants and ends: nobody would stop them if it froze. The kernel sends a worker
SIGCONT when its guard dies, not SIGKILL: a frozen one wakes up, finds the pipe closed, and takes its descendants with it;
killed, it would leave them behind. What stays open: a guard *and* its worker killed at the same moment, and a worker that
loses its guard inside C code that never gives the interpreter back. There an agent ends only by what it carries itself.
"""

import os
import select
import signal
import sys
import threading
from typing import NoReturn, Self

from jobs_core import ConfigurationError
from workers.process_tree import become_subreaper, kill_descendants, reap_adopted, signal_at_parents_end

VARIABLE = "JOBS_GUARD_FDS"
"""Carries two descriptors, `READ,WRITE`: the one that closes with the guard, and the one that messages go into."""
EXIT_GUARD_LOST = 76
_REAP_EVERY_S = 10.0
_SPAWN_EVENTS = {"subprocess.Popen", "os.fork", "os.forkpty", "os.posix_spawn", "os.spawn", "os.system", "pty.spawn"}


class GuardLink:
    """The worker's end. The guard kills this process' descendants once the deadline it was last told has passed."""

    def __init__(self, reads: int, writes: int) -> None:
        self._reads = reads
        self._writes = writes
        threading.Thread(target=self._watch, name="guard link", daemon=True).start()

    @classmethod
    def from_environment(cls) -> Self | None:
        """The link that the supervisor handed down, or None where no supervisor started this process.

        Call it once, before anything is started: it makes this process a subreaper, and takes the variable and the
        descriptors away from children. Raises ConfigurationError where the variable does not name open descriptors.
        """
        value = os.environ.pop(VARIABLE, None)
        if value is None:
            return None
        try:
            reads, writes = (int(number) for number in value.split(","))
            for descriptor in (reads, writes):
                os.set_inheritable(descriptor, False)
            os.set_blocking(writes, False)
        except (ValueError, OSError) as error:
            raise ConfigurationError(
                f"{VARIABLE}={value} names no pipes to a supervisor ({error}): unset it, only a supervisor sets it"
            ) from error
        become_subreaper()
        signal_at_parents_end(signal.SIGCONT)
        return cls(reads, writes)

    def deadline(self, at_boottime_s: float) -> None:
        """Tell the guard until when this worker's descendants may run. From any thread; never waits.

        It does not return where the guard is gone, or has read nothing for hours (the pipe is full): this process ends.
        """
        self._tell(b"deadline %.6f\n" % at_boottime_s)

    def no_lease(self) -> None:
        """Tell the guard that nothing runs that it would have to stop. As `deadline`."""
        self._tell(b"no_lease\n")

    def suspects(self, ready: int) -> None:
        """Tell the guard how many jobs wait for an alone runner. As `deadline`."""
        self._tell(b"suspects %d\n" % ready)

    def busy(self, running: bool) -> None:  # noqa: FBT001 - what it tells is this one bit
        """Tell the guard whether this alone runner runs a job. As `deadline`."""
        self._tell(b"busy\n" if running else b"free\n")

    def _tell(self, line: bytes) -> None:
        try:
            os.write(self._writes, line)  # whole or not at all: it is shorter than PIPE_BUF
        except (BlockingIOError, BrokenPipeError):
            _end_without_guard()

    def _watch(self) -> None:
        while not select.select([self._reads], [], [], _REAP_EVERY_S)[0]:
            reap_adopted()
        _end_without_guard()


class GuardEnd:
    """The guard's end of the line to one worker process."""

    def __init__(self) -> None:
        self._reads, worker_writes = os.pipe()
        worker_reads, self._writes = os.pipe()
        os.set_blocking(self._reads, False)
        self.worker_fds = (worker_reads, worker_writes)
        self.deadline_s: float | None = None
        """On boottime_s' clock; None: nothing to guard."""
        self.suspects = 0
        """How many jobs wait for an alone runner, as this worker last saw it."""
        self.busy = False
        """Whether this alone runner runs a job."""
        self._rest = b""

    @property
    def variable(self) -> dict[str, str]:
        """What the worker's environment needs."""
        return {VARIABLE: ",".join(map(str, self.worker_fds))}

    def close_workers_ends(self) -> None:
        """Once the worker has been started with `worker_fds`."""
        for descriptor in self.worker_fds:
            os.close(descriptor)

    def read(self) -> None:
        """Take in what the worker has said so far. Raises ValueError on a line that is no message."""
        try:
            *lines, self._rest = (self._rest + os.read(self._reads, 65536)).split(b"\n")
        except BlockingIOError:
            return
        for line in lines:
            self._take_in(line)

    def _take_in(self, line: bytes) -> None:
        match line.split():
            case [b"deadline", seconds]:
                self.deadline_s = float(seconds)
            case [b"no_lease"]:
                self.deadline_s = None
            case [b"suspects", number]:
                self.suspects = int(number)
            case [b"busy" | b"free" as said]:
                self.busy = said == b"busy"
            case _:
                raise ValueError(f"{line!r} is no message of a worker")

    def close(self) -> None:
        """A worker that still lives ends now."""
        os.close(self._reads)
        os.close(self._writes)


def _end_without_guard() -> NoReturn:
    # Nothing is logged here: stderr may be a full pipe or locked by a thread that is stuck in it, and this must not wait.
    sys.addaudithook(_refuse_to_spawn)  # or another thread starts a child between the last look and the end
    kill_descendants(os.getpid())
    os._exit(EXIT_GUARD_LOST)


def _refuse_to_spawn(event: str, _: object) -> None:
    if event in _SPAWN_EVENTS:
        raise RuntimeError("this worker's guard is gone: it ends now and starts nothing more")
