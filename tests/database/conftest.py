"""What tests of the queue's verbs stand on: a creator of jobs, and workers without a process."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import date
from functools import partial
from typing import Any

import pytest

from assistant.chats import CHAT_TURN
from jobs_core import AnyJob, Complete, Connection, Database, Fail, Jobs, history
from jobs_core.claim import claim
from jobs_core.leases import register
from jobs_core.settle import settle
from jobs_core.steps import Steps
from tests.support.job_types import NOTE, table

ClaimAll = Callable[..., Awaitable[list[AnyJob]]]
Failing = Callable[..., Awaitable[int]]
NextRun = Callable[[], Awaitable[AnyJob]]
Settle = Callable[[], Awaitable[None]]


@pytest.fixture
async def conn(database: Database) -> AsyncIterator[Connection]:
    """One connection in autocommit."""
    async with database.connection() as connection:
        yield connection


@pytest.fixture
async def other(database: Database) -> AsyncIterator[Connection]:
    """A connection of somebody else."""
    async with await database.connect("other") as connection:
        yield connection


@pytest.fixture
async def today(conn: Connection) -> date:
    """Postgres' day in UTC, by which history is parted."""
    return await history._today(conn)


@pytest.fixture
async def jobs(database: Database) -> AsyncIterator[Jobs]:
    """Creates jobs of the tests' types, and turns of chats."""
    known = table()
    known.declare(CHAT_TURN)
    async with Jobs(database, known) as creator:
        yield creator


@pytest.fixture
async def worker_id(conn: Connection) -> int:
    """A live worker with a long lease."""
    return await register(conn, queues=["default"], job_types=[], slots=1, lease_s=600)


@pytest.fixture
def claim_all(conn: Connection, worker_id: int) -> ClaimAll:
    """Claim what is ready in the default queue, its input read, for the live worker unless another is named."""

    async def claim_for(
        worker: int = worker_id, *, slots: int = 1000, queues: tuple[str, ...] = ("default",)
    ) -> list[AnyJob]:
        types = ["note", "brief_note", "lane_note"]
        jobs = await claim(conn, worker_id=worker, queues=queues, job_types=types, slots=slots)
        for job in jobs:
            job.input = json.loads(job.input)
        return jobs

    return claim_for


@pytest.fixture
def settle_one(jobs: Jobs, claim_all: ClaimAll, database: Database) -> Settle:
    """Creates, claims and completes a job."""

    async def settle_a_note() -> None:
        await jobs.create(NOTE, {})
        (job,) = await claim_all()
        async with database.connection() as conn:
            await settle(conn, job, Complete(), NOTE)

    return settle_a_note


@pytest.fixture
def next_run(jobs: Jobs, claim_all: ClaimAll) -> NextRun:
    """Claim the only job that is ready, with its steps at hand."""

    async def claim_one() -> AnyJob:
        (job,) = await claim_all()
        job.steps_of = partial(Steps, jobs)
        return job

    return claim_one


@pytest.fixture
async def job(jobs: Jobs, next_run: NextRun) -> AnyJob:
    """A claimed note, with its steps at hand."""
    await jobs.create(NOTE, {})
    return await next_run()


@pytest.fixture
def failed(jobs: Jobs, conn: Connection, claim_all: ClaimAll) -> Failing:
    """Create a job as told, run it and fail it; its id."""

    async def fail(job_type: Any = NOTE, given: Any = None, error: str = "no", **how: Any) -> int:
        job_id = (await jobs.create(job_type, given or {}, **how)).id
        for job in await claim_all(queues=("default", "slow")):
            await settle(conn, job, Fail(error), job_type)
        return job_id

    return fail
