"""When a notification goes out, by what its person has said: now, with the next digest, after the quiet hours, or not at all.

    made ─▶ wanted? ─▶ below the digest's severity: its next moment ─▶ past by now: now ─▶ in quiet hours: their end
              └─ no: on the web only

Nothing here looks at a clock or a table: the same notification under the same preferences has the same moment, whoever asks.
Times of day are made moments for each date by itself, so that a day has one digest and one night, however long it is. A time
that a day skips, when clocks go forward, counts by as much later as they go; one that comes twice counts the first time.
"""

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from fnmatch import fnmatchcase
from zoneinfo import ZoneInfo

from assistant.preferences import SEVERITIES, Digest, Least, Preferences, Quiet, Severity

_DAY = timedelta(days=1)
_HOUR = timedelta(hours=1)


def is_wanted(preferences: Preferences, category: str, severity: Severity) -> bool:
    """Whether it goes out at all: what is said of its category counts, else what is said of all."""
    least = _least_of(preferences, category)
    return preferences.telegram.on and least != "muted" and not _is_below(severity, least)


def goes_at(preferences: Preferences, severity: Severity, made_at: datetime, now: datetime) -> datetime:
    """When it goes out that was made then; what is not after `now` goes at once. Both are moments with a zone."""
    at, zone = made_at, ZoneInfo(preferences.zone)
    if preferences.digest and _is_below(severity, preferences.digest.below):
        at = _next_digest(preferences.digest, made_at, zone)
    at = max(at, now)
    quiet = preferences.quiet
    if quiet is None or (quiet.errors and severity == "error"):
        return at
    return _end_of_quiet(quiet, at, zone)


def _least_of(preferences: Preferences, category: str) -> Least:
    """Of patterns that fit the longest counts; the category's own name before all."""
    said = preferences.categories
    if category in said:
        return said[category]
    fitting = [pattern for pattern in said if fnmatchcase(category, pattern)]
    return said[max(fitting, key=lambda pattern: (len(pattern), pattern))] if fitting else preferences.telegram.least


def _is_below(severity: Severity, other: Severity) -> bool:
    return SEVERITIES.index(severity) < SEVERITIES.index(other)


def _next_digest(digest: Digest, made_at: datetime, zone: ZoneInfo) -> datetime:
    """The first moment of the digest after that one."""
    local = made_at.astimezone(zone)
    if digest.at is None:
        past = timedelta(minutes=local.minute, seconds=local.second, microseconds=local.microsecond)
        return made_at - past + _HOUR
    moments = (_moment(day, digest.at, zone) for day in _days_from(local.date()))
    return next(moment for moment in moments if moment > made_at)


def _end_of_quiet(quiet: Quiet, at: datetime, zone: ZoneInfo) -> datetime:
    """When the quiet hours end that this moment lies in; the moment itself where it lies in none."""
    overnight = _DAY if quiet.end < quiet.start else timedelta(0)
    today = at.astimezone(zone).date()
    for day in (today - _DAY, today):
        end = _moment(day + overnight, quiet.end, zone)
        if _moment(day, quiet.start, zone) <= at < end:
            return end
    return at


def _days_from(day: date) -> Iterator[date]:
    while True:
        yield day
        day += _DAY


def _moment(day: date, clock: str, zone: ZoneInfo) -> datetime:
    return datetime.combine(day, time.fromisoformat(clock), zone).astimezone(UTC)
