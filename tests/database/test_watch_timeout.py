"""The clock that watches whether a run moves: steps, lines of its log and words of its progress are signs of life."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from jobs_core import AnyJob, Database, JobType, RetryPolicy
from jobs_core.look import attempts_of
from tests.support.job_types import Note
from tests.support.worker import ended, working

STILL = JobType(
    "note",
    Note,
    progress_timeout=timedelta(seconds=0.3),
    timeout=timedelta(minutes=1),
    retries=RetryPolicy(max_retries=0),
)
PATIENT = JobType("note", Note, progress_timeout=timedelta(seconds=1), retries=RetryPolicy(max_retries=0))


async def test_a_run_that_gives_no_sign_of_life_is_stopped_and_counted(database: Database) -> None:
    stopped = asyncio.Event()

    async def handle(job: AnyJob) -> None:
        job.log("begun")
        try:
            await asyncio.sleep(60)
        finally:
            stopped.set()

    async with working(database, {STILL: handle}) as (jobs, _):
        view = await ended(database, (await jobs.create("note", {})).id)
        async with database.connection() as conn:
            (attempt,) = await attempts_of(conn, view)
    assert (view.state, view.error, attempt.reason) == ("failed", "timeout: it made no progress for 0.3 s", "timeout")
    assert stopped.is_set()


@pytest.mark.parametrize("sign", ["log", "progress", "step"])
async def test_one_that_gives_signs_of_life_goes_on_for_longer_than_that(database: Database, sign: str) -> None:
    async def handle(job: AnyJob) -> Any:
        for n in range(30):
            await asyncio.sleep(0.05)
            match sign:
                case "log":
                    job.log("still here")
                case "progress":
                    job.progress(n / 30)
                case "step":
                    await job.step(str(n), lambda: None)

    async with working(database, {PATIENT: handle}) as (jobs, _):
        assert (await ended(database, (await jobs.create("note", {})).id)).state == "complete"


async def test_of_two_timeouts_the_total_one_is_told_where_both_are_over(database: Database) -> None:
    both = JobType(
        "note",
        Note,
        timeout=timedelta(seconds=0.2),
        progress_timeout=timedelta(seconds=0.2),
        retries=RetryPolicy(max_retries=0),
    )

    async def handle(_: AnyJob) -> None:
        await asyncio.sleep(60)

    async with working(database, {both: handle}) as (jobs, _):
        view = await ended(database, (await jobs.create("note", {})).id)
    assert view.error == "timeout: it ran for more than 0.2 s"


async def test_a_run_in_a_thread_is_left_alone(database: Database) -> None:
    """Nothing can stop it; its lease does, if it must."""

    def handle(_: AnyJob) -> None:
        import time

        time.sleep(1.0)

    async with working(database, {STILL: handle}) as (jobs, _):
        assert (await ended(database, (await jobs.create("note", {})).id)).state == "complete"
