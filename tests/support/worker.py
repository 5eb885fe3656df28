"""A worker in the tests' own process, and what its jobs and its resources have come to."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

from jobs_core import AnyJob, Database, HandlerTable, Jobs, JobType
from jobs_core.look import JobView, find
from workers.settings import WorkerSettings
from workers.worker import Worker

Handler = Callable[[AnyJob], Any]
QUICK = {"lease_s": 2.0, "renew_s": 0.2, "upkeep_s": 0.1, "poll_s": 30.0, "drain_s": 5.0}


@asynccontextmanager
async def working(
    database: Database,
    handlers: dict[JobType[Any], Handler],
    resources: tuple[Any, ...] = (),
    queues: Sequence[str] = (),
    **settings: float,
) -> AsyncIterator[tuple[Jobs, Worker]]:
    """A worker with these handlers, in these queues or those of their types; drained at the end."""
    table = HandlerTable()
    for job_type, handler in handlers.items():
        table.register_handler(job_type, handler)
    async with Jobs(database, table) as jobs:
        worker = Worker(
            jobs,
            queues=queues or table.queues(),
            settings=WorkerSettings.read(**{**QUICK, **settings}),
            resources=resources,
        )
        task = asyncio.create_task(worker.run())
        try:
            yield jobs, worker
        finally:
            worker.drain()
            async with asyncio.timeout(15):
                await task


async def until(condition: Callable[[], Awaitable[object]]) -> None:
    """Wait for a condition. Raises TimeoutError after 15 s."""
    async with asyncio.timeout(15):
        while not await condition():
            await asyncio.sleep(0.01)


async def view_of(database: Database, job_id: int) -> JobView:
    """The job as it is now."""
    async with database.connection() as conn:
        view = await find(conn, job_id)
    assert view is not None
    return view


async def ended(database: Database, job_id: int, *, within_s: float = 15) -> JobView:
    """The job once it has ended. Raises TimeoutError."""
    async with asyncio.timeout(within_s):
        while (view := await view_of(database, job_id)).ended_at is None:
            await asyncio.sleep(0.01)
    return view


class Recorder:
    """A resource that remembers what it was told."""

    def __init__(self) -> None:
        self.told = list[str]()

    async def start(self) -> None:
        self.told.append("start")

    async def lease_lost(self) -> None:
        self.told.append("lease lost")

    async def stop(self) -> None:
        self.told.append("stop")
