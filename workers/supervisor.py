"""The supervisor of worker processes, which is also their guard: what a worker leaves behind is killed.

    wait (a signal, one tick at most) ─▶ a worker ended? note it ─▶ strangers? kill and reap them ─┐
      ▲                                                                                            │
      │   a limit passed? kill ◀── a deadline passed? kill below ◀── hear what the workers tell ◀──┤
      └── start who is due, and alone runners for suspects ◀── asked to stop, or for more or fewer? ◀┘
    all workers ended, or they took too long to ─▶ kill whatever is left, return

A token fences the database, not an agent: after SIGKILL or SIGSTOP of its worker an agent would run its tool to the end and
call its model again. The supervisor is a subreaper and so are the workers: whoever arrives here has lost its worker, and is
killed. A worker that froze cannot stop its agents: it said until when they may run (guard_link), and they end then.

The process that calls `run` is the supervisor's alone: it takes the signals, and takes every child that comes to it after
the call for a stranger.
"""

import os
import select
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import partial

import structlog

from workers.alone_runners import AloneRunners
from workers.limits import Limits
from workers.process_table import children
from workers.process_tree import become_subreaper, kill_descendants, weaker_here
from workers.supervised import Supervised

log = structlog.get_logger()

_TICK_S = 0.1
"""How late a deadline is noticed. A tick with nothing to do costs about 0.1 ms."""
_LOOK_EVERY_S = 5.0
"""Between two looks for strangers that nothing announced: one goes through all processes (6 ms for 140)."""
_DRAIN_MARGIN_S = 15.0
"""Over drain_s: a worker takes up to 10 s to hand back what still runs, an agent up to 7 s to close."""
_FORCE_S = 2.0
_CLEAN_UP_S = 5.0
_STOP_SIGNALS = {signal.SIGTERM, signal.SIGINT}
_SCALE_SIGNALS = {signal.SIGUSR1: 1, signal.SIGUSR2: -1}
"""One worker more, one fewer; SIGTTIN and SIGTTOU, which others take for that, come from a terminal, too."""
_MOST_WORKERS = 64


