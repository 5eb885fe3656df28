"""The doors: what the Telegram door takes in and is told to wait for, and who holds which account."""

from collections.abc import Sequence

from prometheus_client import Counter, Histogram
from prometheus_client import Gauge as CountedGauge

from jobs_core import Connection
from jobs_core.gauges import Gauge, Value, read

_SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 15, 60, 300)

telegram_commit_seconds = Histogram(
    "jobs_telegram_commit_seconds",
    "Time from when a message came to the door until it was taken in.",
    ["account"],
    buckets=_SECONDS,
)
telegram_passed_over = Counter("jobs_telegram_passed_over_total", "Messages that could not be taken in.", ["account"])
telegram_reconciled = CountedGauge(
    "jobs_telegram_reconciled_timestamp_seconds",
    "When the door last saw to it that nothing is missing.",
    ["account"],
    multiprocess_mode="livemax",
)
telegram_flood_waits = Counter("jobs_telegram_flood_waits_total", "Times that Telegram asked to wait.", ["account"])
telegram_flood_wait_seconds = Counter(
    "jobs_telegram_flood_wait_seconds_total", "For how long it asked for, together.", ["account"]
)

GAUGES = (
    Gauge(
        "jobs_telegram_account_held", "1: a process on this host holds the account; 0: none does.", ("account", "host")
    ),
    Gauge("jobs_telegram_accounts", "Accounts of ours.", ("state",)),
)


async def look(conn: Connection) -> Sequence[Value]:
    """The room's gauges."""
    return await read(conn, "gateways")
