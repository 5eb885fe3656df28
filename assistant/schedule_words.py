"""A schedule in words: when it runs, what is to come of it, and what that may cost."""

from datetime import datetime
from typing import TYPE_CHECKING

from schedules import Rule
from schedules.clock import zone as zone_of

if TYPE_CHECKING:
    from assistant.agent_schedules import Forecast

MOST_COUNTED = 1_000
"""Ticks of 30 days; counting them takes 60 ms."""


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
    return f"Next: {ticks}. {shown_cost(forecast)}"


def shown_cost(forecast: "Forecast") -> str:
    """What a run and a month may cost, and how that is known."""
    runs = f"{forecast.in_30_days}{'+' if forecast.in_30_days == MOST_COUNTED else ''} in the next 30 days"
    cost = forecast.cost
    if cost is None:
        return f"{runs}; what a run costs is not known yet: none has ended."
    whose = "its" if cost.of == "schedule" else "its agent's"
    month = f"about ${cost.usd * forecast.in_30_days:.2f}{' or more' if forecast.in_30_days == MOST_COUNTED else ''}"
    return f"{runs}, {month}: a run costs ${cost.usd:.4f}, the mean of {whose} last {cost.turns}."
