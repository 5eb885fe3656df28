"""A schedule in words: when it runs, what is to come of it, and what that may cost."""

from datetime import datetime
from typing import TYPE_CHECKING

from schedules import Rule
from schedules.clock import zone as zone_of

if TYPE_CHECKING:
    from assistant.agent_schedules import Forecast
    from assistant.execution_results import Cost


def timing_of(rule: Rule) -> str:
    """When it is due."""
    if rule.cron is not None:
        return f"{rule.cron} ({rule.zone})"
    return f"every {rule.every_s} s" if rule.every_s is not None else f"at {local(rule.at, rule.zone)}"


def local(at: datetime | None, zone: str) -> str:
    """A moment as the clocks of its zone show it, with the zone's short name."""
    return f"{at.astimezone(zone_of(zone)):%a %Y-%m-%d %H:%M:%S %Z}" if at else "never"


def shown_forecast(forecast: "Forecast", zone: str) -> str:
    """The next ticks, and what each may cost."""
    ticks = "; ".join(local(at, zone) for at in forecast.ticks) or "it never runs"
    return f"Next: {ticks}. {shown_cost(forecast.cost)}"


def shown_cost(cost: "Cost | None") -> str:
    """What one turn may cost, and how that is known."""
    if cost is None:
        return "What a run costs is not known yet: none has ended."
    whose = "its" if cost.of == "schedule" else "its agent's"
    return f"A run costs about ${cost.usd:.4f}, the mean of {whose} last {cost.turns}."
