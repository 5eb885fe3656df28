"""Cron expressions: five fields, or a name such as `@daily`. Here they know wall clocks only; `rules` knows zones.

croniter finds the next match of a wall clock that never jumps. Handed times with a zone, it fires 02:30 twice where the clock
falls back, and moves what falls into a gap to the next hour: so it is never handed one.
"""

import re
from collections.abc import Iterator
from datetime import datetime
from functools import lru_cache

from croniter import CroniterBadDateError, croniter

_LONGEST = 200
_NAMES = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}
_FIELDS = ("minute", "hour", "day of month", "month", "day of week")
_DAYS, _MONTHS = "sun|mon|tue|wed|thu|fri|sat", "jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec"
_FITTING = [
    re.compile(rf"(?:[0-9*?,/#-]|{words})+", re.ASCII | re.IGNORECASE)
    for words in ("-", "-", "l", _MONTHS, f"l|{_DAYS}")
]
"""What a field may be made of; croniter would also take hashes, dice and nearest weekdays."""
_ANY_TIME = datetime(2024, 1, 1)  # noqa: DTZ001 - a wall clock has no zone


def checked(text: str) -> str:
    """The expression as it is kept: names written out, single spaces. Raises ValueError saying what is wrong."""
    if len(text) > _LONGEST:
        raise ValueError(f"{len(text)} characters, at most {_LONGEST} are allowed")
    fields = _NAMES.get(text.strip().lower(), text).split()
    if len(fields) != len(_FIELDS):
        raise ValueError(
            f"{text!r} has {len(fields)} fields: write five ({', '.join(_FIELDS)}), or one of {', '.join(_NAMES)}"
        )
    for name, fitting, field in zip(_FIELDS, _FITTING, fields, strict=True):
        if not fitting.fullmatch(field):
            raise ValueError(f"{field!r} is no {name}")
    expression = " ".join(fields)
    try:
        first = next(matches(expression, _ANY_TIME), None)
    except (ValueError, TypeError, LookupError) as error:
        raise ValueError(str(error)) from None
    if first is None:
        raise ValueError(f"{expression!r} names no day that ever comes")
    return expression


def matches(expression: str, after: datetime) -> Iterator[datetime]:
    """The wall times that match, after this one, in order; wall times have no zone."""
    return _walk(expression, after, back=False)


def matches_before(expression: str, before: datetime) -> Iterator[datetime]:
    """Those before this one, the last one first."""
    return _walk(expression, before, back=True)


@lru_cache(maxsize=4096)
def is_interval(expression: str) -> bool:
    """Whether minute or hour is a wildcard (also with a step): it names a span between runs, and not times of the day."""
    expanded, _ = croniter.expand(expression)
    return any(
        field.startswith(("*", "?")) or "*" in values
        for field, values in zip(expression.split()[:2], expanded, strict=False)
    )


def _walk(expression: str, wall: datetime, *, back: bool) -> Iterator[datetime]:
    parsed = _parsed(expression)
    step = parsed.get_prev if back else parsed.get_next
    while True:
        try:
            wall = step(datetime, start_time=wall, update_current=False)
        except (CroniterBadDateError, OverflowError):
            return
        yield wall


@lru_cache(maxsize=4096)
def _parsed(expression: str) -> croniter:
    """Shared: it is asked with a start of its own each time, and keeps none."""
    return croniter(expression, _ANY_TIME)
