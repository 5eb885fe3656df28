"""Ageing as it must be: which jobs have been ready for long enough, as was noted of how far readiness had come by when."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

from tests.drills.walk.known import Known

SPAN_H = 1.0
"""Ready for so long, a job goes up a class."""


@dataclass(slots=True)
class Note:
    """All that was ready so many hours ago had a number of readiness up to this."""

    hours_ago: float
    upto: int


@dataclass(slots=True)
class Ageing:
    """What was noted."""

    notes: list[Note] = field(default_factory=list)

    def pass_hours(self, hours: float) -> None:
        """So much of time is over for what is ready."""
        for note in self.notes:
            note.hours_ago += hours

    def old(
        self, jobs: Iterable[Known], types: Collection[str], queues: Collection[str], *, after_h: float
    ) -> list[Known]:
        """Those ready jobs of these that have been so for a span, so many hours from now, in the order of claims."""
        notes = [note for note in self.notes if note.hours_ago + after_h >= SPAN_H]
        upto = min(notes, key=lambda note: note.hours_ago).upto if notes else 0
        found = [
            job
            for job in jobs
            if job.state == "ready" and not job.alone and job.priority > 0 and job.seq <= upto
            if job.job_type in types and job.queue in queues
        ]
        return sorted(found, key=lambda job: job.place)
