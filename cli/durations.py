"""Times as people write them: `30s`, `5m`, `2h`, `1d`, or an ISO 8601 time with its zone."""

import re
from datetime import datetime, timedelta

from jobs_core import InvalidInput

_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def parse_duration(text: str, *, option: str = "--in") -> timedelta:
    """A span such as `5m` or `1.5h`. Raises InvalidInput for anything else."""
    match = re.fullmatch(r"(\d{1,6}(?:\.\d{1,3})?)([smhd])", text.strip(), re.ASCII)
    if not match:
        raise InvalidInput(f"{option}: {text!r} is not a duration; write 30s, 5m, 2h or 1d")
    return timedelta(seconds=float(match[1]) * _SECONDS[match[2]])


def parse_time(text: str) -> datetime:
    """A time with its zone, such as `2030-01-31T09:00+01:00`. Raises InvalidInput for anything else."""
    example = "write for example 2030-01-31T09:00+01:00, or Z for UTC"
    try:
        time = datetime.fromisoformat(text.strip())
    except ValueError:
        raise InvalidInput(f"--at: {text!r} is not a time; {example}") from None
    if time.tzinfo is None:
        raise InvalidInput(f"--at: {text!r} has no time zone; {example}")
    return time
