"""Turns as they must be: in which order jobs go that are claimed by whose they are, and who was served last."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from tests.drills.walk.known import Known, must

AHEAD = 1_000
"""How many readiness numbers a newcomer has in advance of those who wait (docs/turns.md)."""

Key = tuple[str, str, int, str]
"""Queue, type, class, and whose."""


def key_of(job: Known) -> Key:
    """Whose turn a claim of it takes."""
    return job.queue, job.job_type, job.priority, job.fair or ""


@dataclass(slots=True)
class Turns:
    """served: the number of each one's last turn. claimed: who had one since these were looked at."""

    served: dict[Key, int] = field(default_factory=dict)
    claimed: dict[Key, None] = field(default_factory=dict)

    def order(self, ready: Sequence[Known]) -> list[Known]:
        """Jobs in priority and readiness, as claims go: those of a type, queue and class share out their places."""
        rounds = defaultdict[tuple[object, ...], list[Known]](list)
        for job in ready:
            if job.fair is not None:
                rounds[key_of(job)[:3]].append(job)
        turns: Mapping[tuple[object, ...], Iterator[Known]] = {
            name: iter(self._in_turn(jobs)) for name, jobs in rounds.items()
        }
        return [job if job.fair is None else next(turns[key_of(job)[:3]]) for job in ready]

    def _in_turn(self, jobs: Sequence[Known]) -> list[Known]:
        """A first job of each, who has waited longest for a turn first; then a second of each, and so on."""
        own = defaultdict[Key, list[Known]](list)
        for job in jobs:
            own[key_of(job)].append(job)
        turns = list[tuple[int, int, int, Known]]()
        for key, waiting in own.items():
            arrived = waiting[0].seq
            since = max(self.served.get(key, 0), arrived - AHEAD)
            turns += [(nth, since, arrived, job) for nth, job in enumerate(waiting)]
        return [job for *_, job in sorted(turns, key=lambda turn: turn[:3])]

    def learn(self, noted: Mapping[Key, int]) -> None:
        """What the queue has noted since: a turn, of a new number, for each who was claimed, and for nobody else."""
        last = max(self.served.values(), default=0)
        for key in {**self.served, **noted}:
            before, now = self.served.get(key, 0), noted.get(key, 0)
            if key in self.claimed:
                must(now > max(before, last), f"{key} had a turn, and {now} is noted of it; before it was {before}")
            else:
                must(now == before, f"{key} had no turn, and {now} is noted of it; before it was {before}")
        must(noted.keys() >= self.claimed.keys(), f"of {list(self.claimed)} only {list(noted)} are noted")
        self.served, self.claimed = dict(noted), {}
