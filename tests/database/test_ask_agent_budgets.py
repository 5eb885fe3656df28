"""What a handler that asks an agent may spend: reserved, waited for, and booked once however its run ends."""

from dataclasses import replace
from decimal import Decimal

import pytest

from assistant.notifications import list_notifications
from jobs_core import AnyJob, Complete, Connection, Database, Jobs, Outcome, Wait, fetch
from jobs_core.cancel import cancel
from sessions import AgentBroke, BudgetExhausted, TurnFailed
from sessions.budgets import Scope, sweep
from sessions.caps import raise_cap, set_cap
from sessions.provider import look
from sessions.store import append_transcript
from tests.database.conftest import NextRun
from tests.support.asking import DAY, Ask, Sessions, again, row, run
from tests.support.budgets import account, spend
from tests.support.job_types import NOTE


@pytest.mark.parametrize("error", [AgentBroke("it died"), TurnFailed("refused"), None])
async def test_what_a_run_has_spent_is_booked_however_it_ends(
    job: AnyJob, database: Database, conn: Connection, error: Exception | None
) -> None:
    await set_cap(conn, DAY, Decimal(10), set_by="a test")
    sessions = Sessions(raises=error)

    async def cost() -> None:
        await spend(conn, sessions.asked[-1]["turn_id"], job.token, "0.5")
        assert await account(conn, "day") == (0, 5)

    sessions.meanwhile = cost
    await run(job, database, sessions)
    assert await account(conn, "day") == (Decimal("0.5"), 0)


async def test_past_a_budget_the_job_waits_and_goes_on_when_more_is_approved(
    job: AnyJob, database: Database, conn: Connection, next_run: NextRun
) -> None:
    sessions = Sessions()
    await set_cap(conn, DAY, Decimal(0), set_by="a test")
    assert isinstance(await run(job, database, sessions), Wait)
    assert await row(conn) == ("waiting", 0)
    assert sessions.asked == []
    (news,) = await list_notifications(conn)
    assert (news.user_id, news.category) == (None, "budget")
    async with conn.transaction():
        await raise_cap(conn, DAY, Decimal(1), set_by="a test")
    job = await next_run()

    async def cost() -> None:
        await spend(conn, sessions.asked[-1]["turn_id"], job.token, "0.5")

    sessions.meanwhile = cost
    await run(job, database, sessions)
    assert sessions.asked[0]["account"].cap_usd == 1
    assert await account(conn, "day") == (Decimal("0.5"), 0)


async def test_the_owner_is_told_anew_where_the_job_that_they_were_told_of_was_cancelled(
    jobs: Jobs, database: Database, conn: Connection, next_run: NextRun
) -> None:
    """A budget that has no period would be used up without a word from then on."""
    await set_cap(conn, Scope("project", "p"), Decimal(0), period="once", set_by="a test")

    async def told() -> int:
        await jobs.create(NOTE, {}, project_id="p")
        await run(await next_run(), database, Sessions())
        return len(await list_notifications(conn))

    assert [await told(), await told()] == [1, 1]
    for waiting in await fetch(conn, "SELECT id FROM jobs.jobs WHERE state = 'waiting'"):
        await cancel(conn, waiting["id"])
    assert await told() == 2
    await sweep(conn)
    (waits,) = await fetch(conn, "SELECT job_id FROM jobs.budget_waits")
    assert waits["job_id"] == 3


async def test_a_run_that_has_spent_what_it_had_goes_on_with_another(
    job: AnyJob, database: Database, conn: Connection
) -> None:
    await run(job, database, Sessions(raises=BudgetExhausted(Decimal(1), Decimal(1))))
    assert await row(conn) == ("pending", 0)
    assert [one["reason"] for one in await fetch(conn, "SELECT reason FROM jobs.attempts")] == ["budget"]


@pytest.mark.parametrize("usd", [1, 100])
async def test_a_handler_that_asks_again_in_its_run_has_what_it_reserved_and_is_charged_once(
    job: AnyJob, database: Database, conn: Connection, usd: int
) -> None:
    """It would wait for its own money, or meet its own row."""
    await set_cap(conn, DAY, Decimal(usd), set_by="a test")
    sessions = Sessions(raises=AgentBroke("it died"))

    async def handle(job: AnyJob, ask: Ask) -> Outcome:
        with pytest.raises(AgentBroke):
            await ask()
        sessions.raises = None
        asked = await ask()
        await spend(conn, asked.turn_id, job.token, "0.5")
        return Complete({}, also=asked.end)

    await run(job, database, sessions, handle)
    first, second = sessions.asked
    assert first["account"] == second["account"]
    assert await account(conn, "day") == (Decimal("0.5"), 0)


async def test_a_value_that_is_on_record_needs_no_money_and_says_nothing_of_the_provider(
    job: AnyJob, database: Database, conn: Connection, next_run: NextRun
) -> None:
    sessions = Sessions()
    await set_cap(conn, DAY, Decimal(1), set_by="a test")

    async def cost() -> None:
        asked = sessions.asked[-1]
        await spend(conn, asked["turn_id"], job.token, "1")
        value = {"type": "attachment", "uuid": "2", "attachment": {"type": "structured_output", "data": {}}}
        async with conn.transaction():
            entries = [{"type": "user", "uuid": str(asked["turn_id"])}, value]
            await append_transcript(conn, asked["session_id"], asked["epoch"], entries)

    sessions.meanwhile, sessions.raises = cost, AgentBroke("it died behind its answer")
    await run(job, database, sessions)
    sessions.meanwhile = sessions.raises = None
    sessions.end = replace(sessions.end, source="recorded")
    await run(await again(conn, next_run), database, sessions)
    assert (await row(conn))[0] == "complete"
    assert [asked["account"].cap_usd for asked in sessions.asked] == [1, 0]
    assert await account(conn, "day") == (1, 0)
    assert (await look(conn)).succeeded_at is None
