"""Where a claim begins: a little behind the last one, and from the start for a twentieth of the time at most."""

from datetime import UTC, datetime

from jobs_core import AnyJob, Job
from workers.claims import Cursor


def claimed(priority: int, ready_seq: int) -> AnyJob:
    now = datetime.now(UTC)
    return Job(1, "note", "default", priority, "{}", None, None, None, None, 1, 0, 0, False, now, now, now, ready_seq)


def test_it_goes_on_a_thousand_numbers_behind_the_last_claim_of_each_class() -> None:
    cursor = Cursor()
    cursor.claimed([claimed(2, 5_000), claimed(2, 5_400), claimed(4, 9_000)])
    assert list(cursor.floors()) == [0, 0, 4_400, 0, 8_000]


def test_it_never_goes_back_but_by_a_full_look() -> None:
    cursor = Cursor()
    cursor.claimed([claimed(2, 5_000)])
    cursor.claimed([claimed(2, 70)])
    assert list(cursor.floors()) == [0, 0, 4_000, 0, 0]


def test_a_full_look_goes_back_to_where_it_claimed_in_the_classes_that_it_claimed_of() -> None:
    """More than it took may lie there: what stood paused while others were claimed."""
    cursor = Cursor()
    cursor.claimed([claimed(2, 50_000), claimed(3, 50_001)])
    cursor.claimed([claimed(2, 5_000)], from_the_start=True)
    assert list(cursor.floors()) == [0, 0, 4_000, 49_001, 0]
    cursor.claimed([claimed(2, 70)], from_the_start=True)
    assert list(cursor.floors()) == [0, 0, 0, 49_001, 0]


def test_the_first_look_is_a_full_one() -> None:
    assert Cursor().full_look_is_due(0.0, last_was_short=False)


def test_a_short_claim_is_followed_by_a_full_look_after_a_moment_and_a_busy_one_after_a_second() -> None:
    cursor = Cursor()
    cursor.looked_from_the_start(10.0, 10.001)
    assert not cursor.full_look_is_due(10.2, last_was_short=True)
    assert cursor.full_look_is_due(10.3, last_was_short=True)
    assert not cursor.full_look_is_due(10.9, last_was_short=False)
    assert cursor.full_look_is_due(11.1, last_was_short=False)


def test_a_full_look_that_takes_long_is_a_twentieth_of_the_time_at_most() -> None:
    cursor = Cursor()
    now_s, looking_s = 0.0, 0.0
    for _ in range(10_000):  # claims of 10 ms that all come back short, under a snapshot that makes a full look 345 ms
        if cursor.full_look_is_due(now_s, last_was_short=True):
            cursor.looked_from_the_start(now_s, now_s + 0.345)
            looking_s += 0.345
            now_s += 0.345
        now_s += 0.01
    assert looking_s / now_s <= 0.055
