"""What is to be done after a transaction has committed: none of it must be, all of it is quicker so."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from assistant.stopping import STOP_REASON
from jobs_core import Jobs
from jobs_core.wake import Ready


@dataclass(frozen=True, slots=True)
class After:
    """wake: calls that wake workers. ready: where jobs stand ready. stopped: jobs that were asked to end, by a stop.

    shown: by number of a press, what its presser is shown; that is for who holds the account to say.
    """

    wake: Sequence[Callable[[], object]] = ()
    ready: Sequence[Ready] = ()
    stopped: Sequence[int] = ()
    shown: Sequence[tuple[int, str]] = ()

    def __add__(self, other: "After") -> "After":
        return After(
            [*self.wake, *other.wake],
            [*self.ready, *other.ready],
            [*self.stopped, *other.stopped],
            [*self.shown, *other.shown],
        )

    async def do(self, jobs: Jobs) -> None:
        """Wake who idles, and end jobs at once that nobody runs."""
        for wake in self.wake:
            wake()
        if self.ready:
            jobs.notifier.wake(self.ready)
        for job_id in self.stopped:
            await jobs.cancel(job_id, reason=STOP_REASON)
