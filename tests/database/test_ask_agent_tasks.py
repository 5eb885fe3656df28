"""Handlers that ask by tasks of their own: several at once, in groups, in steps, and tasks that are left behind."""

import asyncio
from contextlib import suppress
from decimal import Decimal
from typing import Any

import pytest

from jobs_core import (
    AnyJob,
    Complete,
    ConfigurationError,
    Connection,
    Database,
    Fail,
    Outcome,
    Retry,
    Wait,
    execute,
    fetch,
)
from jobs_core.steps import Waiting
from sessions import RateLimited, TurnFailed, ask_agent
from sessions.caps import set_cap
from sessions.provider import look
from tests.database.conftest import NextRun
from tests.support.asking import AGENT, DAY, Ask, Sessions, Sorted, again, row, run
from tests.support.budgets import account
from tests.support.job_types import NOTE
from workers.outcomes import raised_group

NOTHING = (Decimal(0), Decimal(0))
"""Spent and reserved."""


async def test_two_that_ask_at_once_share_the_job_s_one_turn(job: AnyJob, database: Database, conn: Connection) -> None:
    """Each would begin one, and all would be paid for; what the first had reserved would be left to the sweep."""
    await set_cap(conn, DAY, Decimal(10), set_by="a test")
    sessions = Sessions(meanwhile=lambda: asyncio.sleep(0.01))

    async def handle(_: AnyJob, ask: Ask) -> Outcome:
        first, _second = await asyncio.gather(ask(), ask())
        return Complete({}, also=first.end)

    await run(job, database, sessions, handle)
    assert len({asked["turn_id"] for asked in sessions.asked}) == 1
    assert len(await fetch(conn, "SELECT FROM jobs.turns")) == 1
    assert await account(conn, "day") == NOTHING


async def test_a_second_question_is_refused_and_not_answered_with_the_first_one_s_value(
    job: AnyJob, database: Database
) -> None:
    sessions: Any = Sessions()

    async def handle(job: AnyJob, ask: Ask) -> Outcome:
        asked = await ask()
        with pytest.raises(ConfigurationError, match="one question"):
            await ask_agent(job, "And this?", Sorted, database=database, sessions=sessions, agent=AGENT)
        return Complete({}, also=asked.end)

    assert isinstance(await run(job, database, sessions, handle), Complete)
    assert [asked["prompt"] for asked in sessions.asked] == ["Where to?"]


async def test_an_agent_that_its_handler_has_left_behind_is_stopped_before_the_job_is_settled(
    job: AnyJob, database: Database, conn: Connection
) -> None:
    """As by gather, of which another part fails: it would work on, and cost, for a job that is put back or has ended."""
    at_work, stopped = asyncio.Event(), list[str]()

    async def works() -> None:
        at_work.set()
        try:
            await asyncio.Event().wait()
        finally:
            stopped.append((await row(conn))[0])

    async def fails() -> None:
        await at_work.wait()
        raise OSError("the other part")

    async def handle(_: AnyJob, ask: Ask) -> Outcome:
        await asyncio.gather(ask(), fails())
        raise AssertionError

    assert isinstance(await run(job, database, Sessions(meanwhile=works), handle), Retry)
    assert stopped == ["claimed"]


async def test_what_a_handler_has_left_behind_asks_nothing_any_more(job: AnyJob, database: Database) -> None:
    ended, late, sessions = asyncio.Event(), list[asyncio.Task[Any]](), Sessions()

    async def asks_late(ask: Ask) -> None:
        await ended.wait()
        await ask()

    async def handle(_: AnyJob, ask: Ask) -> Outcome:
        late.append(asyncio.create_task(asks_late(ask)))
        return Complete({})

    await run(job, database, sessions, handle)
    ended.set()
    with pytest.raises(ConfigurationError, match="await what it asks"):
        await late[0]
    assert sessions.asked == []


async def test_a_handler_may_ask_again_after_a_time_limit_of_its_own(job: AnyJob, database: Database) -> None:
    sessions = Sessions(meanwhile=lambda: asyncio.sleep(1))

    async def handle(_: AnyJob, ask: Ask) -> Outcome:
        with suppress(TimeoutError):
            async with asyncio.timeout(0):
                await ask()
        with suppress(TimeoutError):
            await asyncio.wait_for(ask(), timeout=0.05)
        sessions.meanwhile = None
        return Complete({}, also=(await ask()).end)

    assert isinstance(await run(job, database, sessions, handle), Complete)


async def test_one_that_waits_by_a_group_gives_its_money_back_and_leaves_the_probe(
    job: AnyJob, database: Database, conn: Connection, next_run: NextRun
) -> None:
    await run(job, database, Sessions(raises=RateLimited("429")))
    await execute(conn, "UPDATE jobs.provider SET until = clock_timestamp() - interval '10 s'")
    await set_cap(conn, DAY, Decimal(10), set_by="a test")

    async def handle(job: AnyJob, ask: Ask) -> Outcome:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(failing(ask))
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(paid(job))
        raise AssertionError

    async def paid(job: AnyJob) -> None:
        await job.wait_for("paid")

    async def failing(ask: Ask) -> None:
        with pytest.raises(TurnFailed):
            await ask()

    assert isinstance(await run(await again(conn, next_run), database, Sessions(raises=TurnFailed("no")), handle), Wait)
    assert await row(conn) == ("waiting", 0)
    assert await account(conn, "day") == NOTHING
    assert (await look(conn)).prober_job is None


async def test_a_turn_that_came_to_nothing_in_a_group_fails_the_job(job: AnyJob, database: Database) -> None:
    async def handle(_: AnyJob, ask: Ask) -> Outcome:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(ask())
        raise AssertionError

    outcome = await run(job, database, Sessions(raises=TurnFailed("refused")), handle)
    assert isinstance(outcome, Fail)
    assert outcome.reason == "refused"


async def test_a_step_that_asks_by_a_group_is_known_not_to_be_done_when_the_provider_limits(
    job: AnyJob, database: Database, conn: Connection, next_run: NextRun
) -> None:
    """A person would be asked what became of it, or the job failed, though nothing was done."""
    sessions = Sessions(raises=RateLimited("429"))

    async def handle(job: AnyJob, ask: Ask) -> Outcome:
        async def sort() -> dict[str, Any]:
            async with asyncio.TaskGroup() as tasks:
                asked = tasks.create_task(ask())
            return asked.result().value.model_dump()

        return Complete(await job.step("sort", sort, on_unknown="fail"))

    await run(job, database, sessions, handle)
    sessions.raises = None
    await execute(conn, "DELETE FROM jobs.provider")
    await run(await again(conn, next_run), database, sessions, handle)
    assert await row(conn) == ("complete", 0)


def test_a_group_of_which_one_waits_and_one_fails_is_a_failure() -> None:
    group = BaseExceptionGroup("both", [Waiting(Wait("paid")), ValueError("bad")])
    assert isinstance(raised_group(group, NOTE), Retry)
