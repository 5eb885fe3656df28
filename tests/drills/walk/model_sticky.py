"""Sticky jobs as they must be: which worker ran the last one of each key, and whether it has room for one more."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

from tests.drills.walk.known import Known, Worker


@dataclass(slots=True)
class Sticky:
    """last: the worker that ran the last one, by key."""

    last: dict[str, int] = field(default_factory=dict)

    def forget(self, workers: Collection[int]) -> None:
        """These are no key's last one any more."""
        self.last = {key: id_ for key, id_ in self.last.items() if id_ not in workers}

    def room_of(self, key: str | None, workers: Mapping[int, Worker], jobs: Iterable[Known]) -> int | None:
        """The last worker of this key, if it lives and runs, or is waited for by, fewer jobs than it has slots."""
        id_ = self.last.get(key or "", 0)
        worker = workers.get(id_)
        if worker is None or worker.dead or not worker.good:
            return None
        taken = sum((job.worker == id_ and job.state == "running") or job.prefers == id_ for job in jobs)
        return id_ if taken < worker.slots else None

    def let_go(self, worker: int, jobs: Iterable[Known]) -> list[Known]:
        """No job waits for this worker any more; returns those that did."""
        self.forget([worker])
        waited = [job for job in jobs if job.prefers == worker]
        for job in waited:
            job.state, job.prefers, job.due = "ready", None, None
        return waited
