"""Durable steps and waits, by a real worker: a handler starts at its top each time, and does nothing twice that it recorded."""

import asyncio
from datetime import timedelta
from functools import partial
from typing import Any

import pytest

from jobs_core import (
    AnyJob,
    Complete,
    Connection,
    Database,
    Fail,
    Jobs,
    LeaseLost,
    NewJob,
    Retry,
    StepUnknown,
    Wait,
    WaitTimedOut,
    execute,
    fetch,
)
from jobs_core.look import newest
from jobs_core.settle import put_back
from jobs_core.steps import Steps, Waiting
from tests.database.conftest import ClaimAll
from tests.support.job_types import NOTE, Note
from tests.support.worker import ended, until, view_of, working

NOW = timedelta(0)


async def state_is(database: Database, job_id: int, state: str) -> bool:
    return (await view_of(database, job_id)).state == state


async def test_a_step_runs_once_however_often_its_job_is_run(database: Database) -> None:
    calls = list[str]()

    async def handle(job: AnyJob) -> Any:
        first = await job.step("first", lambda: calls.append("first") or {"n": (1, 2)})
        second = await job.step("second", lambda: _later(calls, "second"))
        if len(calls) == 2:
            calls.append("retry")
            return Retry("once more", after=NOW)
        return Complete({"first": first, "second": second})

    async with working(database, {NOTE: handle}) as (jobs, _):
        view = await ended(database, (await jobs.create(NOTE, Note())).id)
    assert (view.state, view.retry_count) == ("complete", 1)
    assert view.result == {"first": {"n": [1, 2]}, "second": "second"}
    assert calls == ["first", "second", "retry"]


async def _later(calls: list[str], name: str) -> str:
    await asyncio.sleep(0)
    calls.append(name)
    return name


async def test_a_step_that_raises_is_not_recorded(database: Database) -> None:
    calls = list[int]()

    def flaky() -> int:
        calls.append(1)
        if len(calls) == 1:
            raise RuntimeError("not yet")
        return len(calls)

    async def handle(job: AnyJob) -> Any:
        try:
            return Complete(await job.step("flaky", flaky))
        except RuntimeError:
            return Retry("again", after=NOW)

    async with working(database, {NOTE: handle}) as (jobs, _):
        view = await ended(database, (await jobs.create(NOTE, Note())).id)
    assert view.result == 2


async def test_two_steps_of_one_name_in_one_run_are_refused(database: Database) -> None:
    async def handle(job: AnyJob) -> Any:
        await job.step("same", lambda: 1)
        with pytest.raises(Exception, match="'step:same': a step of this run has that name"):
            await job.step("same", lambda: 2)

    async with working(database, {NOTE: handle}) as (jobs, _):
        assert (await ended(database, (await jobs.create(NOTE, Note())).id)).state == "complete"


async def test_a_job_that_waits_holds_no_slot_and_goes_on_with_the_payload(database: Database) -> None:
    runs = list[int]()

    async def handle(job: AnyJob) -> Any:
        runs.append(job.id)
        if job.input.text:
            return Complete()
        return Complete(await job.wait_for("paid"))

    async with working(database, {NOTE: handle}, slots=1) as (jobs, _):
        waiting = (await jobs.create(NOTE, Note())).id
        await until(lambda: state_is(database, waiting, "waiting"))
        await ended(database, (await jobs.create(NOTE, Note(text="the slot is free"))).id)
        assert await jobs.emit("paid", {"amount": 5})
        assert not await jobs.emit("paid", {"amount": 6})
        view = await ended(database, waiting)
    assert (view.state, view.result, runs.count(waiting), view.retry_count) == ("complete", {"amount": 5}, 2, 0)


async def test_an_event_that_was_emitted_before_the_wait_is_found_without_ending_the_run(database: Database) -> None:
    runs = list[int]()

    async def handle(job: AnyJob) -> Any:
        runs.append(job.id)
        return Complete(await job.wait_for("early"))

    async with working(database, {NOTE: handle}) as (jobs, _):
        await jobs.emit("early", [1])
        view = await ended(database, (await jobs.create(NOTE, Note())).id)
    assert (view.result, len(runs)) == ([1], 1)


async def test_a_wait_whose_time_is_over_raises_in_each_later_run_though_the_event_came_since(
    database: Database,
) -> None:
    seen = list[str]()

    async def handle(job: AnyJob) -> Any:
        try:
            seen.append(str(await job.wait_for("never", timeout=timedelta(hours=1))))
        except WaitTimedOut:
            seen.append("timed out")
        if len(seen) == 1:
            return Retry("again", after=NOW) if await jobs.emit("never") else None
        return Complete()

    async with working(database, {NOTE: handle}) as (jobs, _):
        job_id = (await jobs.create(NOTE, Note())).id
        await until(lambda: state_is(database, job_id, "waiting"))
        async with database.connection() as conn:
            await execute(conn, "UPDATE jobs.jobs SET wait_until = now()")
            await execute(
                conn, "UPDATE jobs.steps SET output = jsonb_build_object('until', now()) WHERE state = 'waiting'"
            )
        assert (await ended(database, job_id)).state == "complete"
    assert seen == ["timed out", "timed out"]


