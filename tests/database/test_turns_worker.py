"""Turns through workers in the tests' own process: eight of them, and one user's many jobs before another's one."""

import asyncio

from jobs_core import AnyJob, Complete, Database, HandlerTable, Jobs, NewJob
from tests.support.turns import ERRAND, LIMITED_ERRAND, Errand
from tests.support.worker import ended, until, working
from workers.testing import drain


async def test_a_wake_up_is_enough_for_a_job_that_takes_turns(database: Database) -> None:
    async def handle(_: AnyJob) -> Complete:
        return Complete()

    async with working(database, {ERRAND: handle}, poll_s=30.0, upkeep_s=60.0) as (jobs, _):
        created = await jobs.create(ERRAND, Errand(user="A"))
        assert (await ended(database, created.id)).state == "complete"


async def test_a_single_job_is_the_next_that_runs_however_many_of_another_user_wait(database: Database) -> None:
    """The only runner is busy; what it runs next is the newcomer's."""
    ran, go_on = list[str | None](), asyncio.Event()

    async def handle(job: AnyJob) -> Complete:
        ran.append(job.input.user)
        await go_on.wait()
        return Complete()

    async with working(database, {ERRAND: handle}, slots=1) as (jobs, _):
        await jobs.create_many([NewJob(ERRAND, Errand(user="A"))] * 100)

        async def runs() -> bool:
            return bool(ran)

        await until(runs)
        created = await jobs.create(ERRAND, Errand(user="B"))
        go_on.set()
        await ended(database, created.id)
    assert ran[:2] == ["A", "B"]


async def test_a_tests_drain_runs_jobs_with_limits_and_turns_too(database: Database) -> None:
    async def handle(_: AnyJob) -> Complete:
        return Complete()

    known = HandlerTable()
    for job_type in (ERRAND, LIMITED_ERRAND):
        known.register_handler(job_type, handle)
    async with Jobs(database, known) as jobs:
        for user in "AAB":
            await jobs.create(ERRAND, Errand(user=user))
        await jobs.create(LIMITED_ERRAND, Errand(user="A", limits={"api": 1}))
        runs = await drain(jobs)
    assert [run.state for run in runs] == ["complete"] * 4