class Supervisor:
    """Keeps `processes` workers running and under guard until it is told to stop, and alone runners while there are suspects.

    `command` starts one worker, which picks up its GuardLink, `alone_command` one alone runner, of which there are at most
    `alone_processes`; `environment` is all that they get (None: what this process has). `drain_s` is what the workers
    themselves allow their runs after the first SIGTERM. `limits` is what each may take. SIGUSR1 asks for one worker more,
    SIGUSR2 for one fewer, which drains; 1 to 64 of them. `wanted` is asked at each tick how many are to run: when it says
    another number than before, so many do (None: it has nothing to say).
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        processes: int,
        drain_s: float,
        alone_command: Sequence[str] = (),
        alone_processes: int = 0,
        limits: Limits | None = None,
        environment: Mapping[str, str] | None = None,
        wanted: Callable[[], int | None] = lambda: None,
    ) -> None:
        given = dict(os.environ if environment is None else environment)
        self._place = partial(Supervised, command, given)
        self._workers = [self._place() for _ in range(processes)]
        self._leaving: dict[Supervised, float] = {}  # each with when it is killed
        self._alone = AloneRunners(alone_command, given, most=alone_processes)
        self._limits = limits or Limits()
        self._wanted = wanted
        self._wanted_last: int | None = None
        self._drain_s = drain_s
        self._stop_by: float | None = None
        self._stops_asked = 0
        self._had_to_kill = False
        self._look_at = 0.0
        self._not_ours: set[int] = set()
        self._killed: set[int] = set()
        self._wakes, self._wake = os.pipe()
        os.set_blocking(self._wakes, False)
        os.set_blocking(self._wake, False)

    def run(self) -> int:
        """Serve until SIGTERM or SIGINT has been obeyed: 0 where every worker ended by itself, 1 where one had to be killed.

        The first signal drains the workers, a second one forces them. Nothing that they started is left when it returns.
        Raises ConfigurationError where the system does not let it guard.
        """
        become_subreaper()
        self._not_ours = {child.pid for child in children(os.getpid())}
        if weaker := weaker_here():
            log.warning("guard.weakened", meaning=weaker)
        with self._signals():
            try:
                while not self._stopped():
                    self.run_once()
            finally:
                self._clean_up()
        log.info("supervisor.stopped", had_to_kill=self._had_to_kill)
        return int(self._had_to_kill)

    def run_once(self) -> None:
        """Wait for a signal, at most one tick, and see to all that is due."""
        signals = self._wait()
        if signal.SIGCHLD in signals or time.monotonic() >= self._look_at:
            self._look()
        for worker in self._everyone:
            worker.hear()
            worker.enforce_deadline()
        self._limits.enforce(self._everyone)
        for number in signals:
            if number in _STOP_SIGNALS:
                self._stop(number)
            elif number in _SCALE_SIGNALS:
                self._scale(_SCALE_SIGNALS[signal.Signals(number)])
        self._fit()
        self._see_off()
        if self._stop_by is None:
            for worker in self._workers:
                worker.start_if_due()
            self._alone.start_for(max((worker.suspects for worker in self._workers), default=0))

    @property
    def _everyone(self) -> list[Supervised]:
        return [*self._workers, *self._leaving, *self._alone.places]

    def _stopped(self) -> bool:
        if self._stop_by is None:
            return False
        return time.monotonic() >= self._stop_by or not any(worker.pid for worker in self._everyone)

    def _wait(self) -> list[int]:
        select.select([self._wakes], [], [], _TICK_S)
        try:
            return list(os.read(self._wakes, 1024))
        except BlockingIOError:
            return []

    def _look(self) -> None:
        """Note ended workers, kill strangers; again at the next tick where there were any: they may have left others."""
        for worker in self._everyone:
            worker.note_end()
        keep = self._not_ours.union(worker.pid for worker in self._everyone if worker.pid)
        killed = set(kill_descendants(os.getpid(), keep=keep))
        if new := killed - self._killed:
            log.warning("agents.killed", why="their worker is gone", pids=sorted(new))
        self._killed = killed  # one that may not be killed, or hangs in the kernel, is seen again each time
        reaped = self._reap()
        self._look_at = 0.0 if new or reaped else time.monotonic() + _LOOK_EVERY_S

    def _reap(self) -> bool:
        """Wait for ended strangers; for workers that is done by `note_end`. Whether there was one."""
        if sys.platform != "linux":
            return False  # none arrives
        reaped = False
        with suppress(ChildProcessError):
            while ended := os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT):
                if any(worker.pid == ended.si_pid for worker in self._everyone):
                    break
                os.waitpid(ended.si_pid, 0)
                self._not_ours.discard(ended.si_pid)
                reaped = True
        return reaped

    def _stop(self, number: int) -> None:
        self._stops_asked += 1
        drains = self._stops_asked == 1
        within_s = self._drain_s + _DRAIN_MARGIN_S if drains else _FORCE_S
        self._stop_by = min(self._stop_by or float("inf"), time.monotonic() + within_s)
        log.info("supervisor.draining" if drains else "supervisor.forced", by=signal.Signals(number).name)
        leaving = self._leaving if drains else {}  # they drain already: asked again, they would hand back at once
        for worker in self._everyone:
            if worker not in leaving:
                worker.terminate()

    def _fit(self) -> None:
        """Have as many workers as are wanted, once: signals go on from there."""
        wanted = self._wanted()
        if wanted is None or wanted == self._wanted_last:
            return
        self._wanted_last = wanted
        more = min(max(wanted, 1), _MOST_WORKERS) - len(self._workers)
        for _ in range(abs(more)):
            self._scale(1 if more > 0 else -1)

    def _scale(self, step: int) -> None:
        if self._stop_by is not None:
            return
        if not 1 <= len(self._workers) + step <= _MOST_WORKERS:
            meaning = f"1 to {_MOST_WORKERS} workers run under a supervisor"
            log.warning("supervisor.not_scaled", processes=len(self._workers), meaning=meaning)
            return
        if step > 0:
            self._workers.append(self._place())
        else:
            leaving = self._workers.pop()
            leaving.terminate()
            self._leaving[leaving] = time.monotonic() + self._drain_s + _DRAIN_MARGIN_S
        log.info("supervisor.scaled", processes=len(self._workers))

    def _see_off(self) -> None:
        """Forget who has left, kill who takes too long."""
        for worker, until in list(self._leaving.items()):
            if worker.pid is None:
                del self._leaving[worker]
            elif time.monotonic() >= until and not worker.killed:
                self._kill(worker)

    def _kill(self, worker: Supervised) -> None:
        log.error("worker.killed", worker_pid=worker.pid, why="it did not end in time")
        self._had_to_kill = True
        worker.kill()

    def _clean_up(self) -> None:
        """Whatever happened: leave no worker and no stranger. Ends within 5 s, and says what could not be killed."""
        until = time.monotonic() + _CLEAN_UP_S
        for worker in self._everyone:
            if worker.pid and not worker.note_end():
                self._kill(worker)
        while True:
            self._look()
            left = {child.pid for child in children(os.getpid())} - self._not_ours
            if not left:
                return
            if time.monotonic() > until:
                log.error("supervisor.left_behind", pids=sorted(left))
                return
            self._wait()

    @contextmanager
    def _signals(self) -> Iterator[None]:
        """Signals wake the loop through a pipe meanwhile."""
        numbers = (*_STOP_SIGNALS, *_SCALE_SIGNALS, signal.SIGCHLD)
        former = {number: signal.signal(number, lambda *_: None) for number in numbers}  # the pipe tells
        former_wake = signal.set_wakeup_fd(self._wake, warn_on_full_buffer=False)
        try:
            yield
        finally:
            signal.set_wakeup_fd(former_wake)
            for number, handler in former.items():
                signal.signal(number, handler)
            os.close(self._wakes)
            os.close(self._wake)
