"""Ourselves, as a program that uses Jobs would: `Jobs.create`, `create_many`, and a real `Worker` with its default settings.

The worker writes its log (level info, as by default) to a file; every job is typed, fenced, settled durably and counted.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

from pydantic import BaseModel

from benchmarks.contenders.script import Meter, Payload, run
from benchmarks.plan import SLOTS
from jobs_core import AnyJob, Complete, Connection, Database, HandlerTable, Jobs, JobType, Limit, NewJob, db
from jobs_core.claim import claim
from jobs_core.leases import register
from jobs_core.log import set_up_logs
from jobs_core.migrations import migrate
from jobs_core.settings import CoreSettings
from workers.settings import WorkerSettings
from workers.worker import Worker


class Input(BaseModel):
    """What every contender's jobs carry."""

    text: str
    sent: float


BRIEF = JobType("bench_brief", Input, brief=True)
NO_HISTORY = JobType("bench_no_history", Input, brief=True, retention="none")
MARKED = JobType("bench_marked", Input)
LANE = JobType("bench_lane", Input, brief=True, lane=lambda _: "bench:one")
UNKNOWN = JobType("bench_unknown", Input)
LIMITED = JobType("bench_limited", Input, limits=lambda given: [Limit(given.text, slots=1)])

KINDS: dict[str, dict[str, Any]] = {
    "ready": {"job_type": NO_HISTORY},
    "kept": {"job_type": BRIEF},
    "marked": {"job_type": MARKED},
    "deferred": {"job_type": BRIEF, "scheduled_for": timedelta(days=1)},
    "lower_priority": {"job_type": BRIEF, "priority": 4},
    "blocked": {"job_type": LANE},
    "unknown": {"job_type": UNKNOWN},
    "limited": {"job_type": LIMITED},
}
"""What `create_bulk` creates: jobs to drain, whose start is written or not, and those that may stand in the way."""


def known() -> HandlerTable:
    """The types, as a producer knows them."""
    table = HandlerTable()
    table.declare_all([BRIEF, NO_HISTORY, MARKED, LANE, UNKNOWN, LIMITED])
    return table


class OurProducer:
    """Creates jobs over a pool of one connection; the wake-ups go over it too, between creates."""

    def __init__(self, jobs: Jobs) -> None:
        self._jobs = jobs
        self._head_is_held = False

    async def create_one(self, payload: Payload) -> None:
        """One job."""
        await self._jobs.create(BRIEF, payload)

    async def create_bulk(self, payloads: Sequence[Payload], kind: str) -> None:
        """One statement; the head of a lane that is to stand blocked is held by a worker that lives through the run."""
        await self._jobs.create_many([NewJob(input=payload, **KINDS[kind]) for payload in payloads])
        if kind == "blocked" and not self._head_is_held:
            self._head_is_held = True
            async with self._jobs.database.connection() as conn:
                await _hold_head(conn)


class Us:
    """The script."""

    async def install(self, dsn: str) -> None:
        """The queue's own tables."""
        async with await db.connect(dsn, name="bench") as conn:
            await migrate(conn, ["jobs_core"])

    @asynccontextmanager
    async def producer(self, dsn: str) -> AsyncIterator[OurProducer]:
        """Over a pool of one connection."""
        async with Database(dsn, name="bench producer", max_connections=1) as database, Jobs(database, known()) as jobs:
            yield OurProducer(jobs)

    async def drain(self, dsn: str, meter: Meter) -> None:
        """A worker that runs until SIGTERM."""

        async def handle(job: AnyJob) -> Complete:
            meter.handled(job.input.sent)
            return Complete()

        set_up_logs(CoreSettings.read())
        table = HandlerTable()
        for job_type in (BRIEF, NO_HISTORY, MARKED, LANE):
            table.register_handler(job_type, handle)
        async with Database(dsn, name="bench worker") as database, Jobs(database, table) as jobs:
            worker = Worker(jobs, queues=["default"], settings=WorkerSettings.read(slots=SLOTS))
            await worker.run_process()


async def _hold_head(conn: Connection) -> None:
    worker_id = await register(conn, queues=["default"], job_types=[LANE.name], slots=1, lease_s=24 * 3600)
    await claim(conn, worker_id=worker_id, queues=["default"], job_types=[LANE.name], slots=1)


if __name__ == "__main__":
    run(Us())
