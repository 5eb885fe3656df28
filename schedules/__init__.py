"""Schedules: rules that say when a job is to be created, and the ticks at which it is.

    put ─▶ schedules ─ due ─▶ evaluator (any number of them) ─▶ job + tick + the next time, one transaction ─┐
               ▲                                                                                             │
               └─────────────────────────────────────────────────────────────────────────────────────────────┘

`rules` says when, `book` keeps them, `evaluate` is one pass over what is due, `evaluator` the loop around it. It imports
jobs_core only, and is the only room that knows croniter.
"""

from schedules.book import Put, RunNow, get, late, listed, pause, put, remove, resume, run_now, ticks
from schedules.errors import NameTaken, NoSuchSchedule
from schedules.rules import Rule
from schedules.schedule import Schedule, TickSeen
from schedules.tick import Tick

__all__ = [
    "NameTaken",
    "NoSuchSchedule",
    "Put",
    "Rule",
    "RunNow",
    "Schedule",
    "Tick",
    "TickSeen",
    "get",
    "late",
    "listed",
    "pause",
    "put",
    "remove",
    "resume",
    "run_now",
    "ticks",
]
