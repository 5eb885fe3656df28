"""Runs of brief jobs: a bounded local buffer, and as many runners as there are slots, which live long.

    claim, hundreds ─▶ buffer ─▶ a runner: fit ─▶ handle ─▶ collector ─▶ the next one
                         │
                         └─ half empty: there is room ─▶ the next claim, while the other half runs

A job in the buffer is claimed and not running: a drain gives it back at once. The buffer never holds more than can start
within a part of the lease. A runner is one task for many jobs, so it ends when a handler left something in its context: no
job ever sees the context variables of another.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextvars import Context, copy_context
from dataclasses import dataclass
from typing import Any

import structlog

from jobs_core import AnyJob, Complete, Jobs, JobType, LeaseLost, Outcome, gate, metrics
from jobs_core.job import current
from jobs_core.settle import Completed, result_text
from jobs_core.tasks import end_task
from workers.collector import Collector
from workers.executor import STOP_S, Executor
from workers.outcomes import CANCELLED_ITSELF, DRAINED, raised, returned, timed_out, unfit
from workers.runs import count_claim

log = structlog.get_logger()

_MOST = 1_000
_CLAIM_MOST = 500
_LEASE_SHARE = 0.1
"""Of the lease, what is in the buffer may take to start, by the runs of late."""
_WATCH_S = 0.25
_YIELD_EVERY = 64
"""Runs that never wait would keep the event loop from claims and settles; after so many it has a turn."""
_OF_LATE = 0.05
"""The weight of the last run in the average that bounds the buffer."""


@dataclass(slots=True, eq=False)
class _Runner:
    task: asyncio.Task[None] | None = None
    job: AnyJob | None = None
    began_s: float = 0.0
    timeout_s: float | None = None  # while its handler works
    told_at_s: float | None = None  # when that was cancelled for taking too long


class BriefRuns:
    """`on_broken` is called when a runner ended in a way that none should, `on_stuck` for a handler that does not stop: it
    ends the process.
    """

    def __init__(
        self,
        jobs: Jobs,
        executor: Executor,
        collector: Collector,
        *,
        slots: int,
        lease_s: float,
        on_broken: Callable[[], object],
        on_stuck: Callable[[], object],
    ) -> None:
        self._table = jobs.table
        self._executor = executor
        self._collector = collector
        self._slots = slots
        self._starts_within_s = _LEASE_SHARE * lease_s
        self.on_room: Callable[[], object] = int  # half of the buffer is empty
        self._on_broken = on_broken
        self._on_stuck = on_stuck
        self._buffer = deque[AnyJob]()
        self._something = asyncio.Event()
        self._idle = asyncio.Event()
        self._runners = [_Runner() for _ in range(slots)]
        self._run_s = self._starts_within_s
        self._context = Context()
        self._handing_back = False

    def __len__(self) -> int:
        return len(self._buffer) + sum(runner.job is not None for runner in self._runners)

    def room(self) -> int:
        """How many more the buffer takes; 0 while it is more than half full."""
        room = self._capacity() - len(self._buffer)
        return min(room, _CLAIM_MOST) if room * 2 >= self._capacity() else 0

    def take(self, jobs: Sequence[AnyJob]) -> None:
        """Put them into the buffer."""
        for job in jobs:
            count_claim(job)
        self._buffer.extend(jobs)
        if jobs:
            self._something.set()

    def held(self) -> Iterator[int]:
        """Ids of the jobs that are in the buffer, or run."""
        yield from (job.id for job in self._buffer)
        yield from (runner.job.id for runner in self._runners if runner.job)

    def empty_buffer(self) -> None:
        """Forget what has not started; who holds the lease puts it back (`put_back_strays`)."""
        self._buffer.clear()

    def hand_back(self) -> None:
        """Stop what runs; it goes back at no cost."""
        self._handing_back = True
        for runner in self._runners:
            if runner.job and runner.task:
                runner.task.cancel()

    async def run(self) -> None:
        """Run jobs until cancelled, then stop all runs; nothing of them is written."""
        self._context = copy_context()
        for runner in self._runners:
            self._start(runner)
        try:
            while True:
                await asyncio.sleep(_WATCH_S)
                self._watch()
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

    def _capacity(self) -> int:
        fits = int(self._slots * self._starts_within_s / max(self._run_s, 1e-6))
        return max(self._slots, min(fits, _MOST))

    def _start(self, runner: _Runner) -> None:
        runner.task = asyncio.get_running_loop().create_task(self._work(runner), context=self._context.copy())
        runner.task.add_done_callback(lambda task: self._ended(runner, task))

    def _ended(self, runner: _Runner, task: asyncio.Task[None]) -> None:
        if runner.task is not task:
            return  # we were told to end
        if not task.cancelled() and (error := task.exception()):
            log.error("run.broke", job_id=runner.job.id if runner.job else None, exc_info=error)
        if runner.job:
            runner.job = None
            self._on_broken()
        self._start(runner)

    async def _work(self, runner: _Runner) -> None:
        clean = copy_context()
        runs = 0
        while True:
            if not self._buffer:
                self._something.clear()
                self._idle.set()
                await self._something.wait()
                continue
            job = self._buffer.popleft()
            if len(self._buffer) * 2 == self._capacity() or not self._buffer:
                self.on_room()
            runner.job, runner.began_s = job, time.monotonic()
            mark = current.set(job)
            await self._run(job, runner)
            current.reset(mark)
            spent_s = time.monotonic() - runner.began_s
            runner.job = None
            self._run_s += (spent_s - self._run_s) * _OF_LATE
            metrics.run_seconds.labels(job.job_type).observe(spent_s)
            if copy_context() != clean:
                return  # its successor begins with a clean context
            runs += 1
            if runs % _YIELD_EVERY == 0:
                await asyncio.sleep(0)
            if self._collector.is_full:
                await self._collector.has_room()

    async def _run(self, job: AnyJob, runner: _Runner) -> None:
        if job.rescued:
            await self._executor.run(job)  # it is marked running first
            return
        job_type = self._table.job_type(job.job_type)
        try:
            outcome = await self._handle(job, job_type, runner)
            if completed := _completed(job, outcome, job_type):
                self._collector.add(completed)
            else:
                await self._executor.settle(job, outcome, job_type)
        except LeaseLost:
            metrics.leases_lost.labels(job.job_type).inc()
            log.warning("run.lost")

    async def _handle(self, job: AnyJob, job_type: JobType[Any], runner: _Runner) -> Outcome:
        try:
            job.input = gate.fit_json(job_type.Input, job.input, field="input")
        except Exception as error:  # noqa: BLE001 - a type's own validators may raise anything
            return unfit(error)
        runner.timeout_s = job_type.timeout.total_seconds()
        try:
            return returned(await self._table.handler(job.job_type)(job))
        except asyncio.CancelledError:
            if runner.task is None:
                raise
            return self._cancelled(runner)
        except (SystemExit, KeyboardInterrupt) as error:  # they would end the whole worker
            return raised(RuntimeError(f"the handler raised {type(error).__name__}"), job_type)
        except Exception as error:  # noqa: BLE001 - a handler may raise anything
            return raised(error, job_type)
        finally:
            runner.timeout_s = runner.told_at_s = None

    def _cancelled(self, runner: _Runner) -> Outcome:
        assert runner.task is not None
        while runner.task.cancelling():
            runner.task.uncancel()
        if runner.told_at_s is not None:
            assert runner.timeout_s is not None
            return timed_out(runner.timeout_s)
        return DRAINED if self._handing_back else CANCELLED_ITSELF

    def _watch(self) -> None:
        """Cancel handlers that take too long, and give up on those that do not end though they were."""
        now_s = time.monotonic()
        for runner in self._runners:
            if runner.timeout_s is None or now_s < runner.began_s + runner.timeout_s:
                continue
            if runner.told_at_s is None:
                runner.told_at_s = now_s
                if runner.task:
                    runner.task.cancel()
            elif now_s > runner.told_at_s + STOP_S:
                log.error(
                    "run.stuck", meaning="the handler does not end though it was cancelled; the process does instead"
                )
                self._on_stuck()


def _completed(job: AnyJob, outcome: Outcome, job_type: JobType[Any]) -> Completed | None:
    """What is settled with others; None: alone, because it did not complete, has more to write, or does not fit."""
    if not isinstance(outcome, Complete) or outcome.also or job.lane:
        return None
    try:
        return Completed(job, result_text(outcome.result, job_type), job_type.retention)
    except Exception:  # noqa: BLE001 - a type's own validators may raise anything; settled alone, it is counted as a failure
        return None
