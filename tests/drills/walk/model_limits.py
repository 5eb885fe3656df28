"""Limits as they must be: what each key has, and which jobs have what they need of theirs."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from jobs_core import Limit
from tests.drills.walk.known import Known, must

PER_S = 1 / 3600
"""Of all rates: nothing falls into a bucket during a walk but what a rule puts there, an hour's permit at a time."""
DECLARED = {
    limit.key: limit
    for limit in (
        Limit("one", slots=1),
        Limit("few", slots=3),
        Limit("slow", rate_per_s=PER_S, burst=3.0),
        Limit("both", slots=2, rate_per_s=PER_S, burst=2.0),
    )
}
"""By key, the numbers that its jobs come with."""


@dataclass(slots=True)
class Numbers:
    """Of a key; slots, and burst with permits: None, no such limit. permits: what is in its bucket."""

    slots: int | None
    burst: float | None
    permits: float | None
    by_hand: bool


@dataclass(slots=True)
class Limits:
    """The keys that are made."""

    keys: dict[str, Numbers] = field(default_factory=dict)

    def of(self, key: str) -> Numbers:
        """Its numbers; of one that is not made, those it will be made with."""
        limit = DECLARED[key]
        return self.keys.get(key) or Numbers(limit.slots, limit.burst, 1 if limit.rate_per_s else None, by_hand=False)

    def put(self, limit: Limit) -> None:
        """Somebody sets it: a bucket keeps what it holds, as far as that fits."""
        before = self.keys.get(limit.key)
        permits = 1.0 if before is None or before.permits is None else before.permits
        there = None if limit.burst is None else min(permits, limit.burst)
        self.keys[limit.key] = Numbers(limit.slots, limit.burst, there, by_hand=True)

    def fill(self) -> None:
        """An hour's permit falls into each bucket."""
        for numbers in self.keys.values():
            if numbers.permits is not None and numbers.burst is not None:
                numbers.permits = min(numbers.permits + 1, numbers.burst)

    def short(self, job: Known, held: Counter[str]) -> set[str]:
        """The keys that have less than this job needs, with so many slots of each held."""
        return {key for key, weight in job.limits.items() if not self._has(key, weight, held[key])}

    def _has(self, key: str, weight: int, held: int) -> bool:
        numbers = self.of(key)
        if numbers.slots is not None and numbers.slots - held < max(min(weight, numbers.slots), 1):
            return False
        return numbers.burst is None or (numbers.permits or 0) >= min(weight, numbers.burst)

    def take(self, job: Known, held: Counter[str]) -> None:
        """It was claimed: it must have had all its slots and permits, and has them now."""
        short = self.short(job, held)
        must(not short, f"S12: job {job.id} was claimed, and {sorted(short)} had no room for it")
        job.slots = {}
        for key, weight in job.limits.items():
            numbers = self.keys.setdefault(key, self.of(key))
            if numbers.slots is not None:
                job.slots[key] = min(weight, numbers.slots)
            if numbers.permits is not None and numbers.burst is not None:
                numbers.permits -= min(weight, numbers.burst)

    def sure(self, ready: Sequence[Known], held: Counter[str]) -> list[Known]:
        """Of jobs in their order, those that nothing keeps back: they fit, and nobody before them needs a key of theirs."""
        found, touched = list[Known](), set[str]()
        for job in ready:
            if not touched.intersection(job.limits) and not self.short(job, held):
                found.append(job)
            touched.update(job.limits)
        return found

    def judge(self, ready: Sequence[Known], held: Counter[str], taken: set[int]) -> None:
        """Of jobs in their order one look took these. Raises Violation where one went past another that was to go first.

        That is one of the same keys; one that nothing keeps back; and one that is first of its keys, has some of each, and is
        too heavy for what there is.
        """
        sure, groups = {job.id for job in self.sure(ready, held)}, set[frozenset[str]]()
        for nth, job in enumerate(ready):
            first = frozenset(job.limits) not in groups
            groups.add(frozenset(job.limits))
            if job.id in taken:
                continue
            has_some = not self.short(replace(job, limits=dict.fromkeys(job.limits, 1)), held)
            heavy = self.short(job, held) if first and has_some else set()
            for other in (other for other in ready[nth + 1 :] if other.id in taken):
                after = job.id in sure or other.limits.keys() == job.limits.keys() or heavy.intersection(other.limits)
                must(not after, f"a claim took job {other.id}, and job {job.id} was to go first")
