from datetime import UTC, datetime, timedelta

import pytest

from cli.durations import parse_duration, parse_moment, parse_time
from jobs_core import InvalidInput


@pytest.mark.parametrize(
    ("text", "seconds"), [("30s", 30), ("5m", 300), ("2h", 7200), ("1d", 86400), ("1.5h", 5400), (" 0s ", 0)]
)
def test_a_duration_is_a_number_with_its_unit(text: str, seconds: float) -> None:
    assert parse_duration(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize("text", ["", "5", "m", "-5m", "5 m", "5min", "1e3s", "٥m", "1.2.3s", "5m5s", "nans"])
def test_anything_else_is_refused_with_the_option_named(text: str) -> None:
    with pytest.raises(InvalidInput, match=r"--in: .* write 30s, 5m, 2h or 1d"):
        parse_duration(text)


def test_a_time_keeps_its_zone() -> None:
    assert parse_time("2030-01-31T10:00+01:00") == datetime(2030, 1, 31, 9, tzinfo=UTC)
    assert parse_time("2030-01-31T09:00Z") == datetime(2030, 1, 31, 9, tzinfo=UTC)


def test_a_time_without_a_zone_is_refused() -> None:
    with pytest.raises(InvalidInput, match="has no time zone"):
        parse_time("2030-01-31T09:00")


def test_what_is_no_time_is_refused() -> None:
    with pytest.raises(InvalidInput, match="'tomorrow' is not a time"):
        parse_time("tomorrow")


def test_a_moment_is_a_time_or_a_span_ago() -> None:
    assert parse_moment("2030-01-31T10:00+01:00", option="--since") == datetime(2030, 1, 31, 9, tzinfo=UTC)
    before = datetime.now(UTC)
    assert before <= parse_moment("2h", option="--since") + timedelta(hours=2) <= datetime.now(UTC)


@pytest.mark.parametrize(
    "text", ["", "yesterday", "2030-01-31T09:00", "99999d", "1999-12-31T23:59Z", "9999-12-31T23:59-12:00"]
)
def test_what_is_no_moment_is_refused_with_the_option_named(text: str) -> None:
    with pytest.raises(InvalidInput, match=r"^--until: "):
        parse_moment(text, option="--until")
