"""A process of the poison drill: `python -m tests.drills.poison_worker DSN MODE ROLE`.

ROLE: `supervise`, and under that `worker` and `alone`. MODE: `alone` as in life; `plain`: nobody runs alone and the third lost
run ends a job, so that innocent jobs must fail.

The poison ends by itself, harmless, where nothing stops it; its job is complete then, and the drill broken.
"""

import asyncio
import ctypes
import os
import random
import signal
import sys
import time
from collections.abc import Callable
from typing import Literal

from pydantic import BaseModel

from jobs_core import AnyJob, Complete, HandlerTable, Jobs, JobType
from jobs_core.log import set_up_logs
from jobs_core.settings import CoreSettings
from tests.support.job_types import BRIEF_NOTE, NOTE
from tests.support.mutants import PLAIN_LIMIT, mutated
from workers.alone import AloneRunner
from workers.forks import keep_forks_apart
from workers.guard_link import GuardLink
from workers.limits import Limits
from workers.settings import WorkerSettings
from workers.supervisor import Supervisor
from workers.worker import Worker, open_database

PROCESSES = 3
SETTINGS = {"lease_s": 2.0, "renew_s": 0.4, "upkeep_s": 0.5, "poll_s": 1.0, "drain_s": 5.0, "slots": 10}
MEMORY_BYTES, MOST_BYTES, BLOCK_BYTES = 300 * 2**20, 1500 * 2**20, 8 * 2**20
CHILDREN, MOST_CHILDREN = 30, 120
"""What a worker may have below it, and what the fork bomb comes to at the very most."""


class Poison(BaseModel):
    """How a job kills its worker."""

    kind: Literal["memory", "segfault", "exit", "fork"]


POISON = JobType("poison", Poison)
BRIEF_POISON = JobType("brief_poison", Poison, brief=True)


async def innocent(_: AnyJob) -> Complete:
    """Work for up to a twentieth of a second."""
    await asyncio.sleep(random.uniform(0.0, 0.05))
    return Complete()


async def brief(_: AnyJob) -> Complete:
    """Work for no time at all."""
    return Complete()


async def poison(job: AnyJob) -> Complete:
    """Kill the worker, after others have had the time to stand beside."""
    await asyncio.sleep(0.02)
    {"memory": allocate, "segfault": lambda: ctypes.string_at(0), "exit": lambda: os._exit(1), "fork": fork}[
        job.input.kind
    ]()
    return Complete()


def allocate() -> None:
    """Take memory without end."""
    taken = []
    for _ in range(MOST_BYTES // BLOCK_BYTES):
        taken.append(b"x" * BLOCK_BYTES)
        time.sleep(0.01)


def fork() -> None:
    """Fork without end, children and children's children too; each fork costs a byte of a pipe that is never refilled."""
    budget, fill = os.pipe()
    os.write(fill, b"." * MOST_CHILDREN)
    os.close(fill)
    while os.read(budget, 1):
        if os.fork() == 0:
            signal.alarm(20)
    time.sleep(10)


async def work(dsn: str, kind: Callable[..., Worker | AloneRunner], link: GuardLink | None) -> None:
    """Work until drained, or alone until there is nothing."""
    keep_forks_apart()
    table = HandlerTable()
    for job_type, handler in ((NOTE, innocent), (BRIEF_NOTE, brief), (POISON, poison), (BRIEF_POISON, poison)):
        table.register_handler(job_type, handler)
    settings = WorkerSettings.read(**SETTINGS)
    core = CoreSettings.read(DATABASE_URL=dsn)
    async with open_database(core, settings, name="drill") as database, Jobs(database, table) as jobs:
        await kind(jobs, queues=["default"], settings=settings, link=link).run_process()


def supervise(dsn: str, mode: str) -> int:
    """Three workers under guard, and whatever runs alone."""
    command = [sys.executable, "-m", "tests.drills.poison_worker", dsn, mode]
    return Supervisor(
        [*command, "worker"],
        processes=PROCESSES,
        drain_s=SETTINGS["drain_s"],
        alone_command=[*command, "alone"],
        alone_processes=10,
        limits=Limits(memory_bytes=MEMORY_BYTES, processes=CHILDREN),
    ).run()


def main(dsn: str, mode: str, role: str) -> int:
    """Be what the command line says."""
    set_up_logs(CoreSettings.read(log_format="json"))
    if role == "supervise":
        return supervise(dsn, mode)
    link = GuardLink.from_environment()
    with mutated(*(PLAIN_LIMIT if mode == "plain" else ())):
        asyncio.run(work(dsn, AloneRunner if role == "alone" else Worker, link))
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
