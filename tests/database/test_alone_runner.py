"""An alone runner in the tests' own process, on a real Postgres; and what upkeep tells the guard who starts such runners."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import pytest
import structlog.testing

from jobs_core import (
    AnyJob,
    Complete,
    Connection,
    Database,
    HandlerTable,
    Jobs,
    JobType,
    NewJob,
    execute,
    fetch,
    fetch_one,
)
from jobs_core.look import find
from tests.support.alone import running_alone
from tests.support.job_types import BRIEF_NOTE, NOTE, Note
from tests.support.worker import Recorder
from workers import alone
from workers.alone import AloneRunner
from workers.guard_link import GuardLink
from workers.process_tree import boottime_s
from workers.settings import WorkerSettings
from workers.upkeep import Upkeep


@asynccontextmanager
async def handling(
    database: Database, handler: Callable[[AnyJob], Any], *job_types: JobType[Any]
) -> AsyncIterator[Jobs]:
    """Creates jobs of these types, and is what a runner finds their handler by."""
    table = HandlerTable()
    for job_type in job_types or (NOTE,):
        table.register_handler(job_type, handler)
    async with Jobs(database, table) as jobs:
        yield jobs


async def suspect(conn: Connection) -> None:
    """All jobs there are become suspects."""
    await execute(conn, "UPDATE jobs.jobs SET alone = true, rescued = true, lost_count = 1")


async def until_gone(conn: Connection) -> None:
    async with asyncio.timeout(15):
        while await fetch_one(conn, "SELECT id FROM jobs.jobs WHERE alone"):
            await asyncio.sleep(0.01)


async def test_suspects_run_one_at_a_time_whatever_their_type(database: Database, conn: Connection) -> None:
    running, most = set[int](), list[int]()

    async def handle(job: AnyJob) -> Complete:
        running.add(job.id)
        most.append(len(running))
        await asyncio.sleep(0.02)
        running.remove(job.id)
        return Complete()

    async with handling(database, handle, NOTE, BRIEF_NOTE) as jobs:
        await jobs.create_many([NewJob(job_type, {}) for job_type in (NOTE, BRIEF_NOTE, NOTE)])
        await suspect(conn)
        async with running_alone(jobs):
            await until_gone(conn)
    assert most == [1, 1, 1]


async def test_a_suspect_is_marked_as_running_even_if_it_is_brief(database: Database, conn: Connection) -> None:
    """Or its next loss would not be charged, and it would be tried for ever."""
    states = list[str]()

    async def handle(job: AnyJob) -> Complete:
        async with database.connection() as other:
            row = await fetch_one(other, "SELECT state FROM jobs.jobs WHERE id = %(id)s", {"id": job.id})
        assert row is not None
        states.append(row["state"])
        return Complete()

    async with handling(database, handle, BRIEF_NOTE) as jobs:
        await jobs.create(BRIEF_NOTE, {})
        await suspect(conn)
        async with running_alone(jobs):
            await until_gone(conn)
    assert states == ["running"]


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> WorkerSettings:
    """Settings of a runner whose clock goes on by half a lease at each look.

    A short lease might be lost, and the tests' process would end with it.
    """
    ahead = itertools.count(0, 30)
    monkeypatch.setattr(alone, "boottime_s", lambda: boottime_s() + next(ahead))
    return WorkerSettings.read(lease_s=60.0)


async def test_jobs_that_are_no_suspects_are_left_to_the_workers(
    database: Database, conn: Connection, hurried: WorkerSettings
) -> None:
    async def never(_: AnyJob) -> Complete:
        raise AssertionError("it must not run")

    async with handling(database, never) as jobs:
        created = await jobs.create(NOTE, {})
        await AloneRunner(jobs, queues=["default"], settings=hurried).run()
    view = await find(conn, created.id)
    assert view is not None
    assert view.state == "pending"


async def test_a_runner_that_finds_nothing_for_a_lease_ends_in_order(
    database: Database, conn: Connection, hurried: WorkerSettings
) -> None:
    recorder = Recorder()
    async with Jobs(database, HandlerTable()) as jobs:
        runner = AloneRunner(jobs, queues=["default"], settings=hurried, resources=[recorder])
        async with asyncio.timeout(15):
            await runner.run()
    assert recorder.told == ["start", "stop"]
    assert await fetch(conn, "SELECT slots, dead_at IS NOT NULL AS retired FROM jobs.workers") == [
        {"slots": 1, "retired": True}
    ]


async def test_a_drain_lets_the_run_end(database: Database, conn: Connection) -> None:
    begun = asyncio.Event()

    async def handle(_: AnyJob) -> Complete:
        begun.set()
        await asyncio.sleep(0.2)
        return Complete()

    async with handling(database, handle) as jobs:
        created = await jobs.create(NOTE, Note())
        await suspect(conn)
        async with running_alone(jobs) as runner:
            await begun.wait()
            runner.drain()
            await until_gone(conn)
    view = await find(conn, created.id)
    assert view is not None
    assert view.state == "complete"


@pytest.mark.parametrize("by", ["time", "a second drain"])
async def test_a_run_that_a_drain_cannot_wait_for_goes_back_as_the_suspect_it_is_at_no_cost(
    database: Database, conn: Connection, by: str
) -> None:
    begun = asyncio.Event()

    async def handle(_: AnyJob) -> Complete:
        begun.set()
        await asyncio.sleep(600)
        return Complete()

    async with handling(database, handle) as jobs:
        await jobs.create(NOTE, Note())
        await suspect(conn)
        async with running_alone(jobs, drain_s=0.1 if by == "time" else 600) as runner:
            await begun.wait()
            runner.drain()
            if by != "time":
                runner.drain()
    assert await fetch(conn, "SELECT state, alone, lost_count, alone_lost_count, retry_count FROM jobs.jobs") == [
        {"state": "pending", "alone": True, "lost_count": 1, "alone_lost_count": 0, "retry_count": 0}
    ]


async def test_a_failure_of_its_own_sends_a_suspect_back_to_the_workers(database: Database, conn: Connection) -> None:
    async def fail(_: AnyJob) -> Complete:
        raise ValueError("no good")

    async with handling(database, fail) as jobs:
        await jobs.create(NOTE, Note())
        await suspect(conn)
        async with running_alone(jobs):
            await until_gone(conn)
    (row,) = await fetch(conn, "SELECT state, alone, lost_count, retry_count FROM jobs.jobs")
    assert row == {"state": "pending", "alone": False, "lost_count": 1, "retry_count": 1}


class Told(GuardLink):
    """A guard's link that keeps what it is told."""

    def __init__(self) -> None:
        self.told = list[int]()

    def suspects(self, ready: int) -> None:
        self.told.append(ready)


