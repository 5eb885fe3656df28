"""How a run ends, as a value that its handler returns.

A handler that raises instead ends in a counted retry. `also` runs in the settling transaction, after the fenced update
matched: what it writes and the job's end are one fact, or neither happened. It may return where it has made jobs ready: idle
workers are woken there after the commit.
"""

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from jobs_core.db import Connection
from jobs_core.job_types import RetryPolicy
from jobs_core.wake import Ready

Also = Callable[[Connection], Awaitable[Iterable[Ready] | None]]

Reason = Literal["error", "timeout", "lost", "drained", "snoozed", "rate_limited", "budget", "cancelled"]
"""Why an attempt did not complete, as `attempts.reason` has it. `error` and `timeout` spend retries."""


@dataclass(frozen=True, slots=True)
class Complete:
    """Done; `result` is a model of the type's Result, or what fits it."""

    result: Any = None
    also: Also | None = None


@dataclass(frozen=True, slots=True)
class Retry:
    """Failed for now: counted, and tried again after the type's backoff, or after `after` where that is given."""

    reason: str
    after: timedelta | None = None
    also: Also | None = None
    because: Literal["error", "timeout"] = "error"
    policy: RetryPolicy | None = None
    """Its type's unless given: how often, and after how long."""


@dataclass(frozen=True, slots=True)
class Snooze:
    """Not now: put back until `until`, nothing counted but the time: after the type's `give_up_after` the job fails.

    pause_queue_until: what keeps this job from its work keeps all of its queue: no job of it is claimed until then (pauses.py).
    """

    until: datetime | timedelta
    reason: str = "snoozed"
    also: Also | None = None
    because: Literal["snoozed", "rate_limited", "budget", "drained"] = "snoozed"
    pause_queue_until: datetime | timedelta | None = None


@dataclass(frozen=True, slots=True)
class Wait:
    """Not before an event was emitted, or, without one, before `until`; then the handler starts at its top.

    event: as `Jobs.emit` names it; one that was emitted before counts. until: with an event, when to go on without it.
    """

    event: str | None = None
    until: datetime | timedelta | None = None
    also: Also | None = None


@dataclass(frozen=True, slots=True)
class Fail:
    """Failed for good: no retry will help."""

    reason: str
    also: Also | None = None


@dataclass(frozen=True, slots=True)
class Cancel:
    """Ended because somebody wanted it to be, and so did the run."""

    reason: str
    also: Also | None = None


Outcome = Complete | Retry | Snooze | Wait | Fail | Cancel
