"""A worker on a real Postgres: what it runs, how each run ends, and how it ends itself."""

import asyncio
import threading
import time
from datetime import timedelta

import pytest

from jobs_core import (
    AnyJob,
    Complete,
    Database,
    Fail,
    HandlerTable,
    Jobs,
    JobType,
    RetryPolicy,
    execute,
    fetch,
    fetch_one,
)
from tests.support.alone import running_alone
from tests.support.job_types import BRIEF_NOTE, LANE_NOTE, NOTE, Note
from tests.support.worker import QUICK, Recorder, ended, until, view_of, working
from workers.settings import WorkerSettings
from workers.worker import Worker


async def test_a_created_job_wakes_an_idle_worker_and_its_result_is_kept(database: Database) -> None:
    async def handle(job: AnyJob) -> Complete:
        return Complete({"seen": job.input.text})

    async with working(database, {NOTE: handle}) as (jobs, _):
        first = await jobs.create(NOTE, Note(text="first"))
        assert (await ended(database, first.id)).result == {"seen": "first"}
        second = await jobs.create(NOTE, Note(text="second"))  # the poll is 30 s away: only the wake-up can find it
        assert (await ended(database, second.id)).result == {"seen": "second"}


async def test_a_plain_function_runs_in_a_thread_and_stalls_nobody(database: Database) -> None:
    go_on = threading.Event()

    def stall(_: AnyJob) -> Complete:
        assert go_on.wait(10)
        return Complete({"thread": threading.current_thread().name})

    async def quick(_: AnyJob) -> None:
        go_on.set()

    async with working(database, {NOTE: stall, BRIEF_NOTE: quick}) as (jobs, _):
        stalled = await jobs.create(NOTE, Note())
        await until(lambda: _running(database))
        await jobs.create(BRIEF_NOTE, Note())
        view = await ended(database, stalled.id)
    assert view.result["thread"].startswith("handler")


async def _running(database: Database) -> object:
    async with database.connection() as conn:
        return await fetch_one(conn, "SELECT id FROM jobs.jobs WHERE state = 'running'")


@pytest.mark.parametrize(
    ("raised", "retries", "state", "error"),
    [
        (RuntimeError("flaky"), RetryPolicy(), "pending", "RuntimeError: flaky"),
        (RuntimeError("flaky"), RetryPolicy(max_retries=0), "failed", "RuntimeError: flaky"),
        (KeyError("gone"), RetryPolicy(never_for=(LookupError,)), "failed", "KeyError: 'gone'"),
    ],
)
async def test_a_raise_is_a_counted_retry_unless_its_policy_says_otherwise(
    database: Database, raised: Exception, retries: RetryPolicy, state: str, error: str
) -> None:
    async def handle(_: AnyJob) -> None:
        raise raised

    async with working(database, {JobType("note", Note, retries=retries): handle}) as (jobs, _):
        created = await jobs.create("note", {})

        async def settled() -> bool:
            view = await view_of(database, created.id)
            return (view.state, view.error) == (state, error)

        await until(settled)


async def test_a_run_past_its_timeout_is_stopped_and_counted(database: Database) -> None:
    stopped = asyncio.Event()

    async def handle(_: AnyJob) -> None:
        try:
            await asyncio.sleep(60)
        finally:
            stopped.set()

    job_type = JobType("note", Note, timeout=timedelta(seconds=0.1), retries=RetryPolicy(max_retries=0))
    async with working(database, {job_type: handle}) as (jobs, _):
        view = await ended(database, (await jobs.create("note", {})).id)
    assert view.error == "timeout: it ran for more than 0.1 s"
    assert stopped.is_set()


async def test_a_worker_never_holds_more_than_it_can_start(database: Database) -> None:
    most = running = 0
    all_at_once = asyncio.Event()

    async def handle(_: AnyJob) -> None:
        nonlocal most, running
        running += 1
        if running == 3:
            all_at_once.set()
        await all_at_once.wait()
        async with database.connection() as conn:
            held = await fetch_one(conn, "SELECT count(*) AS n FROM jobs.jobs WHERE worker_id IS NOT NULL")
        assert held is not None
        most = max(most, running, held["n"])
        running -= 1

    async with working(database, {NOTE: handle}, slots=3) as (jobs, _):
        created = [await jobs.create(NOTE, Note()) for _ in range(30)]
        for one in created:
            await ended(database, one.id)
    assert most == 3


