"""A worker process of the kill drill: `python -m tests.drills.kill_worker DSN SLOTS MODE`.

MODE: `guarded` as in life; `fence_only`: the worker ignores its own deadline, so that only the fence stands; `no_fence`: the
fence is out too, and stale completions must show; `alone`: not a worker, but a runner of the jobs whose run was lost.
"""

import asyncio
import random
import sys
import time

from jobs_core import AnyJob, Complete, HandlerTable, Jobs
from jobs_core.log import set_up_logs
from jobs_core.settings import CoreSettings
from tests.support.job_types import NOTE
from tests.support.mutants import NO_FENCE, NO_FENCE_TOGETHER, mutated
from workers import lease
from workers.alone import AloneRunner
from workers.lease import Lease
from workers.settings import WorkerSettings
from workers.worker import Worker, open_database

LEASE_S = 2.0
UPKEEP_S = 0.5
SETTINGS = {"lease_s": LEASE_S, "renew_s": 0.4, "upkeep_s": UPKEEP_S, "poll_s": 1.0, "drain_s": 5.0}


async def handle(_: AnyJob) -> Complete:
    """Work for up to a twentieth of a second."""
    await asyncio.sleep(random.uniform(0.0, 0.05))
    return Complete()


def ignore_deadline() -> None:
    """No deadline of its own: a worker that woke goes on with its runs, and settles them, before a refusal tells it."""
    lease.DEADLINE_SHARE = 1e6
    lose = Lease._lose

    def lose_late(self: Lease, why: str) -> None:
        time.sleep(1.0)  # its runs take a twentieth
        lose(self, why)

    Lease._lose = lose_late  # type: ignore[method-assign]


async def work(dsn: str, slots: int, *, alone: bool) -> None:
    """Work until drained; alone: until there was nothing for the length of a lease."""
    table = HandlerTable()
    table.register_handler(NOTE, handle)
    settings = WorkerSettings.read(slots=slots, **SETTINGS)
    core = CoreSettings.read(DATABASE_URL=dsn)
    async with open_database(core, settings, name="drill") as database, Jobs(database, table) as jobs:
        await (AloneRunner if alone else Worker)(jobs, queues=["default"], settings=settings).run_process()


if __name__ == "__main__":
    _, dsn, slots, mode = sys.argv
    set_up_logs(CoreSettings.read(log_format="json"))
    if mode in {"fence_only", "no_fence"}:
        ignore_deadline()
    if mode == "no_fence":
        with mutated(NO_FENCE, NO_FENCE_TOGETHER):
            asyncio.run(work(dsn, int(slots), alone=False))
    else:
        asyncio.run(work(dsn, int(slots), alone=mode == "alone"))
