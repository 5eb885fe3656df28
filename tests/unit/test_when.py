"""When a notification goes out: quiet hours and digests, over both switches of the clocks and a change of zone."""

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assistant.preferences import Preferences, fit_preferences
from assistant.when import goes_at, is_wanted
from jobs_core import InvalidInput

BERLIN = ZoneInfo("Europe/Berlin")
NIGHT = {"from": "22:00", "to": "07:00"}


def said(**values: Any) -> Preferences:
    return fit_preferences({"zone": "Europe/Berlin", **values})


def berlin(text: str, fold: int = 0) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=BERLIN, fold=fold).astimezone(UTC)


def goes(preferences: Preferences, made: datetime, severity: Any = "info", now: datetime | None = None) -> str:
    """When, as a clock on a wall in Berlin shows it."""
    return f"{goes_at(preferences, severity, made, now or made).astimezone(BERLIN):%m-%d %H:%M}"


def test_who_has_said_nothing_is_told_of_everything_at_once() -> None:
    made = berlin("2026-07-01 03:00")
    assert is_wanted(Preferences(), "anything", "info")
    assert goes_at(Preferences(), "info", made, made) == made


@pytest.mark.parametrize(
    ("made", "goes_out"),
    [
        ("2026-07-01 21:59", "07-01 21:59"),
        ("2026-07-01 22:00", "07-02 07:00"),
        ("2026-07-02 06:59", "07-02 07:00"),
        ("2026-07-02 07:00", "07-02 07:00"),
        ("2026-03-28 23:00", "03-29 07:00"),  # eight hours and an hour less
        ("2026-10-24 23:00", "10-25 07:00"),  # and an hour more
    ],
)
def test_what_comes_in_quiet_hours_goes_out_at_their_end(made: str, goes_out: str) -> None:
    assert goes(said(quiet=NIGHT), berlin(made)) == goes_out


def test_errors_break_through_quiet_hours_unless_the_person_says_otherwise() -> None:
    at_night = berlin("2026-07-01 23:00")
    assert goes(said(quiet=NIGHT), at_night, "warning") == "07-02 07:00"
    assert goes(said(quiet=NIGHT), at_night, "error") == "07-01 23:00"
    assert goes(said(quiet=NIGHT | {"errors": False}), at_night, "error") == "07-02 07:00"


def test_quiet_hours_may_lie_within_a_day() -> None:
    siesta = said(quiet={"from": "13:00", "to": "15:00"})
    assert [goes(siesta, berlin(f"2026-07-01 {at}")) for at in ("12:59", "14:00", "15:00", "23:00")] == [
        "07-01 12:59",
        "07-01 15:00",
        "07-01 15:00",
        "07-01 23:00",
    ]


def test_quiet_hours_that_end_in_the_hour_that_comes_twice_end_once() -> None:
    """The hour from 2 to 3 comes twice on that night; at its second coming nobody is asleep again."""
    until_half_past_two = said(quiet={"from": "22:00", "to": "02:30"})
    end = berlin("2026-10-25 02:30")
    for made in (berlin("2026-10-24 23:00"), berlin("2026-10-25 02:29")):
        assert goes_at(until_half_past_two, "info", made, made) == end
    for made in (end, berlin("2026-10-25 02:10", fold=1), berlin("2026-10-25 02:40", fold=1)):
        assert goes_at(until_half_past_two, "info", made, made) == made


def test_quiet_hours_that_end_in_the_hour_that_is_skipped_end_an_hour_later_on_the_wall() -> None:
    assert goes(said(quiet={"from": "22:00", "to": "02:30"}), berlin("2026-03-28 23:00")) == "03-29 03:30"


@pytest.mark.parametrize(
    ("made", "goes_out"),
    [
        ("2026-07-01 07:59", "07-01 08:00"),
        ("2026-07-01 08:00", "07-02 08:00"),
        ("2026-03-28 09:00", "03-29 08:00"),
        ("2026-10-24 09:00", "10-25 08:00"),
    ],
)
def test_a_daily_digest_goes_out_at_its_time_of_the_wall(made: str, goes_out: str) -> None:
    assert goes(said(digest={"every": "day", "at": "08:00"}), berlin(made)) == goes_out


@pytest.mark.parametrize(("year", "at"), [(2026, "02:30"), (2026, "08:00"), (2026, "00:00")])
def test_each_day_of_a_year_has_one_digest_and_nothing_misses_it(year: int, at: str) -> None:
    preferences = said(digest={"every": "day", "at": at})
    moments = set()
    made = datetime(year, 1, 1, tzinfo=UTC)
    while made.year == year:
        out = goes_at(preferences, "info", made, made)
        assert made < out <= made + timedelta(hours=25)
        moments.add(out)
        made += timedelta(hours=1)
    days = sorted(moment.astimezone(BERLIN).date() for moment in moments)
    assert len(days) == len(set(days)) == (days[-1] - days[0]).days + 1


