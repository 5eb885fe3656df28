"""Times as people write them: `30s`, `5m`, `2h`, `1d`, or an ISO 8601 time with its zone."""

import re
from datetime import UTC, datetime, timedelta

from jobs_core import InvalidInput
from jobs_core.moments import YEARS

_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_SPAN = re.compile(r"(\d{1,6}(?:\.\d{1,3})?)([smhd])", re.ASCII)
_FURTHEST = timedelta(days=36_500)


def parse_duration(text: str, *, option: str = "--in") -> timedelta:
    """A span such as `5m` or `1.5h`. Raises InvalidInput for anything else."""
    match = _SPAN.fullmatch(text.strip())
    if not match:
        raise InvalidInput(f"{option}: {text!r} is not a duration; write 30s, 5m, 2h or 1d")
    return timedelta(seconds=float(match[1]) * _SECONDS[match[2]])


def parse_time(text: str, *, option: str = "--at") -> datetime:
    """A time with its zone, such as `2030-01-31T09:00+01:00`. Raises InvalidInput for anything else."""
    example = "write for example 2030-01-31T09:00+01:00, or Z for UTC"
    try:
        time = datetime.fromisoformat(text.strip())
    except ValueError:
        raise InvalidInput(f"{option}: {text!r} is not a time; {example}") from None
    if time.tzinfo is None:
        raise InvalidInput(f"{option}: {text!r} has no time zone; {example}")
    return time


def parse_moment(text: str, *, option: str) -> datetime:
    """A time as `parse_time` takes it, or the moment a span such as `2h` ago. Raises InvalidInput for anything else."""
    if _SPAN.fullmatch(text.strip()):
        ago = parse_duration(text, option=option)
        if ago > _FURTHEST:
            raise InvalidInput(f"{option}: {text!r} is more than a hundred years ago")
        return datetime.now(UTC) - ago
    try:
        moment = parse_time(text, option=option)
    except InvalidInput as error:
        raise InvalidInput(f"{error}; or a span, such as 5m, 2h or 1d, for so long ago") from None
    if moment.year not in YEARS:
        raise InvalidInput(f"{option}: {text!r} is not between the years {YEARS[0]} and {YEARS[-1]}")
    return moment.astimezone(UTC)
