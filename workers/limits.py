"""What one worker process may take of its machine: a job that takes more ends with its worker, and not the machine.

Looked at from outside, at each tick of the supervisor: a handler that allocates or forks without end leaves its worker no time.
"""

import time
from collections.abc import Collection, Sequence

import structlog

from workers.process_table import count_descendants, resident_bytes, tasks_anywhere
from workers.supervised import Supervised

log = structlog.get_logger()

_COUNT_EVERY_S = 5.0
"""Between two counts that nothing asked for: one goes through all processes (6 ms for 140)."""


class Limits:
    """Kills workers that took too much, with all below them; 0 is no limit."""

    def __init__(self, *, memory_bytes: int = 0, processes: int = 0) -> None:
        self._memory_bytes = memory_bytes
        self._processes = processes
        self._count_at = 0.0
        self._tasks = 0

    def enforce(self, workers: Sequence[Supervised]) -> None:
        """Look at these workers once; a look that finds nothing takes 10 µs a worker."""
        running = {worker.pid: worker for worker in workers if worker.pid and not worker.killed}
        for pid, worker in running.items():
            if self._memory_bytes and (taken := resident_bytes(pid)) > self._memory_bytes:
                log.warning("worker.killed", why="JOBS_WORKER_MEMORY_BYTES", worker_pid=pid, taken=taken)
                worker.kill()
        for pid, below in self._count(running).items():
            if below > self._processes and not running[pid].killed:
                log.warning("worker.killed", why="JOBS_WORKER_PROCESSES", worker_pid=pid, taken=below)
                running[pid].kill()

    def _count(self, pids: Collection[int]) -> dict[int, int]:
        """How many processes are below each; nothing where there cannot be many more than at the last count.

        Counted again at the first of: a quarter of the limit more tasks on the whole machine than there were at any time
        since, 5 s.
        """
        if not self._processes or not pids:
            return {}
        tasks = tasks_anywhere() or 0
        self._tasks = min(self._tasks, tasks)
        few_more = tasks <= self._tasks + self._processes // 4
        if few_more and time.monotonic() < self._count_at:
            return {}
        self._tasks, self._count_at = tasks, time.monotonic() + _COUNT_EVERY_S
        return count_descendants(pids)
