"""Handlers at work, and the watch over them: one that takes too long, or does nothing, is cancelled.

    begin ─▶ at work ─┬─ end                                     told: cancelled by the watch
                      └─ too long, or stands still ─▶ told ─┬─ end
                                                            └─ does not end: on_stuck, which ends the process

Only what runs on the event loop can be stopped; nothing stops a thread.
"""

import asyncio
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import structlog

from jobs_core import AnyJob, JobType

log = structlog.get_logger()

_STOP_S = 10.0
"""How long a handler that ran too long may take to end once it was cancelled; then the process ends."""
_WATCH_S = 0.1
"""Between two looks: a timer for each handler would cost a tenth of a brief run."""


@dataclass(slots=True, eq=False)
class Handling:
    """A handler at work in a run's task. told: it was cancelled for taking too long; stood_still: for doing nothing."""

    task: asyncio.Task[Any]
    began_s: float
    job: AnyJob
    timeout_s: float  # infinite for a thread
    idle_s: float  # likewise, and for types without a progress_timeout
    told: bool = False
    stood_still: bool = False

    def uncancel(self) -> None:
        """Its task goes on: the cancels were for the handler, not for what comes after."""
        while self.task.cancelling():
            self.task.uncancel()


class Watch:
    """All handlers at work in this process. `on_tick` is called with each look, as long as there are any."""

    def __init__(self, *, on_tick: Callable[[float], object], on_stuck: Callable[[], object]) -> None:
        self._on_tick = on_tick
        self._on_stuck = on_stuck
        self._at_work: dict[int, Handling] = {}
        self._looking = False

    def begin(self, job: AnyJob, job_type: JobType[Any], *, in_thread: bool) -> Handling:
        """The current task calls the job's handler now."""
        task = asyncio.current_task()
        assert task is not None
        timeout_s = idle_s = math.inf
        if not in_thread:
            timeout_s = job_type.timeout.total_seconds()
            idle_s = job_type.progress_timeout.total_seconds() if job_type.progress_timeout else math.inf
        handling = self._at_work[job.id] = Handling(task, time.monotonic(), job, timeout_s, idle_s)
        if not self._looking:
            self._looking = True
            asyncio.get_running_loop().call_later(_WATCH_S, self._look)
        return handling

    def end(self, handling: Handling) -> None:
        """The handler has ended."""
        del self._at_work[handling.job.id]

    def find(self, job_id: int) -> Handling | None:
        """The handler of that job, if it is at work."""
        return self._at_work.get(job_id)

    def __iter__(self) -> Iterator[Handling]:
        return iter(list(self._at_work.values()))

    def _look(self) -> None:
        now_s = time.monotonic()
        self._on_tick(now_s)
        for handling in self:
            over_s = now_s - handling.began_s - handling.timeout_s
            stands_still = now_s - max(handling.began_s, handling.job.moved_s) > handling.idle_s
            if (over_s > 0 or stands_still) and not handling.told:
                if over_s <= 0:
                    handling.stood_still, handling.timeout_s = True, now_s - handling.began_s
                handling.told = True
                handling.task.cancel()
            elif over_s > _STOP_S:
                meaning = "the handler does not end though it was cancelled; the process does instead"
                log.error("run.stuck", job_id=handling.job.id, meaning=meaning)
                self._on_stuck()
        self._looking = bool(self._at_work)
        if self._looking:
            asyncio.get_running_loop().call_later(_WATCH_S, self._look)
