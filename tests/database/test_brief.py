"""Brief jobs: claimed ahead into a bounded buffer, run by runners that live long, settled together."""

import asyncio
from contextvars import ContextVar
from datetime import timedelta

import pytest
from pydantic import BaseModel

from jobs_core import (
    AnyJob,
    Complete,
    Connection,
    Database,
    Fail,
    JobType,
    NewJob,
    RetryPolicy,
    Snooze,
    execute,
    fetch,
    fetch_one,
)
from jobs_core.job import current
from tests.support.job_types import Note
from tests.support.worker import ended, until, working

BRIEF = JobType("brief", Note, brief=True, retries=RetryPolicy(max_retries=0))
UNKEPT = JobType("unkept", Note, brief=True, retention="none", retries=RetryPolicy(max_retries=0))
ORDINARY = JobType("ordinary", Note)

kept_by_handlers = ContextVar[str]("kept_by_handlers", default="clean")


def notes(job_type: JobType[Note], n: int) -> list[NewJob]:
    return [NewJob(job_type, Note(text=str(number))) for number in range(n)]


async def number_of(database: Database, sql: str) -> int:
    async with database.connection() as conn:
        row = await fetch_one(conn, f"SELECT count(*) AS n FROM {sql}")
    assert row is not None
    return int(row["n"])


async def test_thousands_are_run_once_each_and_kept(database: Database) -> None:
    seen = list[str]()

    async def handle(job: AnyJob) -> Complete:
        seen.append(job.input.text)
        return Complete({"text": job.input.text})

    async with working(database, {BRIEF: handle}) as (jobs, _):
        await jobs.create_many(notes(BRIEF, 3_000))
        await until(lambda: _none_left(database))
    assert sorted(map(int, seen)) == list(range(3_000))
    same = "jobs.history WHERE state = 'complete' AND result->>'text' = input->>'text'"
    assert await number_of(database, same) == 3_000


async def _none_left(database: Database) -> bool:
    return await number_of(database, "jobs.jobs") == 0


async def test_what_history_does_not_keep_is_counted_and_its_failures_are_kept_for_a_while(database: Database) -> None:
    async def handle(job: AnyJob) -> Complete | Fail:
        return Fail("no luck") if job.input.text == "7" else Complete()

    async with working(database, {UNKEPT: handle}) as (jobs, _):
        await jobs.create_many(notes(UNKEPT, 500))
        await until(lambda: _none_left(database))
    async with database.connection() as conn:
        counted = await fetch(conn, "SELECT job_type, state, sum(n)::int AS n FROM jobs.ended_counts GROUP BY 1, 2")
        kept = await fetch(conn, "SELECT state, error, retention FROM jobs.history")
    assert counted == [{"job_type": "unkept", "state": "complete", "n": 499}]
    assert kept == [{"state": "failed", "error": "no luck", "retention": "short"}]


async def test_an_outcome_that_writes_more_is_settled_in_a_transaction_of_its_own(database: Database) -> None:
    async with database.connection() as conn:
        await execute(conn, "CREATE TABLE told (text text)")

    async def handle(job: AnyJob) -> Complete:
        async def also(conn: Connection) -> None:
            await execute(conn, "INSERT INTO told VALUES (%(text)s)", {"text": job.input.text})

        return Complete(also=also if job.input.text == "3" else None)

    async with working(database, {BRIEF: handle}) as (jobs, _):
        await jobs.create_many(notes(BRIEF, 10))
        await until(lambda: _none_left(database))
    assert await number_of(database, "told WHERE text = '3'") == 1


async def test_no_job_sees_what_another_left_in_its_context(database: Database) -> None:
    found = set[str]()
    mismatched = list[int]()

    async def handle(job: AnyJob) -> Complete:
        found.add(kept_by_handlers.get())
        kept_by_handlers.set(f"of job {job.id}")
        await asyncio.sleep(0)
        if current.get() is not job:
            mismatched.append(job.id)
        return Complete()

    async with working(database, {BRIEF: handle, ORDINARY: handle}) as (jobs, _):
        await jobs.create_many([*notes(BRIEF, 200), *notes(ORDINARY, 50)])
        await until(lambda: _none_left(database))
    assert found == {"clean"}
    assert mismatched == []


async def test_the_buffer_holds_no_more_than_can_start_within_a_part_of_the_lease(database: Database) -> None:
    most = 0

    async def handle(_: AnyJob) -> Complete:
        nonlocal most
        most = max(most, await number_of(database, "jobs.jobs WHERE worker_id IS NOT NULL"))
        await asyncio.sleep(0.05)
        return Complete()

    # Two at a time, 50 ms each, a tenth of two seconds: 8 may stand in the buffer; before it knows, 2 runs' worth.
    async with working(database, {BRIEF: handle}, slots=2) as (jobs, _):
        await jobs.create_many(notes(BRIEF, 60))
        await until(lambda: _none_left(database))
    assert most <= 20