async def test_a_sleep_ends_the_run_and_is_over_once(database: Database) -> None:
    runs = list[int]()

    async def handle(job: AnyJob) -> Any:
        runs.append(1)
        await job.sleep(timedelta(seconds=0.3))
        await job.sleep(timedelta(seconds=0.2))

    async with working(database, {NOTE: handle}) as (jobs, _):
        view = await ended(database, (await jobs.create(NOTE, Note())).id)
    assert len(runs) == 3
    assert view.ended_at
    assert view.ended_at - view.created_at >= timedelta(seconds=0.5)


async def test_a_handler_may_return_that_it_waits(database: Database) -> None:
    runs = list[int]()

    async def handle(job: AnyJob) -> Any:
        runs.append(1)
        return Wait("go") if len(runs) == 1 else Complete()

    async with working(database, {NOTE: handle}) as (jobs, _):
        job_id = (await jobs.create(NOTE, Note())).id
        await until(lambda: state_is(database, job_id, "waiting"))
        await jobs.emit("go")
        assert (await ended(database, job_id)).state == "complete"


async def test_children_are_waited_for_and_tell_how_they_ended(database: Database) -> None:
    """They are for their parent's user, and are created once though their parent runs twice."""

    async def handle(job: AnyJob) -> Any:
        if job.input.text == "bad":
            return Fail("bad child")
        if job.input.text:
            return Complete(job.input.text)
        for text in ("one", "bad", "two"):
            await job.spawn(text, NewJob(NOTE, Note(text=text)))
        return Complete([[child.state, child.result, child.error] for child in await job.wait_for_children()])

    async with working(database, {NOTE: handle}) as (jobs, _):
        view = await ended(database, (await jobs.create(NOTE, Note(), user_id="ann")).id)
        async with database.connection() as conn:
            assert len(await newest(conn, user_id="ann")) == 4
    assert view.result == [["complete", "one", None], ["failed", None, "bad child"], ["complete", "two", None]]


async def test_a_step_that_a_lost_run_had_begun_fails_or_is_asked_about_as_it_says(
    jobs: Jobs, conn: Connection, claim_all: ClaimAll
) -> None:
    charged = list[int]()
    await jobs.create(NOTE, {})
    (lost,) = await claim_all()
    lost.steps_of = partial(Steps, jobs)
    with pytest.raises(Killed):
        await lost.step("charge", kill, on_unknown="ask")
    await put_back(conn, lost, NOW, because="drained")
    for policy, raises in (("fail", StepUnknown), ("ask", Waiting)):
        job = await again(jobs, conn, claim_all)
        with pytest.raises(raises):
            await job.step("charge", lambda: charged.append(1), on_unknown=policy)
    await jobs.emit(f"step:{lost.id}:charge", {"output": "charged by hand"})
    job = await again(jobs, conn, claim_all)
    assert await job.step("charge", lambda: charged.append(1), on_unknown="ask") == "charged by hand"
    assert not charged


@pytest.mark.parametrize("kind", ["plain", "async"])
async def test_a_step_that_raised_is_known_not_to_be_done(
    jobs: Jobs, conn: Connection, claim_all: ClaimAll, kind: str
) -> None:
    async def refuse() -> None:
        raise RuntimeError("refused")

    def refuse_plainly() -> None:
        raise RuntimeError("refused")

    await jobs.create(NOTE, {})
    job = await again(jobs, conn, claim_all)
    with pytest.raises(RuntimeError):
        await job.step("charge", refuse if kind == "async" else refuse_plainly, on_unknown="fail")
    job = await again(jobs, conn, claim_all)
    assert await job.step("charge", lambda: "charged", on_unknown="fail") == "charged"


async def test_a_step_of_a_run_that_lost_its_job_is_not_recorded(
    jobs: Jobs, conn: Connection, claim_all: ClaimAll
) -> None:
    await jobs.create(NOTE, {})
    (old,) = await claim_all()
    old.steps_of = partial(Steps, jobs)
    await put_back(conn, old, NOW, because="drained")
    await claim_all()
    with pytest.raises(LeaseLost):
        await old.step("late", lambda: 1)
    assert not await fetch(conn, "SELECT FROM jobs.steps")


class Killed(BaseException):
    """Stands for the death of the run's process."""


def kill() -> None:
    raise Killed


async def again(jobs: Jobs, conn: Connection, claim_all: ClaimAll) -> AnyJob:
    """The job's next run, that before put back."""
    await execute(
        conn, "UPDATE jobs.jobs SET state = 'pending', worker_id = NULL, ready_seq = nextval('jobs.ready_seq')"
    )
    (job,) = await claim_all()
    job.steps_of = partial(Steps, jobs)
    return job
