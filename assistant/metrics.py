"""Approvals and deliveries: how many came to what, and what waits now."""

from collections.abc import Sequence

from prometheus_client import Counter

from jobs_core import Connection
from jobs_core.gauges import Gauge, Value, read

approvals = Counter("jobs_approvals_total", "Tool calls that wait for a person, by what they came to.", ["state"])
for _state in (
    "pending",
    "approved",
    "rejected",
    "expired",
    "superseded",
    "cancelled",
    "executing",
    "executed",
    "unknown",
):
    approvals.labels(_state)
deliveries = Counter("jobs_deliveries_total", "Deliveries that ended.", ["channel", "state"])

GAUGES = (
    Gauge("jobs_approvals_open", "Tool calls that are not settled, counted up to 10,000.", ("state",)),
    Gauge("jobs_approvals_oldest_seconds", "For how long the oldest of those waits that nobody has decided."),
    Gauge("jobs_approvals_expiry_seconds", "Time left until the first of them expires; none: nothing waits."),
    Gauge("jobs_deliveries_owed", "Deliveries that are owed, counted up to 10,000.", ("channel",)),
    Gauge(
        "jobs_deliveries_oldest_owed_seconds", "For how long the oldest of them is owed.", ("channel",), is_most=True
    ),
)


async def look(conn: Connection) -> Sequence[Value]:
    """The room's gauges."""
    return await read(conn, "assistant")
