"""A schedule as the book keeps it, and the ticks that are on record."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from schedules.errors import NoSuchSchedule
from schedules.rules import Rule

NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")
_RULE = tuple(Rule.model_fields)

Which = str | int
"""A schedule's name, or its number."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """One schedule; times are UTC.

    input: as its jobs get it, a tick apart. user_id: whose its jobs are. source: who made it what it is: api, cli, file:…,
    agent:…. paused_why: set with paused_at. failures: of its jobs since the last that completed, as far as an evaluator has
    seen. next_at: when it is due next; None: it is paused, or has no tick left.
    """

    id: int
    name: str
    job_type: str
    input: Any
    user_id: str | None
    rule: Rule
    source: str
    paused_at: datetime | None
    paused_why: str | None
    failures: int
    seen_until: datetime
    next_at: datetime | None
    created_at: datetime
    changed_at: datetime


@dataclass(frozen=True, slots=True)
class TickSeen:
    """One tick of the past; times are UTC.

    job_id: its job's; None where none was created. outcome: how that ended, as far as an evaluator has seen (complete, failed,
    cancelled; gone: history has it no more); overlapped or refused, with an error: none was created. None: it may still live.
    """

    slot: str
    due_at: datetime
    made_at: datetime
    job_id: int | None
    outcome: str | None
    error: str | None


def read(row: Mapping[str, Any]) -> Schedule:
    """A schedule of its row."""
    values = {name: row[name] for name in Schedule.__slots__ if name != "rule"}
    # It was checked when it was put; a zone or a check that has gone since must not hide the schedule.
    return Schedule(**values, rule=Rule.model_construct(**{name: row[name] for name in _RULE}))


def named(which: Which) -> dict[str, Any]:
    """Which one, as the statements take it."""
    if isinstance(which, int):
        return {"name": None, "id": which}
    return {"name": which if NAME.fullmatch(which) else None, "id": None}  # none has a name that does not fit


def found(row: Mapping[str, Any] | None, which: Which) -> Mapping[str, Any]:
    """The row itself. Raises NoSuchSchedule where there is none."""
    if row is None:
        raise NoSuchSchedule(f"There is no schedule {which!r}: ./jobs schedule ls shows those there are")
    return row
