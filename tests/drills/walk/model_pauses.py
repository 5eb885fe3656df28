"""Pauses as they must be: what is paused, for how many hours more, and how much of a span that takes from a job's time."""

from dataclasses import dataclass, field

from tests.drills.walk.known import Known


@dataclass(frozen=True, slots=True)
class Place:
    """What is paused, None: whatever it is; an operator's pause and an outcome's stand side by side."""

    queue: str | None
    job_type: str | None
    by_operator: bool = True

    def concerns(self, job: Known) -> bool:
        """Whether it keeps this job back."""
        return self.queue in {None, job.queue} and self.job_type in {None, job.job_type}


@dataclass(slots=True)
class Pauses:
    """Hours that are left of each; None: until somebody resumes it. One that is over stands until upkeep has put it away."""

    left_h: dict[Place, float | None] = field(default_factory=dict)

    def in_force(self) -> list[Place]:
        """Those whose time is not over."""
        return [place for place, left in self.left_h.items() if left is None or left > 0]

    def keep_back(self, job: Known) -> bool:
        """Whether no claim may take it."""
        return any(place.concerns(job) for place in self.in_force())

    def paused_h(self, job: Known, hours: float) -> float:
        """For how many of the next hours an operator keeps it back."""
        lefts = [self.left_h[place] for place in self.in_force() if place.by_operator and place.concerns(job)]
        return max((hours if left is None else min(hours, left) for left in lefts), default=0.0)

    def pass_hours(self, hours: float) -> None:
        """So much of their time is over."""
        for place, left in self.left_h.items():
            if left is not None:
                self.left_h[place] = left - hours
