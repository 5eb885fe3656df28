"""What becomes of ticks, and how late the next ones are."""

from collections.abc import Sequence

from prometheus_client import Counter

from jobs_core import Connection
from jobs_core.gauges import Gauge, Value, read

ticks = Counter("jobs_ticks_total", "Ticks of schedules that were seen to.", ["result"])
for _result in ("created", "overlapped", "refused"):
    ticks.labels(_result)
paused = Counter("jobs_schedules_paused_total", "Schedules that paused themselves.")

GAUGES = (
    Gauge("jobs_schedules", "Schedules that have a next tick, counted up to 10,000 a type.", ("job_type",)),
    Gauge("jobs_schedule_late_seconds", "By how much the tick is late that is due first.", ("job_type",), is_most=True),
)


async def look(conn: Connection) -> Sequence[Value]:
    """The room's gauges."""
    return await read(conn, "schedules")
