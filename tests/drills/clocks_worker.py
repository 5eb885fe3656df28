"""A worker process of the clocks drill, whose own clock is wrong: `python -m tests.drills.clocks_worker DSN`."""

import asyncio
import random
import sys
from datetime import UTC, datetime, timedelta

from pydantic import BaseModel

from jobs_core import AnyJob, Complete, Connection, HandlerTable, Jobs, JobType, NewJob, Outcome, Retry, execute
from jobs_core.log import set_up_logs
from jobs_core.settings import CoreSettings
from workers.settings import WorkerSettings
from workers.worker import Worker, open_database

SETTINGS = {"slots": 50, "lease_s": 15.0, "renew_s": 3.0, "upkeep_s": 1.0, "poll_s": 5.0, "drain_s": 5.0}


class Batch(BaseModel):
    """Create `jobs` jobs, due within `over_s`. `by_own_clock`: due at a time that this process reckons, not after a span."""

    jobs: int
    over_s: float
    by_own_clock: bool = False


class Due(BaseModel):
    """Wanted `after_s` after its creation, and again, where that is not 0, `again_s` after its first run."""

    after_s: float
    again_s: float = 0.0


MAKE = JobType("clocks_make", Batch)
DUE = JobType("clocks_due", Due)


def table() -> HandlerTable:
    """Both types, without code for them."""
    known = HandlerTable()
    known.declare_all([MAKE, DUE])
    return known


async def make(jobs: Jobs, batch: Batch) -> None:
    """Create a batch; a third of it runs a second time."""
    new = []
    for number in range(batch.jobs):
        after = timedelta(seconds=random.uniform(0.5, batch.over_s))
        again_s = random.uniform(0.5, batch.over_s) if number % 3 == 0 else 0.0
        due = Due(after_s=after.total_seconds(), again_s=again_s)
        scheduled_for = datetime.now(UTC) + after if batch.by_own_clock else after
        new.append(NewJob(DUE, due, scheduled_for=scheduled_for))
    await jobs.create_many(new)


async def run_due(job: AnyJob) -> Outcome:
    """Note what this process takes the time to be; ask for a second run, where it is to be."""

    async def note(conn: Connection) -> None:
        sql = "INSERT INTO drill_clocks (job_id, own) VALUES (%(id)s, %(own)s)"
        await execute(conn, sql, {"id": job.id, "own": datetime.now(UTC)})

    if job.input.again_s and not job.retry_count:
        return Retry("once more", after=timedelta(seconds=job.input.again_s), also=note)
    return Complete(also=note)


async def work(dsn: str) -> None:
    """Work until drained."""
    core = CoreSettings.read(DATABASE_URL=dsn)
    settings = WorkerSettings.read(**SETTINGS)
    known = HandlerTable()
    async with open_database(core, settings, name="drill worker") as database, Jobs(database, known) as jobs:

        async def run_make(job: AnyJob) -> None:
            await make(jobs, job.input)

        known.register_handler(MAKE, run_make)
        known.register_handler(DUE, run_due)
        await Worker(jobs, queues=["default"], settings=settings).run_process()


if __name__ == "__main__":
    set_up_logs(CoreSettings.read(log_format="json"))
    asyncio.run(work(sys.argv[1]))
