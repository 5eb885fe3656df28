"""What the queue counts. A process adds to counters as it works; what lies in the database is read when it is asked for.

Labels are closed: job types and queues that are declared, states of a job, nothing a user can invent.
"""

from collections.abc import Iterable
from functools import cache

from prometheus_client import Counter, Histogram
from prometheus_client.core import GaugeMetricFamily, Metric

from jobs_core.db import Row
from jobs_core.pauses import Pause

_SECONDS = (0.005, 0.025, 0.1, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3600)

claimed = Counter("jobs_claimed_total", "Jobs claimed by a worker.", ["job_type"])
settled = Counter("jobs_settled_total", "Runs settled, by what became of the job.", ["job_type", "state"])
leases_lost = Counter("jobs_runs_lost_total", "Runs that found their lease lost and wrote nothing.", ["job_type"])
rescued = Counter("jobs_rescued_total", "Jobs taken from dead workers.")
run_seconds = Histogram("jobs_run_seconds", "Time of a run, from claim to settle.", ["job_type"], buckets=_SECONDS)
wait_seconds = Histogram("jobs_wait_seconds", "Age of a job at its claim.", ["job_type"], buckets=_SECONDS)


class OfType:
    """The series of one job type: looking a label up costs more than counting."""

    def __init__(self, job_type: str) -> None:
        self.claimed = claimed.labels(job_type)
        self.completed = settled.labels(job_type, "complete")
        self.run_seconds = run_seconds.labels(job_type)
        self.wait_seconds = wait_seconds.labels(job_type)


of_type = cache(OfType)


def from_database(
    counts: Iterable[Row], live_workers: int, history_days_ahead: int, pauses: Iterable[Pause], held_lanes: int
) -> Iterable[Metric]:
    """Gauges of what is in the database: living jobs by queue, type and state, their oldest age, workers, history's days, and
    what is paused ("": whatever the queue, or the type), and held lanes."""
    jobs = GaugeMetricFamily("jobs_living", "Jobs not ended.", labels=["queue", "job_type", "state"])
    oldest = GaugeMetricFamily("jobs_oldest_seconds", "Age of the oldest job.", labels=["queue", "job_type", "state"])
    for row in counts:
        labels = [row["queue"], row["job_type"], row["state"]]
        jobs.add_metric(labels, row["n"])
        oldest.add_metric(labels, row["oldest_s"])
    yield jobs
    yield oldest
    workers = GaugeMetricFamily("jobs_workers", "Live workers.")
    workers.add_metric([], live_workers)
    yield workers
    ahead = GaugeMetricFamily(
        "jobs_history_days_ahead", "Days after today with all their partitions; -1: today lacks one."
    )
    ahead.add_metric([], history_days_ahead)
    yield ahead
    paused = GaugeMetricFamily("jobs_paused", "1 for each pause in force.", labels=["queue", "job_type", "because"])
    for pause in pauses:
        paused.add_metric([pause.queue or "", pause.job_type or "", pause.because], 1)
    yield paused
    held = GaugeMetricFamily("jobs_lanes_held", "Lanes that are held.")
    held.add_metric([], held_lanes)
    yield held
