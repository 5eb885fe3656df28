"""What becomes of a job that asks an agent while the provider does badly, whatever its handler makes of that."""

import asyncio
from contextlib import suppress
from decimal import Decimal
from typing import Any

import pytest

from assistant.notifications import list_notifications
from jobs_core import (
    AnyJob,
    Complete,
    Connection,
    ConnectionFailed,
    Database,
    Fail,
    Outcome,
    Retry,
    Snooze,
    execute,
    fetch,
)
from sessions import Asked, CredentialsRefused, ModelUnavailable, RateLimited, TurnEnd, TurnFailed
from sessions.caps import set_cap
from sessions.events import TurnEvent
from sessions.model_run import OWN_TROUBLE_AFTER
from sessions.provider import FAILURES, FIRST_FOR_PEOPLE_S, look
from tests.database.conftest import NextRun
from tests.support.asking import DAY, VALUE, Ask, Handle, Sessions, again, row, run
from tests.support.budgets import account, spend
from tests.support.job_types import NOTE


@pytest.mark.parametrize(
    "met",
    [
        (RateLimited("429", retry_after_s=30), "paused"),
        (ModelUnavailable("529"), "open"),
        (CredentialsRefused("401"), "stopped"),
    ],
)
async def test_no_retry_is_spent_on_the_provider_s_troubles_and_all_hear_of_them(
    job: AnyJob, database: Database, conn: Connection, next_run: NextRun, met: tuple[Exception, str]
) -> None:
    error, state = met
    outcome = await run(job, database, Sessions(raises=error))
    assert isinstance(outcome, Snooze)
    assert await row(conn) == ("pending", 0)
    assert (await look(conn)).state == state
    assert [news.category for news in await list_notifications(conn)] == (["provider"] if state == "stopped" else [])
    pauses = await fetch(conn, "SELECT job_type, because FROM jobs.pauses")
    assert [tuple(pause.values()) for pause in pauses] == ([] if state == "open" else [("note", "provider")])
    if state != "open":
        other = Sessions()
        assert isinstance(await run(await again(conn, next_run), database, other), Snooze)
        assert other.asked == [], "while it is paused nobody asks"
        assert await row(conn) == ("pending", 0)


async def test_others_failures_in_a_row_pause_those_that_ask_too(
    job: AnyJob, database: Database, conn: Connection, next_run: NextRun
) -> None:
    sessions = Sessions(raises=ModelUnavailable("529"))
    await run(job, database, sessions)
    for _ in range(FAILURES - 1):
        assert (await look(conn)).state == "open"
        await run(await again(conn, next_run), database, sessions)
    assert (await look(conn)).state == "paused"
    assert await row(conn) == ("pending", 0)


async def test_people_s_chats_come_first_then_one_run_tries_and_its_first_answer_lets_all_go_on(
    job: AnyJob, database: Database, conn: Connection, next_run: NextRun
) -> None:
    sessions = Sessions(raises=RateLimited("429"))
    await run(job, database, sessions)
    sessions.raises = None
    await execute(conn, "UPDATE jobs.provider SET until = clock_timestamp()")
    outcome = await run(await again(conn, next_run), database, sessions)
    assert isinstance(outcome, Snooze)
    assert 0 < outcome.until.total_seconds() <= FIRST_FOR_PEOPLE_S  # type: ignore[union-attr]  # a span
    assert len(sessions.asked) == 1

    async def works() -> None:
        sessions.asked[-1]["on_event"](TurnEvent("tool_call", {}))

    sessions.meanwhile = works
    states = list[str]()

    async def handle(_: AnyJob, ask: Ask) -> Outcome:
        asked = await ask()
        states.append((await look(conn)).state)
        return Retry("of its own", also=asked.end)

    await execute(conn, "UPDATE jobs.provider SET until = clock_timestamp() - interval '10 s'")
    await run(await again(conn, next_run), database, sessions, handle)
    assert states == ["open"]


async def test_a_run_that_was_to_try_and_failed_by_itself_lets_another(
    job: AnyJob, database: Database, conn: Connection, next_run: NextRun
) -> None:
    await run(job, database, Sessions(raises=RateLimited("429")))
    await execute(conn, "UPDATE jobs.provider SET until = clock_timestamp() - interval '10 s'")
    await run(await again(conn, next_run), database, Sessions(raises=TurnFailed("refused")))
    now = await look(conn)
    assert (now.state, now.prober_job) == ("paused", None)


@pytest.mark.parametrize("came_to", [TurnFailed("refused"), TurnEnd("", None, "recorded", structured=VALUE)])
async def test_a_run_that_was_to_try_lets_another_as_soon_as_its_turn_came_to_no_answer(
    job: AnyJob, database: Database, conn: Connection, next_run: NextRun, came_to: TurnFailed | TurnEnd
) -> None:
    """Not when its handler ends: that may have an hour's work left, and nobody else may ask meanwhile."""
    sessions, probers = Sessions(raises=RateLimited("429")), list[int | None]()
    await run(job, database, sessions)
    await execute(conn, "UPDATE jobs.provider SET until = clock_timestamp() - interval '10 s'")

    async def probed() -> None:
        probers.append((await look(conn)).prober_job)

    async def handle(_: AnyJob, ask: Ask) -> Outcome:
        with suppress(TurnFailed):
            await ask()
        await probed()
        return Complete({})

    sessions = Sessions(raises=came_to) if isinstance(came_to, Exception) else Sessions(came_to)
    sessions.meanwhile = probed
    await run(await again(conn, next_run), database, sessions, handle)
    assert probers == [job.id, None]
    assert (await look(conn)).state == "paused"