async def test_a_drain_gives_back_what_has_not_begun_at_once_and_uncharged(database: Database) -> None:
    started, go_on = asyncio.Event(), asyncio.Event()

    async def handle(job: AnyJob) -> Complete:
        if job.input.text.startswith("slow"):
            started.set()
            await go_on.wait()
        return Complete()

    async with working(database, {BRIEF: handle}, slots=1, lease_s=60.0, drain_s=600) as (jobs, worker):
        await jobs.create_many(notes(BRIEF, 300))  # it learns that they are short
        await until(lambda: _none_left(database))
        await jobs.create_many([NewJob(BRIEF, Note(text="slow")), *notes(BRIEF, 50)])
        await started.wait()
        await until(lambda: _held(database, 51))
        worker.drain()
        await until(lambda: _held(database, 1))
        assert (
            await number_of(database, "jobs.jobs WHERE state = 'pending' AND lost_count = 0 AND retry_count = 0") == 50
        )
        go_on.set()
    assert await number_of(database, "jobs.jobs WHERE worker_id IS NOT NULL") == 0


async def _held(database: Database, n: int) -> bool:
    return await number_of(database, "jobs.jobs WHERE worker_id IS NOT NULL") == n


async def test_a_brief_run_past_its_timeout_is_stopped_and_its_runner_goes_on(database: Database) -> None:
    stuck = JobType("stuck", Note, brief=True, timeout=timedelta(seconds=0.1), retries=RetryPolicy(max_retries=0))

    async def hang(_: AnyJob) -> None:
        await asyncio.sleep(60)

    async def handle(_: AnyJob) -> Complete:
        await asyncio.sleep(0)
        return Complete()

    async with working(database, {stuck: hang, BRIEF: handle}, slots=1) as (jobs, _):
        late = await jobs.create(stuck, Note())
        after = await jobs.create(BRIEF, Note())
        assert (await ended(database, late.id)).error == "timeout: it ran for more than 0.1 s"
        assert (await ended(database, after.id)).state == "complete"


async def test_a_result_that_does_not_fit_fails_its_own_job_only(database: Database) -> None:
    class Total(BaseModel):
        total: int

    typed = JobType("typed", Note, Total, brief=True, retries=RetryPolicy(max_retries=0))

    async def handle(job: AnyJob) -> Complete:
        return Complete({"total": "many" if job.input.text == "5" else 1})

    async with working(database, {typed: handle}) as (jobs, _):
        created = await jobs.create_many(notes(typed, 10))
        views = [await ended(database, job_id) for job_id in created.ids]
    assert [view.state for view in views] == ["complete"] * 5 + ["failed"] + ["complete"] * 4
    assert views[5].error is not None
    assert "result.total" in views[5].error


async def test_a_lost_lease_writes_nothing_of_what_the_buffer_held(database: Database) -> None:
    handled = list[int]()
    go_on = asyncio.Event()

    async def handle(job: AnyJob) -> Complete | Snooze:
        handled.append(job.token)
        await go_on.wait()
        return Complete({"token": job.token})

    async with working(database, {BRIEF: handle}, slots=2) as (jobs, _):
        created = await jobs.create_many(notes(BRIEF, 4))
        await until(lambda: _as_soon_as(len(handled) == 2))
        async with database.connection() as conn:
            await execute(conn, "UPDATE jobs.workers SET dead_at = clock_timestamp()")
        await until(lambda: _as_soon_as(len(handled) > 2))
        go_on.set()
        views = [await ended(database, job_id) for job_id in created.ids]
    assert all(view.state == "complete" and view.result == {"token": view.token} for view in views)
    assert not {view.token for view in views} & set(handled[:2])


async def _as_soon_as(condition: bool) -> bool:  # noqa: FBT001 - what `until` awaits
    return condition


@pytest.mark.parametrize("job_type", [BRIEF, ORDINARY])
async def test_a_handler_that_cancels_itself_is_counted_and_its_runner_goes_on(
    database: Database, job_type: JobType[Note]
) -> None:
    async def handle(job: AnyJob) -> Complete:
        if job.input.text == "0" and job.retry_count == 0:
            task = asyncio.current_task()
            assert task is not None
            task.cancel()
            await asyncio.sleep(1)
        return Complete()

    async with working(database, {job_type: handle}, slots=1) as (jobs, _):
        created = await jobs.create_many(notes(job_type, 2))
        assert (await ended(database, created.ids[1])).state == "complete"
        async with database.connection() as conn:
            attempts = await fetch(conn, "SELECT job_id, reason FROM jobs.attempts")
    assert attempts == [{"job_id": created.ids[0], "reason": "error"}]


async def test_what_an_ordinary_run_left_behind_to_cancel_later_hits_no_other_job(database: Database) -> None:
    """It has a task of its own; a brief one shares its runner's, and is asked to leave nothing behind."""
    cancelled_late = asyncio.Event()

    async def handle(job: AnyJob) -> Complete:
        task = asyncio.current_task()
        assert task is not None
        if job.input.text == "0":
            asyncio.get_running_loop().call_later(0.1, lambda: (task.cancel(), cancelled_late.set()))
        else:
            await cancelled_late.wait()
            await asyncio.sleep(0.01)
        return Complete()

    async with working(database, {ORDINARY: handle}, slots=1) as (jobs, _):
        created = await jobs.create_many(notes(ORDINARY, 2))
        assert [(await ended(database, job_id)).retry_count for job_id in created.ids] == [0, 0]
