"""What agents' turns and calls of models come to, and how budgets and the provider stand.

Labels are closed: agents that the owner made, models that stand in the price list, and what the code itself names. Budgets are
added up by their scope: whose they are is nobody's who reads /metrics.
"""

from collections.abc import Sequence

from prometheus_client import Counter

from jobs_core import Connection
from jobs_core.gauges import Gauge, Value, read
from sessions.account import Usage
from sessions.prices import listed_name

turns = Counter("jobs_turns_total", "Turns of agents that ended.", ["agent", "outcome"])
model_calls = Counter("jobs_model_calls_total", "Calls of a model that ended.", ["model"])
model_tokens = Counter("jobs_model_tokens_total", "Tokens that calls of a model took.", ["model", "kind"])
model_cost = Counter("jobs_model_cost_usd_total", "US dollars that calls of a model cost.", ["model"])

GAUGES = (
    Gauge("jobs_budget_spent_usd", "US dollars spent of the budgets in use.", ("scope", "period")),
    Gauge("jobs_budget_reserved_usd", "US dollars that runs have reserved of them.", ("scope", "period")),
    Gauge("jobs_budget_allowed_usd", "US dollars that they allow together.", ("scope", "period")),
    Gauge(
        "jobs_budget_used_ratio",
        "Of what one of them allows, the share that is used.",
        ("scope", "period"),
        is_most=True,
    ),
    Gauge("jobs_budget_waits", "Jobs that wait for money.", ("scope", "period")),
    Gauge("jobs_provider_state", "1 for the state that the provider of the models is in.", ("state",)),
    Gauge("jobs_provider_paused_seconds", "For how long the provider is paused or stopped; 0: it is not."),
)

_OTHER = "other"


def count_call(model: str, used: Usage) -> None:
    """Count a call that has ended and stands in the ledger."""
    name = listed_name(model) or _OTHER
    model_calls.labels(name).inc()
    model_cost.labels(name).inc(float(used.cost_usd))
    for kind, n in (
        ("input", used.input_tokens),
        ("output", used.output_tokens),
        ("cache_read", used.cache_read_tokens),
        ("cache_write", used.cache_write_tokens),
    ):
        model_tokens.labels(name, kind).inc(n)


async def look(conn: Connection) -> Sequence[Value]:
    """The room's gauges."""
    return await read(conn, "sessions")