async def test_one_that_gets_no_answer_for_long_while_others_do_spends_retries(
    job: AnyJob, database: Database, conn: Connection, next_run: NextRun
) -> None:
    sessions = Sessions(raises=ModelUnavailable("500"))
    await run(job, database, sessions)
    aged = "UPDATE jobs.jobs SET give_up_at = give_up_at - %(span)s - interval '1 min'"
    await execute(conn, aged, {"span": OWN_TROUBLE_AFTER})

    async def others() -> None:
        await execute(conn, "UPDATE jobs.provider SET succeeded_at = clock_timestamp(), failures = 0")

    sessions.meanwhile = others
    await run(await again(conn, next_run), database, sessions)
    assert await row(conn) == ("pending", 1)


async def test_what_is_put_back_for_too_long_is_given_up(job: AnyJob, database: Database, conn: Connection) -> None:
    job.give_up_at = job.claimed_at - NOTE.timeout
    await execute(conn, "UPDATE jobs.jobs SET give_up_at = clock_timestamp() - interval '1 min'")
    await run(job, database, Sessions(raises=RateLimited("429")))
    assert (await row(conn))[0] == "failed"
    (ended,) = await fetch(conn, "SELECT error FROM jobs.history")
    assert "gave up" in ended["error"]
    assert (await look(conn)).state == "open"


async def test_one_that_would_be_given_up_tries_with_the_first_once_the_pause_is_over(
    job: AnyJob, database: Database, conn: Connection, next_run: NextRun
) -> None:
    """Chats come first by three seconds, which such a job has not: put back it has failed, though the provider is well."""
    await run(job, database, Sessions(raises=RateLimited("429")))
    await execute(conn, "UPDATE jobs.provider SET until = clock_timestamp()")
    await execute(conn, "UPDATE jobs.jobs SET give_up_at = clock_timestamp() - interval '1 min'")
    await run(await again(conn, next_run), database, Sessions())
    assert (await row(conn))[0] == "complete"


async def test_an_outage_of_the_database_spends_no_retry(job: AnyJob, database: Database, conn: Connection) -> None:
    await run(job, database, Sessions(raises=ConnectionFailed[0]("gone")))
    assert await row(conn) == ("pending", 0)


async def test_a_step_that_was_done_is_not_done_again_after_the_provider_s_pause(
    job: AnyJob, database: Database, conn: Connection, next_run: NextRun
) -> None:
    """Nor is one that asks: its value is kept as any step's output is."""
    sessions, done = Sessions(raises=RateLimited("429")), list[str]()

    async def handle(job: AnyJob, ask: Ask) -> Outcome:
        await job.step("fetch", lambda: done.append("fetched"))

        async def sort() -> dict[str, Any]:
            return (await ask()).value.model_dump()

        value = await job.step("sort", sort, on_unknown="fail")
        done.append(value["folder"])
        return Retry("of its own") if done.count("tax") == 1 else Complete({})

    await run(job, database, sessions, handle)
    assert (done, await row(conn)) == (["fetched"], ("pending", 0))
    sessions.raises = None
    await execute(conn, "DELETE FROM jobs.provider")
    await run(await again(conn, next_run), database, sessions, handle)
    assert (done, await row(conn)) == (["fetched", "tax"], ("pending", 1))
    await run(await again(conn, next_run), database, sessions, handle)
    assert (done, await row(conn)) == (["fetched", "tax", "tax"], ("complete", 1))
    assert len(sessions.asked) == 2


async def retry(_: AnyJob, ask: Ask) -> Outcome:
    """As one might."""
    try:
        return Complete({}, also=(await ask()).end)
    except Exception as error:  # noqa: BLE001 - that is the case
        return Retry(str(error))


async def try_for_long(_: AnyJob, ask: Ask) -> Outcome:
    """As nobody should."""
    for _attempt in range(3):
        try:
            return Complete({}, also=(await ask()).end)
        except BaseException:  # noqa: BLE001 - that is the case
            continue
    return Fail("it never answers")


async def gather(_: AnyJob, ask: Ask) -> Outcome:
    """Several things at once, of which one asks."""
    asked, _other = await asyncio.gather(ask(), asyncio.sleep(0), return_exceptions=True)
    if not isinstance(asked, Asked):
        raise RuntimeError("that one did not work")  # noqa: TRY004 - what handlers raise
    return Complete({}, also=asked.end)


async def group(_: AnyJob, ask: Ask) -> Outcome:
    """Likewise."""
    async with asyncio.TaskGroup() as tasks:
        asked = tasks.create_task(ask())
        tasks.create_task(asyncio.sleep(0))
    return Complete({}, also=asked.result().end)


@pytest.mark.parametrize("handle", [retry, try_for_long, gather, group])
async def test_a_handler_that_catches_too_much_changes_nothing(
    job: AnyJob, database: Database, conn: Connection, handle: Handle
) -> None:
    """No retry is spent, the model is asked once, and what that cost is booked once."""
    await set_cap(conn, DAY, Decimal(10), set_by="a test")
    sessions = Sessions(raises=RateLimited("429"))

    async def cost() -> None:
        await spend(conn, sessions.asked[-1]["turn_id"], job.token, "0.5")

    sessions.meanwhile = cost
    await run(job, database, sessions, handle)
    assert await row(conn) == ("pending", 0)
    assert len(sessions.asked) == 1
    assert await account(conn, "day") == (Decimal("0.5"), 0)


async def test_a_handler_that_does_without_the_answer_may_complete(
    job: AnyJob, database: Database, conn: Connection
) -> None:
    async def handle(_: AnyJob, ask: Ask) -> Outcome:
        with suppress(BaseException):
            await ask()
        return Complete({})

    await run(job, database, Sessions(raises=RateLimited("429")), handle)
    assert (await row(conn))[0] == "complete"
