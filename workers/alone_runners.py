"""The places under a supervisor for alone runners: there is one for each suspect, up to a number, and none without suspects.

A runner takes half a second of CPU to start, so they start one after another, and from when a worker has said nothing for half
its lease: they are warm when its jobs are given up as lost. One that finds nothing to do ends by itself.
"""

import time
from collections.abc import Mapping, Sequence

from workers.supervised import Supervised

_BETWEEN_STARTS_S = 0.3


class AloneRunners:
    """Starts runners, at most `most` at once. Nothing here waits."""

    def __init__(self, command: Sequence[str], environment: Mapping[str, str], *, most: int) -> None:
        self.places = [Supervised(command, environment, may_end=True) for _ in range(most)]
        self._next_at = 0.0

    def start_for(self, suspects: int) -> None:
        """Start one more where so many suspects wait for fewer runners that are free."""
        free = sum(place.pid is not None and not place.busy for place in self.places)
        if free >= suspects or time.monotonic() < self._next_at:
            return
        for place in self.places:
            if place.pid is None:
                place.start_if_due()
                if place.pid is not None:
                    self._next_at = time.monotonic() + _BETWEEN_STARTS_S
                    return
