"""What the drills of deploys must not let pass: faults of a drain, and of a migration. Applied in the process that has them."""

from collections.abc import Callable

from jobs_core import migrations
from tests.support.mutants import mutated
from workers.shift import Shift

_CHARGED = mutated(
    ("retry_count = j.retry_count + %(charge)s", "retry_count = j.retry_count + greatest(%(charge)s, 1)")
)


def _charge() -> None:
    """Whatever puts a job back spends a retry."""
    _CHARGED.__enter__()  # for good: the process is the mutant's


def _abandon() -> None:
    """A drain waits for no run and hands none back; what runs is dropped with the shift."""

    async def finish(self: Shift, **_: object) -> None:
        """End at once."""

    Shift.finish = finish  # type: ignore[method-assign]


def _wait_for_locks() -> None:
    """A migration waits for its locks as long as it takes, with everybody behind it."""
    migrations.LOCK_MS = 0


MUTANTS: dict[str, Callable[[], None]] = {"charge": _charge, "abandon": _abandon, "wait for locks": _wait_for_locks}
