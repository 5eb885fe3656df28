"""Schedules: rules that say when a job is to be created, and the ticks at which it is.

    put ─▶ schedules ─ due ─▶ evaluator (any number of them) ─▶ job + tick + the next time, one transaction ─┐
               ▲                                                                                             │
               └─────────────────────────────────────────────────────────────────────────────────────────────┘

`rules` says when, `book` keeps them, `evaluate` is one pass over what is due, `evaluator` the loop around it. It imports
jobs_core only, and is the only room that knows croniter.
"""

from schedules.book import Put, Schedule, get, listed, put, remove
from schedules.errors import NameTaken, NoSuchSchedule
from schedules.rules import Rule
from schedules.tick import Tick

__all__ = [
    "NameTaken",
    "NoSuchSchedule",
    "Put",
    "Rule",
    "Schedule",
    "Tick",
    "get",
    "listed",
    "put",
    "remove",
]
