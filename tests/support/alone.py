"""An alone runner in the tests' own process."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from jobs_core import Jobs
from workers.alone import AloneRunner
from workers.settings import WorkerSettings


@asynccontextmanager
async def running_alone(jobs: Jobs, *, lease_s: float = 60.0, drain_s: float = 5.0) -> AsyncIterator[AloneRunner]:
    """A runner of suspects in the default queue, drained at the end. It must not lose its lease: the process would end."""
    settings = WorkerSettings.read(lease_s=lease_s, renew_s=lease_s / 5, drain_s=drain_s)
    runner = AloneRunner(jobs, queues=["default"], settings=settings)
    task = asyncio.create_task(runner.run())
    try:
        yield runner
    finally:
        runner.drain()
        async with asyncio.timeout(15):
            await task
