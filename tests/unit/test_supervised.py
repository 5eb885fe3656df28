"""How long a place under the supervisor waits before its next worker."""

from workers.supervised import Supervised


def test_a_worker_that_has_ended_at_once_for_hours_is_still_started_every_5_s() -> None:
    """A float holds no 2 ** 1024: doubling without end broke the supervisor after 85 minutes."""
    place = Supervised(["no command"], {})
    for _ in range(2_000):
        place._set_due(0.0)
    assert place._wait_s() == 5
