"""Reserving and settling: all accounts or none, never past a cap, exact whatever becomes of the run."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import UUID, uuid4

import pytest

from jobs_core import AnyJob, Connection, Jobs, Snooze, Wait, execute, fetch
from jobs_core.look import find
from jobs_core.settle import settle as settle_job
from jobs_core.waits import awaited
from sessions import budgets
from sessions.budgets import BudgetShort, Scope
from sessions.caps import raise_cap, set_cap
from tests.database.conftest import ClaimAll
from tests.support.budgets import account, open_call, spend
from tests.support.job_types import NOTE

DAY, ADA, BOB = Scope("day"), Scope("user", "ada"), Scope("user", "bob")
NewRun = Callable[[], Awaitable[AnyJob]]


def usd(text: str) -> Decimal:
    return Decimal(text)


@pytest.fixture
def run(jobs: Jobs, claim_all: ClaimAll) -> NewRun:
    """A job that is claimed."""

    async def claimed() -> AnyJob:
        await jobs.create(NOTE, {})
        (job,) = await claim_all()
        return job

    return claimed


async def cap(conn: Connection, scope: Scope, amount: str | None, **how: str) -> None:
    await set_cap(conn, scope, None if amount is None else usd(amount), set_by="a test", **how)  # type: ignore[arg-type]  # a period


async def reserve(conn: Connection, job: AnyJob, *scopes: Scope, turn_id: UUID | None = None, ask: str = "1") -> UUID:
    turn_id = turn_id or uuid4()
    async with conn.transaction():
        await budgets.reserve(conn, job, turn_id, scopes, usd=usd(ask))
    return turn_id


async def settle(conn: Connection, turn_id: UUID, job: AnyJob) -> None:
    async with conn.transaction():
        await budgets.settle(conn, turn_id, job.token)


async def wait(conn: Connection, job: AnyJob, short: BudgetShort) -> list[bool]:
    told = list[budgets.News]()

    async def also(own: Connection) -> None:
        told.append(await budgets.wait_for_budget(own, job, short))

    await settle_job(conn, job, Wait(budgets.event_of(job, short), until=short.balance.ends_at, also=also), NOTE)
    return [news.to_who_asked for news in told]


async def short_of(conn: Connection, job: AnyJob, *scopes: Scope, ask: str = "1") -> BudgetShort:
    with pytest.raises(BudgetShort) as caught:
        await reserve(conn, job, *scopes, ask=ask)
    return caught.value


async def state_of(conn: Connection, job: AnyJob) -> str:
    view = await find(conn, job.id)
    assert view
    return view.state


async def test_without_caps_nothing_is_reserved_and_nothing_is_kept(conn: Connection, run: NewRun) -> None:
    async with conn.transaction():
        assert await budgets.reserve(conn, await run(), uuid4(), [DAY, ADA]) is None
    assert await fetch(conn, "SELECT FROM jobs.budget_accounts") == []


async def test_what_a_run_spends_is_booked_in_each_account_and_the_rest_given_back(
    conn: Connection, run: NewRun
) -> None:
    await cap(conn, DAY, "10")
    await cap(conn, Scope("user"), "5")
    job = await run()
    turn_id = await reserve(conn, job, DAY, ADA)
    assert await account(conn, "day") == await account(conn, "user", "ada") == (0, 1)
    await spend(conn, turn_id, job.token, "0.25")
    await settle(conn, turn_id, job)
    await settle(conn, turn_id, job)
    assert await account(conn, "day") == await account(conn, "user", "ada") == (usd("0.25"), 0)


async def test_all_accounts_are_reserved_or_none(conn: Connection, run: NewRun) -> None:
    await cap(conn, DAY, "10")
    await cap(conn, ADA, "0")
    short = await short_of(conn, await run(), DAY, ADA)
    assert str(short) == "the budget of user:ada this day is used up: $0.00 of $0.00 are spent"
    assert await fetch(conn, "SELECT FROM jobs.budget_holds") == []


async def test_less_than_asked_is_taken_where_that_is_left_but_no_crumbs(conn: Connection, run: NewRun) -> None:
    await cap(conn, DAY, "1.25")
    async with conn.transaction():
        assert await budgets.reserve(conn, await run(), uuid4(), [DAY], usd=usd("1")) == 1
    async with conn.transaction():
        assert await budgets.reserve(conn, await run(), uuid4(), [DAY], usd=usd("1")) == usd("0.25")
    await short_of(conn, await run(), DAY)
    await cap(conn, DAY, "1.34")  # 0.09 more
    await short_of(conn, await run(), DAY)
    await cap(conn, DAY, "1.35")
    async with conn.transaction():
        assert await budgets.reserve(conn, await run(), uuid4(), [DAY], usd=usd("1")) == usd("0.10")


async def test_a_cap_smaller_than_a_crumb_may_be_spent(conn: Connection, run: NewRun) -> None:
    await cap(conn, DAY, "0.01")
    async with conn.transaction():
        assert await budgets.reserve(conn, await run(), uuid4(), [DAY]) == usd("0.01")


async def test_a_key_s_own_cap_stands_in_place_of_its_scope_s_default(conn: Connection, run: NewRun) -> None:
    await cap(conn, Scope("user"), "1")
    await cap(conn, ADA, "3")
    await cap(conn, Scope("user", "eve"), None)
    for scope, expected in ((ADA, usd("3")), (BOB, usd("1")), (Scope("user", "eve"), None)):
        async with conn.transaction():
            assert await budgets.reserve(conn, await run(), uuid4(), [scope]) == expected


async def test_the_caps_of_a_day_and_of_a_month_both_count(conn: Connection, run: NewRun) -> None:
    await cap(conn, ADA, "2")
    await cap(conn, ADA, "3", period="month")
    first = await run()
    turn_id = await reserve(conn, first, ADA, ask="2")
    await spend(conn, turn_id, first.token, "2")
    await settle(conn, turn_id, first)
    await execute(conn, "UPDATE jobs.budget_accounts SET starts_on = starts_on - 1 WHERE period = 'day'")
    async with conn.transaction():
        assert await budgets.reserve(conn, await run(), uuid4(), [ADA], usd=usd("2")) == 1, "a new day, the same month"


async def test_a_new_day_has_a_new_account_and_a_run_stays_on_that_of_its_start(conn: Connection, run: NewRun) -> None:
    await cap(conn, DAY, "1")
    job = await run()
    turn_id = await reserve(conn, job, DAY)
    await execute(conn, "UPDATE jobs.budget_accounts SET starts_on = starts_on - 1")
    await spend(conn, turn_id, job.token, "0.5")
    await reserve(conn, await run(), DAY)
    await settle(conn, turn_id, job)
    rows = await fetch(conn, "SELECT spent_usd, reserved_usd FROM jobs.budget_accounts ORDER BY starts_on")
    assert [tuple(row.values()) for row in rows] == [(usd("0.5"), 0), (0, 1)]


async def test_a_lowered_cap_takes_nothing_from_what_runs(conn: Connection, run: NewRun) -> None:
    await cap(conn, DAY, "2")
    job = await run()
    turn_id = await reserve(conn, job, DAY)
    await cap(conn, DAY, "0.5")
    await spend(conn, turn_id, job.token, "1")
    await settle(conn, turn_id, job)
    assert await account(conn, "day") == (1, 0)
    assert "$1.00 of $0.50 are spent" in str(await short_of(conn, await run(), DAY))


async def test_the_next_run_of_a_turn_settles_what_a_dead_one_held_its_open_calls_at_the_most(
    conn: Connection, run: NewRun, claim_all: ClaimAll
) -> None:
    await cap(conn, DAY, "2")
    job = await run()
    turn_id = await reserve(conn, job, DAY)
    await open_call(conn, turn_id, job.token, "0.25")
    await settle_job(conn, job, Snooze(timedelta(0)), NOTE)  # it died, as far as budgets know
    (again,) = await claim_all()
    await reserve(conn, again, DAY, turn_id=turn_id)
    assert await account(conn, "day") == (usd("0.25"), 1)


async def test_a_sweep_settles_dead_runs_and_leaves_living_ones(
    conn: Connection, run: NewRun, claim_all: ClaimAll
) -> None:
    await cap(conn, DAY, "3")
    dead, living = await run(), await run()
    died, lives = await reserve(conn, dead, DAY), await reserve(conn, living, DAY)
    await open_call(conn, died, dead.token, "0.75")
    await open_call(conn, lives, living.token, "0.5")
    await budgets.sweep(conn)
    assert await account(conn, "day") == (0, 2)
    await settle_job(conn, dead, Snooze(timedelta(hours=1)), NOTE)
    await budgets.sweep(conn)
    await budgets.sweep(conn)
    assert await account(conn, "day") == (usd("0.75"), 1)
    calls = await fetch(conn, "SELECT cost_usd, open_calls FROM jobs.usage ORDER BY cost_usd")
    assert [(row["cost_usd"], bool(row["open_calls"])) for row in calls] == [(0, True), (usd("0.75"), False)]


async def test_who_comes_short_waits_until_the_period_ends_or_more_is_approved(conn: Connection, run: NewRun) -> None:
    await cap(conn, DAY, "0")
    job = await run()
    short = await short_of(conn, job, DAY)
    assert short.balance.ends_at
    assert timedelta(0) < short.balance.ends_at - datetime.now(UTC) <= timedelta(days=1)
    assert await wait(conn, job, short) == [True]
    assert await state_of(conn, job) == "waiting"
    await raise_cap(conn, DAY, usd("5"), set_by="a test")
    assert await state_of(conn, job) == "pending"


async def test_a_turn_s_cap_waits_for_a_person_alone(conn: Connection, run: NewRun) -> None:
    await cap(conn, DAY, "0")
    await cap(conn, Scope("turn"), "0")
    short = await short_of(conn, await run(), DAY, Scope("turn", "a"))
    assert (short.balance.scope, short.balance.ends_at) == ("turn", None)


async def test_who_waits_is_told_once_until_it_got_money(conn: Connection, run: NewRun, claim_all: ClaimAll) -> None:
    await cap(conn, DAY, "0")
    job = await run()
    assert await wait(conn, job, await short_of(conn, job, DAY)) == [True]
    await execute(conn, "UPDATE jobs.jobs SET wait_until = now()")
    for _ in range(2):
        await budgets.sweep(conn)
        await set_cap(conn, DAY, usd("0"), set_by="a test")  # all who wait try again
        (job,) = await claim_all()
        assert await wait(conn, job, await short_of(conn, job, DAY)) == [False]
    await set_cap(conn, DAY, usd("1"), set_by="a test")
    (job,) = await claim_all()
    turn_id = await reserve(conn, job, DAY)
    await spend(conn, turn_id, job.token, "1")
    await settle(conn, turn_id, job)
    assert await wait(conn, job, await short_of(conn, job, DAY)) == [True]


async def test_a_settle_lets_those_go_on_that_wait_for_what_it_gives_back_the_longest_waiting_first(
    conn: Connection, run: NewRun
) -> None:
    await cap(conn, DAY, "1")
    holder, first, second = await run(), await run(), await run()
    turn_id = await reserve(conn, holder, DAY)
    for job in (first, second):
        await wait(conn, job, await short_of(conn, job, DAY))
    await spend(conn, turn_id, holder.token, "0.5")
    await settle(conn, turn_id, holder)
    assert [await state_of(conn, job) for job in (first, second)] == ["pending", "waiting"]


async def test_money_given_back_between_coming_short_and_waiting_is_not_missed(conn: Connection, run: NewRun) -> None:
    await cap(conn, DAY, "1")
    holder, late = await run(), await run()
    turn_id = await reserve(conn, holder, DAY)
    short = await short_of(conn, late, DAY)
    await settle(conn, turn_id, holder)
    await wait(conn, late, short)
    assert await state_of(conn, late) == "pending"


async def test_one_that_was_cancelled_while_it_waited_does_not_use_up_the_word(conn: Connection, run: NewRun) -> None:
    await cap(conn, DAY, "1")
    holder, gone, next_one = await run(), await run(), await run()
    turn_id = await reserve(conn, holder, DAY)
    for job in (gone, next_one):
        await wait(conn, job, await short_of(conn, job, DAY))
    await execute(conn, "DELETE FROM jobs.jobs WHERE id = %(id)s", {"id": gone.id})
    await settle(conn, turn_id, holder)
    assert await state_of(conn, next_one) == "pending"


async def test_who_waits_for_a_cap_that_is_taken_away_goes_on(conn: Connection, run: NewRun) -> None:
    await cap(conn, DAY, "0")
    job = await run()
    await wait(conn, job, await short_of(conn, job, DAY))
    await execute(conn, "DELETE FROM jobs.budget_caps")
    await budgets.sweep(conn)
    assert await state_of(conn, job) == "pending"


async def test_a_name_as_long_as_names_may_be_makes_an_event(conn: Connection, run: NewRun) -> None:
    scope = Scope("user", "ä" * 200)
    await cap(conn, scope, "0")
    job = await run()
    short = await short_of(conn, job, scope)
    await wait(conn, job, short)
    assert await awaited(conn, [budgets.event_of(job, short)]) == {budgets.event_of(job, short)}


async def test_old_accounts_are_forgotten_and_none_that_is_used(conn: Connection, run: NewRun) -> None:
    await cap(conn, DAY, "3")
    await cap(conn, Scope("turn"), "1")
    await cap(conn, Scope("chat"), "1", period="once")
    job, held = await run(), await run()
    turn_id = await reserve(conn, job, DAY, Scope("turn", "old"), Scope("chat", "old"))
    await settle(conn, turn_id, job)
    await reserve(conn, held, Scope("turn", "held"))
    assert await budgets.forget_accounts(conn) == 0
    await execute(conn, "UPDATE jobs.budget_accounts SET touched_at = now() - interval '91 days'")
    assert await budgets.forget_accounts(conn) == 1
    rows = await fetch(conn, "SELECT scope || ' ' || key AS name FROM jobs.budget_accounts ORDER BY 1")
    assert [row["name"] for row in rows] == ["chat old", "day *", "turn held"]
