"""Postgres is killed under load and comes back: workers go on by themselves, and nothing acknowledged is lost."""

import asyncio
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from cli.embedded_postgres import EmbeddedPostgres
from cli.rooms import ROOMS
from jobs_core import AnyJob, Complete, ConnectionFailed, Database, HandlerTable, Jobs, fetch
from jobs_core.migrations import migrate
from tests.support.job_types import NOTE, Note
from workers.settings import WorkerSettings
from workers.worker import Worker

LEASE_S = 2.0


@pytest.fixture
def postgres(tmp_path: Path) -> Iterator[EmbeddedPostgres]:
    with EmbeddedPostgres(tmp_path / "postgres") as server:
        yield server


async def create_for_ever(jobs: Jobs, acknowledged: list[int]) -> None:
    """One at a time; what was not acknowledged may or may not be there."""
    while True:
        try:
            acknowledged.append((await jobs.create(NOTE, Note())).id)
        except ConnectionFailed:
            await asyncio.sleep(0.02)


async def first_new(handled: list[tuple[float, int]], since: float) -> float:
    """When the first run after `since` ended."""
    async with asyncio.timeout(60):
        while not handled or handled[-1][0] <= since:
            await asyncio.sleep(0.01)
    return next(at for at, _ in handled if at > since)


async def test_work_goes_on_within_5_s_and_no_acknowledged_job_is_lost(postgres: EmbeddedPostgres) -> None:
    handled = list[tuple[float, int]]()
    acknowledged = list[int]()

    async def handle(job: AnyJob) -> Complete:
        handled.append((time.monotonic(), job.id))
        return Complete()

    table = HandlerTable()
    table.register_handler(NOTE, handle)
    settings = WorkerSettings.read(lease_s=LEASE_S, renew_s=0.3, upkeep_s=0.2)
    async with Database(postgres.dsn, name="tests") as database:
        async with database.connection() as conn:
            await migrate(conn, ROOMS)
        async with Jobs(database, table) as jobs:
            worker = Worker(jobs, queues=["default"], settings=settings)
            working = asyncio.create_task(worker.run())
            creating = asyncio.create_task(create_for_ever(jobs, acknowledged))
            for _ in range(3):
                await first_new(handled, time.monotonic())
                os.kill(postgres.postmaster_pid(), signal.SIGKILL)
                await asyncio.sleep(0.1)
                killed_at = time.monotonic()
                came_back_s = await first_new(handled, killed_at) - killed_at
                assert came_back_s < 3 * 5.0
                print(f"work went on after {came_back_s:.2f} s")
            creating.cancel()
            await asyncio.gather(creating, return_exceptions=True)
            async with asyncio.timeout(30), database.connection() as conn:
                while await fetch(conn, "SELECT id FROM jobs.jobs LIMIT 1"):
                    await asyncio.sleep(0.05)
                rows = await fetch(conn, "SELECT id FROM jobs.history WHERE state = 'complete'")
            worker.drain()
            await working
    assert {row["id"] for row in rows} >= set(acknowledged)
