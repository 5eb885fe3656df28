"""What the queue counts, and what stands in its tables.

    counters, histograms: each process adds to its own, where the thing happens
    gauges: whoever serves /metrics reads them from Postgres when it is asked (`look`)

Labels are closed: job types and queues that are declared, states of a job, nothing about a person. docs/metrics.md lists all.
"""

import collections
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from datetime import timedelta
from functools import cache
from typing import Any

from prometheus_client import Counter, Histogram

from jobs_core import db
from jobs_core.gauges import COUNTED_TO, Gauge, Value, read
from jobs_core.history import days_ahead
from jobs_core.job import AnyJob
from jobs_core.outcomes import Outcome, Retry, Snooze
from jobs_core.ready_times import ReadyTimes
from jobs_core.statements import statement

_SECONDS = (0.005, 0.025, 0.1, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3600)

created = Counter("jobs_created_total", "Jobs created by this program's processes.", ["job_type"])
met = Counter("jobs_met_total", "Creates that met the job which holds their key.", ["job_type"])
claimed = Counter("jobs_claimed_total", "Jobs claimed by a worker.", ["job_type"])
pickup_seconds = Histogram(
    "jobs_pickup_seconds", "Time from when a job was ready until its claim.", ["job_type"], buckets=_SECONDS
)
run_seconds = Histogram("jobs_run_seconds", "Time of a run, from claim to settle.", ["job_type"], buckets=_SECONDS)
ended = Counter("jobs_ended_total", "Jobs that ended.", ["job_type", "state"])
put_back = Counter("jobs_put_back_total", "Runs that put their job back.", ["job_type", "because"])
waits = Counter("jobs_waits_total", "Runs whose job waits for an event or a time.", ["job_type"])
stale_writes = Counter("jobs_stale_writes_total", "Runs whose write was refused: the job was another's.", ["job_type"])
rescued = Counter("jobs_rescued_total", "Jobs taken from dead workers.")
redriven = Counter("jobs_redriven_total", "Ended jobs of which a new one was made.")

GAUGES = (
    Gauge("jobs_living", "Jobs not ended, counted up to 10,000.", ("queue", "job_type", "state")),
    Gauge("jobs_oldest_ready_seconds", "For how long a job has stood ready.", ("queue", "job_type"), is_most=True),
    Gauge("jobs_oldest_limited_seconds", "Likewise, for limits or its turn.", ("queue", "job_type"), is_most=True),
    Gauge("jobs_due_late_seconds", "By how much a job that is due is late to be made ready."),
    Gauge("jobs_workers", "Live workers."),
    Gauge("jobs_workers_expired", "Workers whose lease ran out and whom nobody has buried."),
    Gauge("jobs_worker_slots", "Jobs that the live workers run at once at most."),
    Gauge("jobs_limits_in_use", "Limits of which a slot is held."),
    Gauge("jobs_limits_full", "Limits of which all slots are held."),
    Gauge("jobs_limit_slots_held", "Slots of limits that are held."),
    Gauge("jobs_limit_slots", "Slots that the limits in use have."),
    Gauge("jobs_lanes_held", "Lanes that are held."),
    Gauge("jobs_paused", "1 for each pause in force.", ("queue", "job_type", "because")),
    Gauge("jobs_history_days_ahead", "Days after today with all their partitions; -1: today lacks one."),
    Gauge("jobs_table_rows", "Rows of a table, as Postgres' statistics have it.", ("table",)),
    Gauge("jobs_table_dead_rows", "Dead rows of a table, likewise.", ("table",)),
)


class OfType:
    """The series of one job type: looking a label up costs more than counting."""

    def __init__(self, job_type: str) -> None:
        self.created = created.labels(job_type)
        self.claimed = claimed.labels(job_type)
        self.completed = ended.labels(job_type, "complete")
        self.failed = ended.labels(job_type, "failed")  # made at once: an alarm looks for what is more than before
        self.run_seconds = run_seconds.labels(job_type)
        self.pickup_seconds = pickup_seconds.labels(job_type)


of_type = cache(OfType)

ready_times = ReadyTimes()
"""As this worker process has seen them, each second."""
_NOTED_EVERY = timedelta(seconds=1)


def count_created(rows: Sequence[Mapping[str, Any]], ids: Sequence[int], met_ids: AbstractSet[int]) -> None:
    """Count what a create made of its rows; in a transaction of its caller's, before that commits."""
    if len(rows) == 1 and not met_ids:
        of_type(rows[0]["job_type"]).created.inc()
        return
    # Two rows with one key are one job.
    types = {job_id: row["job_type"] for job_id, row in zip(ids, rows, strict=True)}
    counts = collections.Counter((job_type, job_id in met_ids) for job_id, job_type in types.items())
    for (job_type, is_met), n in counts.items():
        (met if is_met else created).labels(job_type).inc(n)


def count_claims(jobs: Sequence[AnyJob]) -> None:
    """Count jobs that were claimed just now, and how long they had stood ready.

    For one that was ready from its creation that is exact; for others (due later, put back, behind others in a lane) it is
    known to a second, the time between two rounds of upkeep, and never said to be less.
    """
    for job_type, n in collections.Counter(job.job_type for job in jobs).items():
        of_type(job_type).claimed.inc(n)
    for job in jobs:
        waited = job.claimed_at - job.created_at
        if waited > _NOTED_EVERY:
            waited = job.claimed_at - ready_times.ready_after(job.ready_seq, job.created_at)
        of_type(job.job_type).pickup_seconds.observe(waited.total_seconds())


def count_settled(job_type: str, state: str, outcome: Outcome) -> None:
    """Count a run whose outcome was written, and what became of its job."""
    if state not in {"pending", "waiting"}:
        ended.labels(job_type, state).inc()
    elif isinstance(outcome, Retry | Snooze):
        put_back.labels(job_type, outcome.because).inc()
    else:
        waits.labels(job_type).inc()  # also where what it waits for has happened


async def look(conn: db.Connection, times: ReadyTimes) -> list[Value]:
    """The queue's gauges. times: those of this database, as whoever calls this has seen them; noted here each time."""
    values = await read(conn, "jobs_core")
    rows = await db.fetch(conn, statement("jobs_core", "metrics/oldest"), {"most": COUNTED_TO})
    times.note(rows[0]["drawn"], rows[0]["at"])
    for row in rows:
        if row["queue"] is not None:
            since = times.ready_after(row["ready_seq"], row["not_before"])
            gauge = "jobs_oldest_limited_seconds" if row["limited"] else "jobs_oldest_ready_seconds"
            age_s = max((row["at"] - since).total_seconds(), 0.0)
            values.append(Value(gauge, (row["queue"], row["job_type"]), age_s))
    return [*values, Value("jobs_history_days_ahead", (), await days_ahead(conn))]
