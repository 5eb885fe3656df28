"""Since when jobs stand ready, from their readiness numbers: that stands in no column, for creates and claims would pay for it.

    noted     12:00:01 → 40    12:00:02 → 40    12:00:03 → 95        a job with number 60 became ready after 12:00:02

Numbers only grow, so one that is above what was drawn by some moment was drawn after it. Who looks each second knows it to
a second.
"""

from bisect import bisect_left
from datetime import datetime

_MOST = 4_096
"""Moments remembered: while jobs come all the time and one is noted each second, those of the last hour."""


class ReadyTimes:
    """How far the numbers of one database had come by when, as one process has seen it."""

    def __init__(self) -> None:
        self._numbers = list[int]()
        self._times = list[datetime]()

    def note(self, drawn: int, at: datetime) -> None:
        """At that moment, by Postgres' clock, the highest number drawn was this."""
        if self._numbers and (drawn < self._numbers[-1] or at < self._times[-1]):
            # Another database, or a clock that was set back.
            self._numbers.clear()
            self._times.clear()
        if self._numbers and self._numbers[-1] == drawn:
            self._times[-1] = at
            return
        self._numbers.append(drawn)
        self._times.append(at)
        if len(self._numbers) > _MOST:
            del self._numbers[: _MOST // 2], self._times[: _MOST // 2]

    def ready_after(self, ready_seq: int, known: datetime) -> datetime:
        """The latest moment after which a job with this number became ready; `known`: one that is certain anyway."""
        place = bisect_left(self._numbers, ready_seq)
        return max(known, self._times[place - 1]) if place else known
