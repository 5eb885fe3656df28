"""When a job is due, as the statements take it: a time, or a span that Postgres adds to its own clock."""

from datetime import UTC, datetime, timedelta
from typing import Any

from jobs_core.errors import InvalidInput
from jobs_core.job_types import LONGEST_DELAY


def due_values(due: datetime | timedelta) -> dict[str, Any]:
    """`time` and `delay_s` as the statements take them: spans are added to Postgres' clock, never to ours.

    Raises InvalidInput for what is neither a span nor a time with its zone.
    """
    if isinstance(due, timedelta):
        if abs(due) > LONGEST_DELAY:
            raise InvalidInput(f"due: {due} is more than {LONGEST_DELAY} away", field="due")
        return {"time": None, "delay_s": due.total_seconds()}
    if not isinstance(due, datetime) or due.tzinfo is None:
        raise InvalidInput(f"due: {due!r} is neither a time with its zone nor a span", field="due")
    try:
        return {"time": due.astimezone(UTC), "delay_s": None}
    except OverflowError:
        raise InvalidInput("due: is no time of the years 1 to 9999 in UTC", field="due") from None
