"""Waits that last for long, are over at once, are written twice or come in groups: none is forgotten, none goes on for ever."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from psycopg import OperationalError

import workers.executor
from jobs_core import (
    AnyJob,
    Complete,
    Connection,
    Database,
    HandlerTable,
    Jobs,
    JobType,
    LeaseLost,
    Outcome,
    Wait,
    execute,
    fetch,
    fetch_one,
)
from jobs_core.settle import settle
from jobs_core.settled import Settled
from jobs_core.steps import Waiting
from jobs_core.waits import KEEP_S, forget
from tests.database.conftest import NextRun
from tests.database.test_steps import state_is
from tests.database.test_testing_help import handling
from tests.support.alone import running_alone
from tests.support.job_types import NOTE, Note
from tests.support.worker import ended, until, view_of, working
from workers.testing import drain, pass_time, run

LONG_LEASE_S = 60.0


async def test_an_event_that_was_awaited_for_longer_than_one_is_kept_is_there_when_the_job_goes_on(
    jobs: Jobs, conn: Connection, job: AnyJob, next_run: NextRun
) -> None:
    with pytest.raises(Waiting) as waiting:
        await job.wait_for("paid")
    await settle(conn, job, waiting.value.outcome, NOTE)
    long_ago = {"ago": timedelta(seconds=KEEP_S, days=1)}
    await execute(conn, "UPDATE jobs.events SET made_at = made_at - %(ago)s", long_ago)
    await jobs.emit("paid", 5)
    await forget(conn)
    job = await next_run()
    assert await job.wait_for("paid") == 5


async def test_a_handler_that_waits_for_what_has_happened_gives_up_in_time(database: Database) -> None:
    """It goes round at once each time, and would for ever."""
    runs = list[int]()

    async def handle(job: AnyJob) -> Wait:
        runs.append(job.id)
        return Wait("go")

    hasty = JobType("note", Note, give_up_after=timedelta(seconds=0.5))
    async with working(database, {hasty: handle}) as (jobs, _):
        await jobs.emit("go")
        view = await ended(database, (await jobs.create(hasty, Note())).id)
    assert len(runs) > 1
    assert (view.state, view.retry_count) == ("failed", 0)
    assert view.error == "gave up 0:00:00.500000 after its first claim: it waits for what has happened"


async def test_the_time_that_a_job_waited_is_not_counted_against_it(jobs: Jobs, conn: Connection, job: AnyJob) -> None:
    async def give_up_at() -> Any:
        row = await fetch_one(conn, "SELECT give_up_at FROM jobs.jobs")
        assert row
        return row["give_up_at"]

    before = await give_up_at()
    await settle(conn, job, Wait("paid"), NOTE)
    await execute(conn, "UPDATE jobs.jobs SET waiting_since = waiting_since - interval '3 days'")
    await jobs.emit("paid")
    assert timedelta(days=3) <= await give_up_at() - before < timedelta(days=3, minutes=1)


async def test_a_wait_whose_answer_is_lost_is_a_wait(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is written again, and refused: the job is no longer this run's, to wait or to fail."""
    settles = list[str]()

    async def lose_the_first(conn: Connection, job: AnyJob, outcome: Outcome, job_type: JobType[Any]) -> Settled:
        try:
            settled = await settle(conn, job, outcome, job_type)
        except LeaseLost:
            settles.append("refused")
            raise
        settles.append(settled.state)
        if len(settles) == 1:
            raise OperationalError("server closed the connection unexpectedly")
        return settled

    async def handle(job: AnyJob) -> Complete:
        return Complete(await job.wait_for("paid"))

    async def settled_twice() -> bool:
        return len(settles) == 2

    monkeypatch.setattr(workers.executor, "settle", lose_the_first)
    async with working(database, {NOTE: handle}, lease_s=LONG_LEASE_S) as (jobs, _):
        job_id = (await jobs.create(NOTE, Note())).id
        await until(settled_twice)
        assert (await view_of(database, job_id)).state == "waiting"
        await jobs.emit("paid", 5)
        view = await ended(database, job_id)
    assert settles == ["waiting", "refused", "complete"]
    assert (view.result, view.retry_count, view.lost_count) == (5, 0, 0)


async def wait_for_both(job: AnyJob) -> Complete:
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(_payload(job, event)) for event in ("paid", "packed")]
    return Complete([task.result() for task in tasks])


async def _payload(job: AnyJob, event: str) -> Any:
    return await job.wait_for(event)


async def test_a_group_of_tasks_that_wait_is_a_wait(database: Database) -> None:
    async with working(database, {NOTE: wait_for_both}, lease_s=LONG_LEASE_S) as (jobs, _):
        job_id = (await jobs.create(NOTE, Note())).id
        await until(lambda: state_is(database, job_id, "waiting"))
        await jobs.emit("paid", 1)
        await jobs.emit("packed", 2)
        view = await ended(database, job_id)
    assert (view.state, view.result, view.retry_count, view.lost_count) == ("complete", [1, 2], 0, 0)


async def test_a_suspects_group_of_tasks_that_wait_is_a_wait(database: Database, conn: Connection) -> None:
    table = HandlerTable()
    table.register_handler(NOTE, wait_for_both)
    async with Jobs(database, table) as jobs:
        job_id = (await jobs.create(NOTE, {})).id
        await execute(conn, "UPDATE jobs.jobs SET alone = true")
        async with running_alone(jobs):
            await until(lambda: state_is(database, job_id, "waiting"))
    assert await fetch(conn, "SELECT alone FROM jobs.jobs") == [{"alone": False}]


async def test_a_group_in_which_a_task_fails_beside_one_that_waits_is_a_failure(database: Database) -> None:
    async def fail_when_stopped() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            raise RuntimeError("the other side was not told")

    async def handle(job: AnyJob) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(fail_when_stopped())
            group.create_task(_payload(job, "paid"))

    async with working(database, {NOTE: handle}) as (jobs, _):
        job_id = (await jobs.create(NOTE, Note())).id

        async def settled() -> bool:
            return (await view_of(database, job_id)).retry_count == 1

        await until(settled)
        assert (await view_of(database, job_id)).state == "pending"


async def test_a_sleep_is_over_when_a_test_let_its_time_pass(database: Database) -> None:
    async def sleep_an_hour(job: AnyJob) -> Complete:
        await job.sleep(timedelta(hours=1))
        return Complete("awake")

    async with handling(database, {NOTE: sleep_an_hour}) as jobs:
        assert (await run(jobs, NOTE, {})).state == "waiting"
        await pass_time(jobs, timedelta(minutes=59))
        assert await drain(jobs) == []
        await pass_time(jobs, timedelta(minutes=2))
        assert [(done.state, done.result) for done in await drain(jobs)] == [("complete", "awake")]
