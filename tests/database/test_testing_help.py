"""The help for tests of people's own handlers: one run, and what a test is told when it goes wrong."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import pytest
from pydantic import BaseModel

import workers.handling
from jobs_core import (
    AnyJob,
    Complete,
    Connection,
    Database,
    Fail,
    HandlerTable,
    InvalidInput,
    Jobs,
    JobType,
    Retry,
    Snooze,
    UnknownJobType,
    execute,
)
from jobs_core.look import JobView, find
from tests.support.job_types import BRIEF_NOTE, LANE_NOTE, NOTE, Note
from tests.support.mutants import mutated
from workers.testing import all_created, hold, run, run_job

Handler = Callable[[AnyJob], Any]


@asynccontextmanager
async def handling(database: Database, handlers: dict[JobType[Any], Handler]) -> AsyncIterator[Jobs]:
    """A creator of jobs whose table has these handlers."""
    table = HandlerTable()
    for job_type, handler in handlers.items():
        table.register_handler(job_type, handler)
    async with Jobs(database, table) as jobs:
        yield jobs


async def echo(job: AnyJob) -> Complete:
    return Complete({"text": job.input.text})


async def view_of(jobs: Jobs, job_id: int) -> JobView:
    async with jobs.database.connection() as conn:
        view = await find(conn, job_id)
    assert view is not None
    return view


async def test_run_creates_runs_and_settles_as_a_worker_does(database: Database) -> None:
    async with handling(database, {NOTE: echo}) as jobs:
        done = await run(jobs, NOTE, Note(text="Ada"), user_id="u1")
        assert (done.state, done.result, done.raised) == ("complete", {"text": "Ada"}, None)
        view = await view_of(jobs, done.job_id)
        assert view == done.job
        assert (view.state, view.user_id, view.started_at is not None) == ("complete", "u1", True)


async def test_a_plain_function_runs_in_a_thread(database: Database) -> None:
    def where(_: AnyJob) -> Complete:
        return Complete({"thread": threading.current_thread().name})

    async with handling(database, {NOTE: where}) as jobs:
        assert (await run(jobs, NOTE, {})).result["thread"].startswith("handler")


async def test_other_ready_jobs_stay_where_they_are_and_keep_no_trace(database: Database) -> None:
    async with handling(database, {NOTE: echo}) as jobs:
        other = await jobs.create(NOTE, Note(text="first in the queue"))
        before = await view_of(jobs, other.id)
        assert (await run(jobs, NOTE, Note(text="mine"))).result == {"text": "mine"}
        assert await view_of(jobs, other.id) == before
        assert before.token is None


async def test_without_the_locks_on_others_the_first_of_the_queue_would_run(database: Database) -> None:
    with mutated(("worker_id IS NULL FOR UPDATE", "worker_id = -1 FOR UPDATE")):
        async with handling(database, {NOTE: echo}) as jobs:
            await jobs.create(NOTE, Note(text="first in the queue"))
            assert (await run(jobs, NOTE, Note(text="mine"))).result == {"text": "first in the queue"}


async def test_what_a_handler_raises_is_raised_in_the_test_once_it_was_settled(database: Database) -> None:
    async def break_down(_: AnyJob) -> None:
        raise RuntimeError("flaky")

    async with handling(database, {NOTE: break_down}) as jobs:
        with pytest.raises(RuntimeError, match="flaky") as raised:
            await run(jobs, NOTE, {})
        (view,) = await all_created(jobs, NOTE)
        assert (view.state, view.retry_count, view.error) == ("pending", 1, "RuntimeError: flaky")
        assert raised.value.__notes__ == [f"It was raised in a run of job {view.id} (note), which is pending now."]


async def test_a_raise_can_be_looked_at_instead(database: Database) -> None:
    async def break_down(_: AnyJob) -> None:
        raise LookupError("gone")

    async with handling(database, {NOTE: break_down}) as jobs:
        failed = await run(jobs, NOTE, {}, reraise=False)
        assert (failed.state, str(failed.raised)) == ("pending", "gone")
        assert failed.outcome == Retry("LookupError: gone")
        with pytest.raises(AssertionError, match=r"did not complete, it is pending: Retry.*LookupError: gone"):
            assert failed.result


class Number(BaseModel):
    """A result."""

    n: int


async def test_a_result_that_does_not_fit_and_an_also_that_raises_are_raised_as_well(database: Database) -> None:
    numbered = JobType("numbered", Note, Result=Number)

    async def also(_: Connection) -> None:
        raise RuntimeError("in also")

    async def handle(job: AnyJob) -> Complete:
        return Complete({"n": "many"}) if job.input.text else Complete({"n": 1}, also=also)

    async with handling(database, {numbered: handle}) as jobs:
        with pytest.raises(InvalidInput, match=r"result\.n"):
            await run(jobs, numbered, Note(text="does not fit"))
        with pytest.raises(RuntimeError, match="in also"):
            await run(jobs, numbered, Note())
        assert [view.state for view in await all_created(jobs, numbered)] == ["pending", "pending"]


async def test_what_comes_back_is_no_raise(database: Database) -> None:
    outcomes = {"retry": Retry("later"), "snooze": Snooze(timedelta(hours=1)), "fail": Fail("never")}

    async def choose(job: AnyJob) -> Any:
        return outcomes.get(job.input.text, "not an outcome")

    async with handling(database, {NOTE: choose}) as jobs:
        states = {text: (await run(jobs, NOTE, Note(text=text))).state for text in outcomes}
        assert states == {"retry": "pending", "snooze": "pending", "fail": "failed"}
        with pytest.raises(AssertionError, match="returned str, not an outcome"):
            assert (await run(jobs, NOTE, Note(text="odd"))).result


async def test_a_result_that_leaves_no_history_is_told_all_the_same(database: Database) -> None:
    fleeting = JobType("fleeting", Note, retention="none")
    async with handling(database, {fleeting: echo}) as jobs:
        done = await run(jobs, fleeting, Note(text="here"))
        assert (done.state, done.job, done.result) == ("complete", None, {"text": "here"})
        with pytest.raises(AssertionError, match="its type keeps no history"):
            await run_job(jobs, done.job_id)


async def blocked(jobs: Jobs) -> int:
    await jobs.create(LANE_NOTE, Note(lane="lane:1"))
    return (await jobs.create(LANE_NOTE, Note(lane="lane:1"))).id


async def not_due(jobs: Jobs) -> int:
    return (await jobs.create(NOTE, Note(), scheduled_for=timedelta(hours=1))).id


async def held(jobs: Jobs) -> int:
    return (await hold(jobs, NOTE, Note())).id


async def over(jobs: Jobs) -> int:
    return (await run(jobs, NOTE, Note())).job_id


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (blocked, "others of lane lane:1 come first"),
        (not_due, r"it is due at \d{4}-.* UTC: pass_time"),
        (held, "worker 1 holds it"),
        (over, "it has ended"),
    ],
)
async def test_a_job_that_cannot_run_now_says_why(database: Database, make: Callable[[Jobs], Any], why: str) -> None:
    async with handling(database, {NOTE: echo, LANE_NOTE: echo}) as jobs:
        job_id = await make(jobs)
        with pytest.raises(AssertionError, match=rf"job {job_id} \(.*\) cannot run now: {why}"):
            await run_job(jobs, job_id)


async def test_a_job_that_somebody_has_locked_says_so(database: Database) -> None:
    async with handling(database, {NOTE: echo}) as jobs:
        created = await jobs.create(NOTE, Note())
        async with database.transaction() as conn:
            await execute(conn, "SELECT FROM jobs.jobs FOR UPDATE")
            with pytest.raises(AssertionError, match="does an open transaction lock it"):
                await run_job(jobs, created.id)


async def test_a_create_that_meets_a_job_and_a_type_without_a_handler_are_refused(database: Database) -> None:
    async with handling(database, {NOTE: echo}) as jobs:
        first = await jobs.create(NOTE, Note(), unique_key="one")
        with pytest.raises(AssertionError, match=f"met job {first.id}"):
            await run(jobs, NOTE, Note(), unique_key="one")
        jobs.table.declare(BRIEF_NOTE)
        with pytest.raises(UnknownJobType, match="no handler is registered for 'brief_note'"):
            await run(jobs, BRIEF_NOTE, Note())


async def test_a_run_whose_job_was_settled_by_somebody_else_is_told(database: Database) -> None:
    async def lose(job: AnyJob) -> Complete:
        async with database.connection() as conn:
            await execute(conn, "UPDATE jobs.jobs SET token = token + 1 WHERE id = %(id)s", {"id": job.id})
        return Complete()

    async with handling(database, {NOTE: lose}) as jobs:
        with pytest.raises(AssertionError, match="wrote nothing, as it no longer held the job"):
            await run(jobs, NOTE, {})


async def test_who_cancels_the_test_is_not_taken_for_the_handler(database: Database) -> None:
    """An executor takes a cancel that reaches its own task for the handler's: a test's time limit would be swallowed."""
    begun = asyncio.Event()

    async def never_end(_: AnyJob) -> None:
        begun.set()
        await asyncio.Event().wait()

    async with handling(database, {NOTE: never_end}) as jobs:
        testing = asyncio.create_task(run(jobs, NOTE, {}))
        await begun.wait()
        testing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await testing
        (view,) = await all_created(jobs, NOTE)
        assert (view.state, view.retry_count) == ("running", 0)


async def test_a_handler_that_does_not_end_fails_the_test_where_it_would_end_a_worker(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workers.handling, "_STOP_S", 0.1)
    stubborn = JobType("stubborn", Note, timeout=timedelta(milliseconds=1))
    enough = asyncio.Event()

    async def stay(_: AnyJob) -> None:
        while not enough.is_set():
            try:
                await enough.wait()
            except asyncio.CancelledError:
                continue

    async with handling(database, {stubborn: stay}) as jobs:
        with pytest.raises(AssertionError, match="does not end though it was cancelled"):
            await run(jobs, stubborn, {})
        enough.set()
