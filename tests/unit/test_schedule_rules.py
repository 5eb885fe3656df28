"""Rules: what is due when, in zones whose clocks change; and what is no rule."""

from datetime import UTC, datetime, timedelta
from itertools import islice, pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jobs_core import InvalidInput
from schedules import Rule, clock
from tests.support import schedule_oracle

GAP, FOLD = datetime(2024, 3, 30, 12, tzinfo=UTC), datetime(2024, 10, 26, 12, tzinfo=UTC)
"""The day before Berlin's clocks go on, and back."""


def due(rule: Rule, after: datetime, n: int) -> list[str]:
    return [f"{one.slot} at {one.at:%H:%M}" for one in islice(rule.due(after), n)]


def berlin(cron: str) -> Rule:
    return Rule(zone="Europe/Berlin", cron=cron)


def test_a_fixed_time_in_a_gap_is_due_at_its_end() -> None:
    assert due(berlin("30 2 * * *"), GAP, 2) == ["2024-03-31T02:30 at 01:00", "2024-04-01T02:30 at 00:30"]


def test_a_fixed_time_in_a_fold_is_due_at_its_first_coming_alone() -> None:
    assert due(berlin("30 2 * * *"), FOLD, 2) == ["2024-10-27T02:30 at 00:30", "2024-10-28T02:30 at 01:30"]


def test_several_fixed_times_in_a_gap_are_due_together_each_with_a_slot_of_its_own() -> None:
    slots = due(berlin("0,30 2 * * *"), GAP, 3)
    assert slots == ["2024-03-31T02:00 at 01:00", "2024-03-31T02:30 at 01:00", "2024-04-01T02:00 at 00:00"]


@pytest.mark.parametrize("start", [GAP, FOLD])
def test_an_interval_is_one_of_real_time_whatever_the_clock_does(start: datetime) -> None:
    ticks = berlin("*/30 * * * *").upcoming(start, 60)
    assert {later - earlier for earlier, later in pairwise(ticks)} == {timedelta(minutes=30)}


def test_a_wildcard_minute_of_an_hour_that_is_skipped_is_not_due_that_day() -> None:
    assert due(berlin("*/30 2 * * *"), GAP, 1) == ["2024-04-01T00:00:00Z at 00:00"]


def test_a_moment_without_a_zone_is_read_by_the_clock_of_the_rules_zone() -> None:
    wall = datetime(2024, 3, 31, 2, 30)  # noqa: DTZ001 - what the clock on the wall would show
    assert Rule(zone="Europe/Berlin", at=wall).at == datetime(2024, 3, 31, 1, tzinfo=UTC)


def test_a_span_is_one_of_real_time_in_whatever_zone_a_row_was_read() -> None:
    berlins = GAP.astimezone(clock.zone("Europe/Berlin"))
    rule = Rule.model_construct(every_s=86_400, anchor=berlins)
    assert due(rule, GAP, 1) == ["2024-03-31T12:00:00Z at 12:00"]


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({}, "rule"),
        ({"cron": "@daily", "every_s": 5}, "rule"),
        ({"cron": "@daily", "anchor": "2024-01-01T00:00:00Z"}, "rule"),
        ({"cron": "* * * *"}, "rule.cron"),
        ({"cron": "* * * * * *"}, "rule.cron"),
        ({"cron": "60 * * * *"}, "rule.cron"),
        ({"cron": "0 0 30 2 *"}, "rule.cron"),
        ({"cron": "R * * * *"}, "rule.cron"),
        ({"cron": "0 0 31W * *"}, "rule.cron"),
        ({"cron": "0 " * 500}, "rule.cron"),
        ({"cron": "@daily", "zone": "Mars/Olympus"}, "rule.zone"),
        ({"cron": "@daily", "zone": "../../etc/passwd"}, "rule.zone"),
        ({"every_s": 0}, "rule.every_s"),
        ({"at": "9999-12-31T23:59:59-05:00"}, "rule.at"),
        ({"every_s": 5, "missed": "twice"}, "rule.missed"),
        ({"every_s": 5, "evry": 5}, "rule.evry"),
    ],
)
def test_what_is_no_rule_is_refused_by_its_field(given: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        Rule.read(given)
    assert refused.value.field == field


@given(st.text(alphabet="0123456789*,-/?#LlWRHabmonfrijan@ ", max_size=40))
@settings(max_examples=300)
def test_any_text_is_a_rule_with_ticks_or_refused(text: str) -> None:
    try:
        rule = Rule.read({"cron": text})
    except InvalidInput:
        return
    assert rule.upcoming(GAP, 1)


@given(
    st.sampled_from(["Europe/Berlin", "Australia/Lord_Howe", "Antarctica/Troll", "America/Santiago"]),
    st.sampled_from(["*/7 * * * *", "5 * * * *", "3,50 1,2 * * *", "0 0 1,15 * *", "*/20 1-3 * * 0"]),
    st.integers(1, 40),
    st.integers(0, 60 * 24 * 60),
    st.integers(0, 60 * 24 * 30),
)
@settings(max_examples=60)
def test_the_last_ticks_of_a_span_are_the_last_of_all_in_it(
    zone: str, cron: str, n: int, until_min: int, back_min: int
) -> None:
    rule = Rule(zone=zone, cron=cron)
    until = datetime(2024, 3, 1, tzinfo=UTC) + timedelta(minutes=until_min)
    after = until - timedelta(minutes=back_min)
    assert rule.last(n, after, until) == rule.between(after, until)[-n:]


def test_each_zone_of_the_package_can_be_read() -> None:
    for name in clock._names():
        clock.zone(name)


def test_the_oracle_of_the_drill_knows_a_gap_a_fold_and_an_ordinary_day() -> None:
    fixed, interval = (schedule_oracle.Cron(text) for text in ("30 1,2 * * *", "30 * * * *"))
    for start in (GAP, FOLD):
        schedule_oracle.walk("Europe/Berlin", [fixed, interval], start, start + timedelta(days=1))
    shown = [f"{slot} at {at:%H:%M}" for slot, at in sorted(fixed.ticks.items())]
    assert shown == [
        "2024-03-31T01:30 at 00:30",
        "2024-03-31T02:30 at 01:00",
        "2024-10-27T01:30 at 23:30",
        "2024-10-27T02:30 at 00:30",
    ]
    assert len(interval.ticks) == 48
