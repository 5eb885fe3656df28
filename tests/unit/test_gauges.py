"""Gauges of what stands in the database, and since when jobs stand ready."""

from datetime import UTC, datetime, timedelta

import pytest

from jobs_core.gauges import MOST_SERIES, OTHERS, Gauge, Value, families
from jobs_core.ready_times import ReadyTimes

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


@pytest.mark.parametrize(
    ("gauge", "together"),
    [(Gauge("jobs_x", "", ("queue", "state")), 1 + 2 + 3), (Gauge("jobs_x", "", ("queue", "state"), is_most=True), 3)],
    ids=["sum", "most"],
)
def test_of_too_many_series_the_smallest_are_one(gauge: Gauge, together: float) -> None:
    values = [Value("jobs_x", (f"q{n}", "ready"), n) for n in range(1, MOST_SERIES + 4)]
    (family,) = families([gauge], values)
    assert len(family.samples) == MOST_SERIES + 1
    (others,) = [one for one in family.samples if one.labels["queue"] == OTHERS]
    assert (others.value, others.labels["state"]) == (together, OTHERS)


def test_a_gauge_without_values_has_no_series() -> None:
    assert families([Gauge("jobs_x", "help")], [])[0].samples == []


def test_a_number_is_known_to_be_drawn_after_the_last_moment_when_fewer_were() -> None:
    times = ReadyTimes()
    for drawn, seconds in ((40, 1), (40, 2), (95, 3)):
        times.note(drawn, at(seconds))
    assert times.ready_after(60, at(0)) == at(2)
    assert times.ready_after(96, at(0)) == at(3)
    assert times.ready_after(40, at(0)) == at(0)  # it was drawn before anybody looked
    assert times.ready_after(60, at(2.5)) == at(2.5)  # what is certain anyway is later


def test_numbers_of_another_database_and_a_clock_set_back_begin_anew() -> None:
    for drawn, seconds in ((10, 5), (100, 0.5)):
        times = ReadyTimes()
        times.note(50, at(1))
        times.note(drawn, at(seconds))
        assert times.ready_after(51, at(0)) == (at(seconds) if drawn == 10 else at(0))


def test_what_is_remembered_is_bounded() -> None:
    times = ReadyTimes()
    for n in range(10_000):
        times.note(n, at(n))
    assert len(times._numbers) <= 4_096
    assert times.ready_after(9_990, at(0)) == at(9_989)