def test_an_hourly_digest_goes_out_when_the_hour_is_full_where_the_person_is() -> None:
    made = datetime(2026, 7, 1, 10, 20, tzinfo=UTC)
    for zone, minute in (("Europe/Berlin", 0), ("Asia/Kathmandu", 15)):  # 5 h 45 min before UTC
        out = goes_at(said(zone=zone, digest={"every": "hour"}), "info", made, made)
        assert (out.astimezone(ZoneInfo(zone)).minute, out.minute) == (0, minute)
        assert timedelta(0) < out - made <= timedelta(hours=1)


def test_only_what_is_less_severe_waits_for_the_digest() -> None:
    made = berlin("2026-07-01 09:00")
    warnings_at_once = said(digest={"every": "day", "at": "08:00", "below": "warning"})
    assert goes(warnings_at_once, made) == "07-02 08:00"
    assert goes(warnings_at_once, made, "warning") == "07-01 09:00"
    assert goes(said(digest={"every": "day", "at": "08:00"}), made, "warning") == "07-02 08:00"


def test_a_digest_waits_for_the_end_of_quiet_hours_also_when_it_is_late() -> None:
    both = said(quiet=NIGHT, digest={"every": "day", "at": "06:00"})
    assert goes(both, berlin("2026-07-01 09:00")) == "07-02 07:00"
    late = said(quiet=NIGHT, digest={"every": "day", "at": "21:50"})
    assert goes(late, berlin("2026-07-01 09:00"), now=berlin("2026-07-01 22:30")) == "07-02 07:00"


def test_another_zone_is_another_moment_for_what_waits() -> None:
    made = berlin("2026-07-01 23:00")
    tokyo = said(zone="Asia/Tokyo", quiet=NIGHT)
    assert goes(said(quiet=NIGHT), made) == "07-02 07:00"
    assert goes_at(tokyo, "info", made, made) == datetime(2026, 7, 1, 22, 0, tzinfo=UTC)  # 07:00 there


@settings(max_examples=60)
@given(
    made=st.integers(1_700_000_000, 1_850_000_000).map(lambda second: datetime.fromtimestamp(second, UTC)),
    late_s=st.integers(0, 200_000),
    zone=st.sampled_from(["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "America/Santiago"]),
    times=st.lists(
        st.from_regex(r"(?:[01][0-9]|2[0-3]):[0-5][0-9]", fullmatch=True), min_size=3, max_size=3, unique=True
    ),
)
def test_what_went_out_when_it_was_due_would_go_out_then_again(
    made: datetime, late_s: int, zone: str, times: list[str]
) -> None:
    """Else a job that comes on time would find that it is not, and make another, for ever."""
    preferences = said(
        zone=zone, quiet={"from": times[0], "to": times[1]}, digest={"every": "day", "at": times[2], "below": "error"}
    )
    now = made + timedelta(seconds=late_s)
    out = goes_at(preferences, "info", made, now)
    assert now <= out <= max(now, made + timedelta(hours=25)) + timedelta(hours=25)
    assert goes_at(preferences, "info", made, out) == out


def test_of_a_category_what_is_said_of_it_counts_and_the_longest_pattern_of_several() -> None:
    preferences = said(
        telegram={"least": "warning"},
        categories={"*": "error", "task.*": "muted", "task.due": "info", "task.d*": "warning"},
    )
    wanted = {
        category: [severity for severity in ("info", "warning", "error") if is_wanted(preferences, category, severity)]  # type: ignore[arg-type]  # they are
        for category in ("task.due", "task.done", "task.new", "other")
    }
    assert wanted == {
        "task.due": ["info", "warning", "error"],
        "task.done": ["warning", "error"],
        "task.new": [],
        "other": ["error"],
    }
    assert not is_wanted(said(telegram={"least": "warning"}), "other", "info")
    assert not is_wanted(said(telegram={"on": False}), "other", "error")


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"zone": "Mars/Phobos"}, "zone"),
        ({"zone": "Europe"}, "zone"),
        ({"zone": "../../etc/passwd"}, "zone"),
        ({"zone": "a\0b"}, "zone"),
        ({"zone": ""}, "zone"),
        ({"quiet": {"from": "25:00", "to": "07:00"}}, "quiet.from"),
        ({"quiet": {"from": "22:00", "to": "7:00"}}, "quiet.to"),
        ({"quiet": {"from": "22:00", "to": "T0700"}}, "quiet.to"),
        ({"quiet": {"from": "22:00", "to": "22:00"}}, "quiet"),
        ({"quiet": {"from": "22:00"}}, "quiet.to"),
        ({"digest": {"every": "day"}}, "digest"),
        ({"digest": {"every": "hour", "at": "08:00"}}, "digest"),
        ({"digest": {"every": "week"}}, "digest.every"),
        ({"digest": {"every": "hour", "below": "info"}}, "digest.below"),
        ({"telegram": {"on": "yes"}}, "telegram.on"),
        ({"telegram": {"least": "muted"}}, "telegram.least"),
        ({"categories": {"a": "loud"}}, "categories.a"),
        ({"categories": {"": "muted"}}, "categories..[key]"),
        ({"categories": {f"c{n}": "muted" for n in range(101)}}, "categories"),
        ({"volume": 11}, "volume"),
    ],
)
def test_what_nobody_could_mean_is_refused_by_its_field(values: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        fit_preferences(values)
    assert refused.value.field == f"preferences.{field}"
