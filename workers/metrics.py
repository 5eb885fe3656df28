"""What workers count of themselves; what they do with jobs is counted as the queue's (jobs_core/metrics.py)."""

from prometheus_client import Counter, Gauge

leases_lost = Counter("jobs_leases_lost_total", "Leases that a worker found lost.", ["because"])
for _because in ("outage", "starved"):
    leases_lost.labels(_because)
buried = Counter("jobs_workers_buried_total", "Workers whose lease ran out, and that were declared dead.")
upkeep_rounds = Counter("jobs_upkeep_rounds_total", "Rounds of upkeep.")
upkeep_failures = Counter("jobs_upkeep_failures_total", "Rounds of upkeep that failed.")
draining = Gauge("jobs_workers_draining", "Workers that drain.", multiprocess_mode="livesum")