async def test_upkeep_tells_the_guard_of_suspects_whenever_their_number_changes(
    database: Database, conn: Connection
) -> None:
    link = Told()
    async with handling(database, lambda _: None) as jobs:
        upkeep = Upkeep(jobs, 1.0, queues=["default"], link=link)
        await upkeep.run_once()
        await jobs.create(NOTE, {})
        await jobs.create(NOTE, {}, scheduled_for=timedelta(hours=1))
        await suspect(conn)
        await upkeep.run_once()
        await upkeep.run_once()
        await execute(conn, "DELETE FROM jobs.jobs")
        await upkeep.run_once()
    assert link.told == [1, 0]


async def test_a_worker_without_a_guard_says_that_suspects_are_left(database: Database, conn: Connection) -> None:
    async with handling(database, lambda _: None) as jobs:
        await jobs.create(NOTE, {})
        await suspect(conn)
        upkeep = Upkeep(jobs, 1.0, queues=["default"])
        with structlog.testing.capture_logs() as logs:
            await upkeep.run_once()
            await upkeep.run_once()
    assert [(log["event"], log["jobs"]) for log in logs] == [("suspects.left", 1)]


async def test_what_upkeep_rescues_is_told_in_the_same_round(database: Database, conn: Connection) -> None:
    """Not one round later: runners start in time for "lease + one upkeep + 0.5 s"."""
    link = Told()
    async with handling(database, lambda _: None) as jobs:
        await jobs.create(NOTE, {})
        await execute(conn, "UPDATE jobs.jobs SET state = 'running', ready_seq = NULL, worker_id = 7, token = 1")
        await Upkeep(jobs, 1.0, queues=["default"], link=link).run_once()
    assert link.told == [1]
