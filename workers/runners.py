"""Runners: as many tasks as there are slots. One that runs brief jobs runs one after another; an ordinary job has its own.

    claim ─▶ buffer ─▶ a runner: executor.run ─▶ the next one
               │
               └─ there is room again ─▶ the next claim, while the rest runs

Ordinary jobs are claimed for free runners only. Brief ones are claimed ahead, by the hundred, into a bounded buffer: a job in
it is claimed and not running, a drain gives it back at once, and it never holds more than can start within a part of the
lease. A runner serves many jobs, so it ends when a handler left something in its context: no job sees another's variables.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextvars import Context, copy_context
from dataclasses import dataclass

import structlog

from jobs_core import AnyJob, metrics
from jobs_core.tasks import end_task
from workers.executor import Executor

log = structlog.get_logger()

_MOST_AHEAD = 1_000
_CLAIM_MOST = 500
_TWO_WAVES = 20
"""Slots from which on half of them are claimed for while the other half runs."""
_YIELD_EVERY = 64
"""Runs that never wait would keep the event loop from claims and settles; after so many it has a turn."""
_OF_LATE = 0.05
"""The weight of the last run in the average that bounds the buffer."""


@dataclass(slots=True, eq=False)
class _Runner:
    task: asyncio.Task[None] | None = None
    job: AnyJob | None = None


class Runners:
    """Runs what it takes, while `run` does; `on_broken` is called when a run ended in a way that no run should.

    ahead_s: 0 takes as many jobs as there are free runners; else how long a job may stand in the buffer.
    """

    def __init__(self, executor: Executor, slots: int, *, ahead_s: float, on_broken: Callable[[], object]) -> None:
        self._executor = executor
        self._slots = slots
        self._ahead_s = ahead_s
        self._on_broken = on_broken
        self.on_room: Callable[[], object] = _nobody_asks
        self._buffer = deque[AnyJob]()
        self._sleeping = deque[asyncio.Future[None]]()
        self._one_is_waking = False
        self._idle = asyncio.Event()
        self._runners = [_Runner() for _ in range(slots)]
        self._busy = 0
        self._run_s = ahead_s
        self._low = 0
        self._context = Context()

    def __len__(self) -> int:
        return len(self._buffer) + self._busy

    @property
    def wave(self) -> int:
        """How many jobs are worth a claim at once."""
        waves = 2 if self._ahead_s or self._slots >= _TWO_WAVES else 1
        return min(self._most_ahead() // waves, _CLAIM_MOST)

    def room(self) -> int:
        """How many jobs may be claimed now."""
        if not self._ahead_s:
            return min(self._slots - len(self), self.wave)
        room = self._most_ahead() - len(self._buffer)
        return min(room, _CLAIM_MOST) if room >= self.wave else 0

    def take(self, jobs: Sequence[AnyJob]) -> None:
        """Run these as runners become free."""
        metrics.count_claims(jobs)
        self._buffer.extend(jobs)
        self._low = self._most_ahead() // 2
        self._wake(1 if self._ahead_s else len(jobs))

    def held(self) -> Iterator[int]:
        """Ids of the jobs that are in the buffer, or run."""
        yield from (job.id for job in self._buffer)
        yield from (runner.job.id for runner in self._runners if runner.job)

    def empty_buffer(self) -> None:
        """Forget what has not begun; who holds the lease puts it back (`put_back_strays`)."""
        self._buffer.clear()

    async def run(self) -> None:
        """Run jobs until cancelled, then stop all runs; nothing of them is written."""
        self._context = copy_context()
        for runner in self._runners:
            self._start(runner)
        try:
            await asyncio.Event().wait()
        finally:
            self._buffer.clear()
            tasks = [runner.task for runner in self._runners if runner.task]
            for runner in self._runners:
                runner.task = None
            await asyncio.gather(*(end_task(task) for task in tasks), return_exceptions=True)

    async def all_ended(self) -> None:
        """Return when nothing is in the buffer and nothing runs."""
        while len(self):
            self._idle.clear()
            await self._idle.wait()

    def _most_ahead(self) -> int:
        fits = int(self._slots * self._ahead_s / max(self._run_s, 1e-6))
        return max(self._slots, min(fits, _MOST_AHEAD))

    def _start(self, runner: _Runner) -> None:
        runner.task = asyncio.get_running_loop().create_task(self._work(runner), context=self._context.copy())
        runner.task.add_done_callback(lambda task: self._ended(runner, task))

    def _ended(self, runner: _Runner, task: asyncio.Task[None]) -> None:
        broke = runner.job is not None
        if not task.cancelled() and (error := task.exception()):
            log.error("run.broke", job_id=runner.job.id if runner.job else None, exc_info=error)
        if broke:
            runner.job = None
            self._busy -= 1
        if runner.task is task:  # or it was told to end
            if broke:
                self._on_broken()
                self.on_room()
            self._start(runner)

    async def _work(self, runner: _Runner) -> None:
        clean, runs = copy_context(), 0
        while copy_context() == clean:  # its successor begins with a clean context
            if not self._buffer:
                self._idle.set()
                await self._sleep()
                continue
            await self._run_next(runner)
            if not self._ahead_s:
                return  # an ordinary job has a task of its own: what it left behind to cancel later hits nobody
            runs += 1
            if runs % _YIELD_EVERY == 0:
                await asyncio.sleep(0)

    async def _sleep(self) -> None:
        waking = asyncio.get_running_loop().create_future()
        self._sleeping.append(waking)
        try:
            await waking
        finally:
            self._one_is_waking = False

    def _wake(self, n: int) -> None:
        while n and self._buffer and self._sleeping:
            waking = self._sleeping.popleft()
            if not waking.done():
                waking.set_result(None)
                self._one_is_waking = True
                n -= 1

    async def _run_next(self, runner: _Runner) -> None:
        job = runner.job = self._buffer.popleft()
        self._busy += 1
        if self._ahead_s and not self._one_is_waking:
            self._wake(1)  # each the next: brief runs that never wait leave nothing for a crowd to do
        began_s = time.monotonic()
        if self._ahead_s and (len(self._buffer) == self._low or not self._buffer):
            self.on_room()
        await self._executor.run(job, wait=not self._ahead_s)
        self._run_s += (time.monotonic() - began_s - self._run_s) * _OF_LATE
        runner.job = None
        self._busy -= 1
        if not self._ahead_s:
            self.on_room()


def _nobody_asks() -> None:
    """Until somebody claims for it."""
