"""Steps that are lost, refused, cut off or raced: what was done outside is neither forgotten nor done twice unasked."""

import asyncio
from typing import Any

import pytest

from jobs_core import AnyJob, Complete, Connection, Database, Jobs, JobsError, StepUnknown, execute, fetch
from jobs_core.steps import Waiting
from tests.database.conftest import ClaimAll
from tests.database.test_steps import Killed, again, kill
from tests.support.database import until_blocked
from tests.support.job_types import NOTE, Note
from tests.support.proxy import proxied
from tests.support.worker import ended, until, view_of, working

LONG_LEASE_S = 60.0


async def test_a_step_that_is_lost_a_second_time_is_asked_about_anew(
    jobs: Jobs, conn: Connection, job: AnyJob, claim_all: ClaimAll
) -> None:
    """The first answer was for the first loss; it does not charge a third time."""
    charged = list[int]()

    def charge_and_die() -> None:
        charged.append(1)
        raise Killed

    with pytest.raises(Killed):
        await job.step("charge", charge_and_die, on_unknown="ask")
    await jobs.emit(f"step:{job.id}:charge", {"again": True})
    job = await again(jobs, conn, claim_all)
    with pytest.raises(Killed):
        await job.step("charge", charge_and_die, on_unknown="ask")
    job = await again(jobs, conn, claim_all)
    with pytest.raises(Waiting) as waiting:
        await job.step("charge", charge_and_die, on_unknown="ask")
    assert waiting.value.outcome.event == f"step:{job.id}:charge:2"
    await jobs.emit(f"step:{job.id}:charge:2", {"output": "charged by hand"})
    job = await again(jobs, conn, claim_all)
    assert await job.step("charge", charge_and_die, on_unknown="ask") == "charged by hand"
    assert len(charged) == 2


@pytest.mark.parametrize("answer", [{"again": False, "ouput": "ch_9"}, {"again": "no"}, "again", None])
async def test_an_answer_that_says_neither_output_nor_again_does_nothing_again(
    jobs: Jobs, conn: Connection, job: AnyJob, claim_all: ClaimAll, answer: Any
) -> None:
    charged = list[int]()
    with pytest.raises(Killed):
        await job.step("charge", kill, on_unknown="ask")
    await jobs.emit(f"step:{job.id}:charge", answer)
    job = await again(jobs, conn, claim_all)
    with pytest.raises(StepUnknown, match="says neither output nor again"):
        await job.step("charge", lambda: charged.append(1), on_unknown="ask")
    assert not charged


def refuse() -> None:
    raise RuntimeError("card refused")


async def refuse_later() -> None:
    await asyncio.sleep(0)
    refuse()


@pytest.mark.parametrize("fn", [refuse, refuse_later])
async def test_a_step_that_raised_is_known_not_to_be_done(
    jobs: Jobs, conn: Connection, job: AnyJob, claim_all: ClaimAll, fn: Any
) -> None:
    with pytest.raises(RuntimeError):
        await job.step("charge", fn, on_unknown="fail")
    job = await again(jobs, conn, claim_all)
    assert await job.step("charge", lambda: "charged", on_unknown="fail") == "charged"


async def test_a_step_that_waits_is_known_not_to_be_done(
    jobs: Jobs, conn: Connection, job: AnyJob, claim_all: ClaimAll
) -> None:
    waits = job
    with pytest.raises(Waiting):
        await waits.step("charge", lambda: waits.wait_for("approved"), on_unknown="fail")
    await jobs.emit("approved", "by Ann")
    goes_on = await again(jobs, conn, claim_all)
    assert await goes_on.step("charge", lambda: goes_on.wait_for("approved"), on_unknown="fail") == "by Ann"


async def test_a_step_of_which_a_task_waits_is_known_not_to_be_done(
    jobs: Jobs, conn: Connection, job: AnyJob, claim_all: ClaimAll
) -> None:
    async def charge(job: AnyJob) -> Any:
        async def approved() -> Any:
            return await job.wait_for("approved")

        async with asyncio.TaskGroup() as tasks:
            by = tasks.create_task(approved())
        return by.result()

    with pytest.raises(BaseExceptionGroup):
        await job.step("charge", lambda: charge(job), on_unknown="fail")
    await jobs.emit("approved", "by Ann")
    goes_on = await again(jobs, conn, claim_all)
    assert await goes_on.step("charge", lambda: charge(goes_on), on_unknown="fail") == "by Ann"


async def test_what_was_done_when_a_drain_cut_its_run_off_is_recorded(database: Database, conn: Connection) -> None:
    runs = list[asyncio.Task[Any]]()

    async def handle(job: AnyJob) -> None:
        run = asyncio.current_task()
        assert run
        await job.step("charge", lambda: runs.append(run))
        await asyncio.Event().wait()

    async def cut_off() -> bool:
        return runs[0].done() or bool(runs[0].cancelling())

    async with (
        working(database, {NOTE: handle}, lease_s=LONG_LEASE_S) as (jobs, worker),
        database.transaction() as slow,  # ends first
    ):
        await execute(slow, "LOCK TABLE jobs.steps IN EXCLUSIVE MODE")
        job_id = (await jobs.create(NOTE, Note())).id
        await until_blocked(conn)
        worker.drain()
        worker.drain()  # again: hand back at once
        await until(cut_off)
    assert await fetch(conn, "SELECT state FROM jobs.steps") == [{"state": "done"}]
    view = await view_of(database, job_id)
    assert (view.state, view.retry_count, len(runs)) == ("pending", 0, 1)


async def test_a_read_of_steps_whose_answer_is_lost_is_no_failure_of_the_run(
    database: Database, database_url: str
) -> None:
    async def handle(job: AnyJob) -> Any:
        return Complete(await job.step("charge", lambda: "charged"))

    async with proxied(database_url) as proxy, Database(proxy.dsn, name="proxied") as pool:
        proxy.lose_answer_to = b"SELECT name, state, output FROM"
        async with working(pool, {NOTE: handle}, lease_s=LONG_LEASE_S) as (jobs, _):
            view = await ended(database, (await jobs.create(NOTE, Note())).id)
        assert proxy.lost == 1
    assert (view.state, view.result, view.retry_count) == ("complete", "charged", 0)


async def test_a_handler_in_a_thread_is_refused_steps(database: Database) -> None:
    """They would use the worker's pool from a loop of their own."""

    def handle(job: AnyJob) -> Complete:
        try:
            job.step("charge", lambda: None)
        except JobsError as error:
            return Complete(str(error))
        return Complete("not refused")

    async with working(database, {NOTE: handle}) as (jobs, _):
        view = await ended(database, (await jobs.create(NOTE, Note())).id)
    assert view.result == f"job {view.id}: steps and waits need the run of an async handler"
