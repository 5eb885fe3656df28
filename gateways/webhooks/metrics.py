"""What the door of webhooks counts. Sources are declared by an operator; requests to none of them have the source ""."""

from prometheus_client import Counter

received = Counter(
    "jobs_webhooks_received_total",
    "Requests to /hooks, by source and what became of them: a result, repeated, or the code of the error.",
    ["source", "result"],
)
