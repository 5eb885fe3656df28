"""When a job is due, as the statements take it: a time, or a span that Postgres adds to its own clock."""

from datetime import UTC, datetime, timedelta
from typing import Any

from jobs_core.errors import InvalidInput
from jobs_core.job_types import LONGEST_DELAY


def due_values(due: datetime | timedelta, *, field: str = "due") -> dict[str, Any]:
    """`time` and `delay_s` as the statements take them: spans are added to Postgres' clock, never to ours.

    Raises InvalidInput, naming `field`, for what is neither a span nor a time with its zone.
    """
    if isinstance(due, timedelta):
        if abs(due) > LONGEST_DELAY:
            raise InvalidInput(f"{field}: {due} is more than {LONGEST_DELAY} away", field=field)
        return {"time": None, "delay_s": due.total_seconds()}
    if not isinstance(due, datetime) or due.tzinfo is None:
        raise InvalidInput(f"{field}: {due!r} is neither a time with its zone nor a span", field=field)
    try:
        return {"time": due.astimezone(UTC), "delay_s": None}
    except OverflowError:
        raise InvalidInput(f"{field}: is no time of the years 1 to 9999 in UTC", field=field) from None
