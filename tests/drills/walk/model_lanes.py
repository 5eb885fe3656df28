"""Lanes as they must be: who stands in each, in which order, and which are held, by whom and since which job failed."""

from collections import defaultdict
from dataclasses import dataclass, field

from tests.drills.walk.known import Known


@dataclass(slots=True)
class Hold:
    """held_by: a person, or the job that failed. reason: a person's. failed: that job; None: it is held by hand only."""

    held_by: str
    reason: str | None = None
    failed: int | None = None


@dataclass(slots=True)
class Lanes:
    """jobs: ids by lane, in their order. holds: of lanes that are held, used or not."""

    jobs: defaultdict[str, list[int]] = field(default_factory=lambda: defaultdict(list))
    holds: dict[str, Hold] = field(default_factory=dict)

    def first(self, lane: str) -> int:
        """Who stands first, whether or not it may run; 0: nobody stands there."""
        return next(iter(self.jobs[lane]), 0)

    def head(self, lane: str) -> int:
        """Who may run: the first, unless the lane is held; 0: nobody."""
        return 0 if lane in self.holds else self.first(lane)

    def hold(self, lane: str, held_by: str, reason: str | None) -> None:
        """The last who holds it by hand is named, beside a job that failed."""
        before = self.holds.get(lane)
        self.holds[lane] = Hold(held_by, reason, before.failed if before else None)

    def hold_for(self, lane: str, job: Known) -> None:
        """A job failed whose type holds its lane; who holds it by hand stays named."""
        self.holds.setdefault(lane, Hold(f"job {job.id}")).failed = job.id

    def put_first(self, lane: str, job: Known) -> None:
        """Before all that stand there."""
        self.jobs[lane].remove(job.id)
        self.jobs[lane].insert(0, job.id)
