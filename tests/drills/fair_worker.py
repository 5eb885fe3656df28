"""A process of the fair and limits drills: `python -m tests.drills.fair_worker '{"dsn": …}'`: some workers, until SIGTERM.

With `by_arrival`, turns are given out by arrival; with `unlocked`, slots are seen to be free, and not locked.
"""

import asyncio
import json
import signal
import sys
from contextlib import AsyncExitStack
from dataclasses import asdict, dataclass
from functools import partial

from jobs_core import AnyJob, Complete, Database, HandlerTable, Jobs
from jobs_core.log import set_up_logs
from jobs_core.settings import CoreSettings
from tests.support.limits import BOUND
from tests.support.mutants import BY_ARRIVAL, SLOTS_NOT_LOCKED, mutated
from tests.support.turns import ERRAND
from workers.settings import WorkerSettings
from workers.worker import Worker


@dataclass(frozen=True, slots=True)
class Options:
    """`workers` in this process, each with `slots`; `run_s`: how long each run takes."""

    dsn: str
    workers: int = 1
    slots: int = 2
    run_s: float = 0.1
    lease_s: float = 15.0
    by_arrival: bool = False
    unlocked: bool = False

    def command(self) -> list[str]:
        """How to start it."""
        return [sys.executable, "-m", "tests.drills.fair_worker", json.dumps(asdict(self))]


def drain(workers: list[Worker]) -> None:
    """Let all of them end."""
    for worker in workers:
        worker.drain()


async def work(options: Options) -> None:
    """Until SIGTERM."""

    async def handle(_: AnyJob) -> Complete:
        await asyncio.sleep(options.run_s)
        return Complete()

    known = HandlerTable()
    known.register_handler(ERRAND, handle)
    known.register_handler(BOUND, handle)
    settings = WorkerSettings.read(
        slots=options.slots, lease_s=options.lease_s, renew_s=options.lease_s / 5, upkeep_s=0.5, poll_s=1.0, drain_s=5.0
    )
    workers = list[Worker]()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, partial(drain, workers))
    async with AsyncExitStack() as stack, asyncio.TaskGroup() as group:
        for number in range(options.workers):
            database = await stack.enter_async_context(Database(options.dsn, name=f"fair {number}", max_connections=4))
            jobs = await stack.enter_async_context(Jobs(database, known))
            workers.append(Worker(jobs, queues=["default"], settings=settings))
            group.create_task(workers[-1].run())


if __name__ == "__main__":
    given = Options(**json.loads(sys.argv[1]))
    set_up_logs(CoreSettings.read(log_level="error"))
    changes = [*(BY_ARRIVAL if given.by_arrival else ()), *([SLOTS_NOT_LOCKED] if given.unlocked else [])]
    with mutated(*changes):
        asyncio.run(work(given))
