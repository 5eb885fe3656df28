"""Rescue: a worker died with many jobs in its hands; how long until all of them are ready again."""

import time
from datetime import timedelta

from benchmarks.contenders.script import TEXT
from benchmarks.contenders.us import BRIEF, known
from benchmarks.errors import BenchFailed
from benchmarks.server import Server
from jobs_core import Database, Jobs, NewJob, execute, fetch_one
from jobs_core.claim import claim
from jobs_core.leases import register
from workers.upkeep import Upkeep

RESCUED = 10_000
_LEASE = timedelta(seconds=0.5)  # Postgres has been up for longer: within a lease of its start nobody is buried


async def rescued(server: Server, jobs: int) -> float:
    """Seconds of the first round of upkeep past the lease of a worker that held so many jobs. Raises BenchFailed."""
    async with server.fresh() as dsn, Database(dsn, name="bench") as database, Jobs(database, known()) as creator:
        await creator.create_many([NewJob(BRIEF, {"text": TEXT, "sent": 0.0}) for _ in range(jobs)])
        async with database.connection() as conn:
            types = {"queues": ["default"], "job_types": [BRIEF.name]}
            worker_id = await register(conn, **types, slots=jobs, lease_s=_LEASE.total_seconds())
            held = await claim(
                conn, worker_id=worker_id, queues=types["queues"], job_types=types["job_types"], slots=jobs
            )
            await execute(
                conn,
                "UPDATE jobs.workers SET expires_at = clock_timestamp() - interval '1 ms' WHERE id = %(id)s",
                {"id": worker_id},
            )
            began = time.monotonic()
            await Upkeep(creator, upkeep_s=1.0).run_once()
            spent_s = time.monotonic() - began
            ready = await fetch_one(conn, "SELECT count(*) AS n FROM jobs.jobs WHERE ready_seq IS NOT NULL")
    if len(held) != jobs or ready is None or ready["n"] != jobs:
        raise BenchFailed(f"rescue: of {jobs} jobs {len(held)} were claimed and {ready and ready['n']} rescued")
    return spent_s
