"""Ordinary runs: each a task of its own, never more than there are slots."""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from functools import partial

import structlog

from jobs_core import AnyJob, metrics
from workers.executor import Executor

log = structlog.get_logger()


class OrdinaryRuns:
    """`on_broken` is called when a run ended in a way that no run should."""

    def __init__(self, executor: Executor, slots: int, *, on_broken: Callable[[], object]) -> None:
        self._executor = executor
        self._slots = slots
        self.on_room: Callable[[], object] = int  # a slot came free
        self._on_broken = on_broken
        self._tasks: dict[int, asyncio.Task[object]] = {}

    def __len__(self) -> int:
        return len(self._tasks)

    def room(self) -> int:
        """Free slots."""
        return self._slots - len(self._tasks)

    def take(self, jobs: Sequence[AnyJob]) -> None:
        """Start a run for each."""
        for job in jobs:
            count_claim(job)
            task = asyncio.create_task(self._executor.run(job), name=f"run {job.id}")
            self._tasks[job.id] = task
            task.add_done_callback(partial(self._ended, job.id))

    def held(self) -> Iterator[int]:
        """Ids of the jobs that run."""
        return iter(self._tasks)

    async def all_ended(self) -> None:
        """Return when nothing runs."""
        while self._tasks:
            await asyncio.wait(self._tasks.values())

    async def drop(self) -> None:
        """Stop every run; nothing is written."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _ended(self, job_id: int, task: asyncio.Task[object]) -> None:
        del self._tasks[job_id]
        self.on_room()
        if not task.cancelled() and (error := task.exception()):
            log.error("run.broke", job_id=job_id, exc_info=error)
            self._on_broken()


def count_claim(job: AnyJob) -> None:
    """Count a claimed job, and how old it was."""
    metrics.claimed.labels(job.job_type).inc()
    metrics.wait_seconds.labels(job.job_type).observe((job.claimed_at - job.created_at).total_seconds())