async def test_a_lane_goes_on_at_once_when_its_head_ends(database: Database) -> None:
    order = list[str]()

    async def handle(job: AnyJob) -> Fail | Complete:
        order.append(job.input.text)
        return Fail("no") if job.input.text == "1" else Complete()

    async with working(database, {LANE_NOTE: handle}) as (jobs, _):
        created = [await jobs.create(LANE_NOTE, Note(lane="a", text=str(n))) for n in range(10)]
        await ended(database, created[-1].id)
    assert order == [str(n) for n in range(10)]


async def test_a_drain_lets_runs_end_and_takes_no_new_ones(database: Database) -> None:
    started, go_on = asyncio.Event(), asyncio.Event()

    async def handle(_: AnyJob) -> Complete:
        started.set()
        await go_on.wait()
        return Complete()

    async with working(database, {NOTE: handle}, slots=1) as (jobs, worker):
        running = await jobs.create(NOTE, Note())
        await started.wait()
        worker.drain()
        left = await jobs.create(NOTE, Note())
        await asyncio.sleep(0.1)
        go_on.set()
        assert (await ended(database, running.id)).state == "complete"
    view = await view_of(database, left.id)
    assert (view.state, view.token) == ("pending", None)


@pytest.mark.parametrize("second_signal", [False, True])
async def test_what_a_drain_cannot_wait_for_is_handed_back_at_no_cost(database: Database, second_signal: bool) -> None:  # noqa: FBT001 - a case
    started = asyncio.Event()

    async def handle(_: AnyJob) -> None:
        started.set()
        await asyncio.sleep(600)

    async with working(database, {NOTE: handle}, drain_s=600 if second_signal else 0.1) as (jobs, worker):
        created = await jobs.create(NOTE, Note())
        await started.wait()
        worker.drain()
        if second_signal:
            worker.drain()
    view = await view_of(database, created.id)
    assert (view.state, view.retry_count, view.lost_count) == ("pending", 0, 0)


async def test_a_lost_lease_stops_the_runs_writes_nothing_and_brings_a_new_id(database: Database) -> None:
    cancelled = list[int]()
    recorder = Recorder()

    async def handle(job: AnyJob) -> Complete:
        if job.lost_count:
            return Complete({"by": job.token})
        try:
            await asyncio.sleep(600)
        finally:
            cancelled.append(job.token)
        return Complete()

    async with working(database, {NOTE: handle}, resources=(recorder,)) as (jobs, _):
        created = await jobs.create(NOTE, Note())
        await until(lambda: _running(database))
        async with database.connection() as conn:
            await execute(conn, "UPDATE jobs.workers SET dead_at = clock_timestamp()")
        async with running_alone(jobs):
            view = await ended(database, created.id)
        async with database.connection() as conn:
            workers = await fetch(conn, "SELECT id FROM jobs.workers WHERE slots > 1")
    assert cancelled == [view.result["by"] - 1]
    assert (view.state, view.lost_count, len(workers)) == ("complete", 1, 2)
    assert recorder.told == ["start", "lease lost", "stop"]


async def test_a_handler_that_keeps_the_event_loop_busy_does_not_lose_the_lease(database: Database) -> None:
    async def handle(_: AnyJob) -> Complete:
        time.sleep(1.5)  # noqa: ASYNC251 - the point
        return Complete()

    async with working(database, {NOTE: handle}, lease_s=0.9, renew_s=0.1) as (jobs, _):
        view = await ended(database, (await jobs.create(NOTE, Note())).id)
    assert (view.state, view.lost_count) == ("complete", 0)


async def test_a_resource_that_cannot_start_ends_the_worker_before_it_claims(database: Database) -> None:
    class Broken(Recorder):
        async def start(self) -> None:
            raise RuntimeError("no CLI here")

    async with Jobs(database, HandlerTable()) as jobs:
        worker = Worker(jobs, queues=["default"], settings=WorkerSettings.read(**QUICK), resources=[Broken()])
        with pytest.raises(RuntimeError, match="no CLI here"):
            await worker.run()
    async with database.connection() as conn:
        assert await fetch(conn, "SELECT FROM jobs.workers") == []


async def test_a_drain_does_not_wait_for_a_resource_that_waits_for_a_database(database: Database) -> None:
    class Waiting(Recorder):
        async def start(self) -> None:
            await asyncio.Event().wait()

    async with Jobs(database, HandlerTable()) as jobs:
        worker = Worker(jobs, queues=["default"], settings=WorkerSettings.read(**QUICK), resources=[Waiting()])
        running = asyncio.create_task(worker.run())
        await asyncio.sleep(0)
        worker.drain()
        await asyncio.wait_for(running, 10)
