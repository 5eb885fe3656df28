"""Eight workers, several accounts a run, deaths between: nothing is reserved past a cap, and all that was spent is booked."""

import asyncio
import random
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import pytest

from jobs_core import AnyJob, Complete, Connection, Database, Jobs, Snooze, Wait, db, execute, fetch, fetch_one
from jobs_core.claim import claim
from jobs_core.leases import register
from jobs_core.settle import settle as settle_job
from sessions import budgets
from sessions.budgets import BudgetShort, Scope
from sessions.caps import raise_cap, set_cap
from tests.support.budgets import open_call, spend, watch, wrong
from tests.support.database import until_blocked
from tests.support.job_types import NOTE, table
from tests.support.mutants import mutated

WORKERS, JOBS = 8, 60
RESPONSE_USD = Decimal("0.20")
"""The most that one response costs here."""
CAPS = {Scope("day"): Decimal(4), Scope("user"): Decimal(2), Scope("project", "x"): Decimal(1)}
NOT_LOCKED = ("ORDER BY id FOR UPDATE", "ORDER BY id")


@pytest.fixture
async def pool(database_url: str) -> AsyncIterator[Database]:
    """Connections enough for each worker and its looks."""
    async with Database(database_url, name="tests", max_connections=WORKERS + 2) as database:
        yield database


class Race:
    """Workers whose runs reserve, spend, settle, and die; `run` returns what did not hold at some moment."""

    def __init__(self, pool: Database, seed: int) -> None:
        self._pool = pool
        self._chance = random.Random(seed)
        self._turns: dict[int, UUID] = {}
        self._wrong: Mapping[str, Sequence[db.Row]] = {}
        self._over = False
        self.deaths = self.shorts = 0

    async def run(self) -> Mapping[str, Sequence[db.Row]]:
        async with Jobs(self._pool, table()) as jobs, self._pool.connection() as conn:
            await watch(conn)
            for scope, cap in CAPS.items():
                await set_cap(conn, scope, cap, set_by="a test")
            for _ in range(JOBS):
                await jobs.create(NOTE, {})
        async with asyncio.timeout(150), asyncio.TaskGroup() as group:
            for _ in range(WORKERS):
                group.create_task(self._work())
        return self._wrong

    async def _work(self) -> None:
        async with self._pool.connection() as conn:
            worker = await register(conn, queues=["default"], job_types=[], slots=1, lease_s=600)
        while not self._over:
            async with self._pool.connection() as conn:
                jobs = await claim(conn, worker_id=worker, queues=["default"], job_types=[NOTE.name], slots=1)
                if found := await wrong(conn):
                    self._wrong, self._over = found, True
            if not jobs:
                return
            try:
                await db.retried(lambda job=jobs[0]: self._one(job))  # type: ignore[misc]  # bound now
            except BudgetShort:
                self.shorts += 1
                async with self._pool.connection() as conn:
                    await settle_job(conn, jobs[0], Complete(), NOTE)

    async def _one(self, job: AnyJob) -> None:
        turn_id = self._turns.setdefault(job.id, uuid4())
        user = Scope("user", self._chance.choice("ab"))
        scopes = [Scope("day"), user, *([Scope("project", "x")] if self._chance.random() < 0.5 else [])]
        async with self._pool.transaction() as conn:
            usd = await budgets.reserve(conn, job, turn_id, scopes, usd=Decimal("0.5"))
        assert usd is not None
        spent = Decimal(0)
        while spent < usd and self._chance.random() < 0.8:  # as the proxy: a call begins whenever something is left
            await asyncio.sleep(0)
            cost = RESPONSE_USD * self._chance.randint(1, 10) / 10
            async with self._pool.connection() as conn:
                await spend(conn, turn_id, job.token, cost)
            spent += cost
        async with self._pool.connection() as conn:
            if (
                not self.deaths or self._chance.random() < 0.2
            ):  # it dies, perhaps in a call, and is put back without a word
                self.deaths += 1
                if spent < usd and self._chance.random() < 0.5:
                    await open_call(conn, uuid4(), job.token, "0")
                await settle_job(conn, job, Snooze(timedelta(0)), NOTE)
                if self._chance.random() < 0.3:
                    await budgets.sweep(conn)
                return

            async def also(own: Connection) -> None:
                await budgets.settle(own, turn_id, job.token)

            again = self._chance.random() < 0.2
            await settle_job(conn, job, Snooze(timedelta(0), also=also) if again else Complete(also=also), NOTE)


async def totals(conn: Connection) -> tuple[Decimal, Decimal]:
    """What the ledger holds, and what is booked for the day."""
    row = await fetch_one(
        conn,
        """SELECT (SELECT coalesce(sum(cost_usd), 0) FROM jobs.usage_counted) AS ledger,
                  (SELECT sum(spent_usd) FROM jobs.budget_accounts WHERE scope = 'day') AS booked""",
    )
    assert row
    return row["ledger"], row["booked"]


async def test_eight_workers_reserve_nothing_past_a_cap_and_book_all_they_spend(pool: Database) -> None:
    race = Race(pool, seed=random.randrange(2**32))
    assert await race.run() == {}
    assert race.deaths
    assert race.shorts
    async with pool.connection() as conn:
        await budgets.sweep(conn)
        assert await wrong(conn) == {}
        assert await fetch(conn, "SELECT FROM jobs.budget_holds") == []
        ledger, booked = await totals(conn)
        assert ledger == booked <= CAPS[Scope("day")] + WORKERS * RESPONSE_USD


async def test_with_accounts_that_are_read_and_not_locked_caps_would_be_passed(pool: Database) -> None:
    with mutated(NOT_LOCKED):
        assert "passed" in await Race(pool, seed=1).run()


async def two_at_the_last_dollar(jobs: Jobs, pool: Database) -> list[Any]:
    """What two runs get that ask for the last dollar at once; the first one's transaction is open while the second asks."""
    async with pool.connection() as conn, pool.connection() as other, pool.connection() as looking:
        await set_cap(conn, Scope("day"), Decimal(1), set_by="a test")
        worker = await register(conn, queues=["default"], job_types=[], slots=2, lease_s=600)
        for _ in range(2):
            await jobs.create(NOTE, {})
        one, two = await claim(conn, worker_id=worker, queues=["default"], job_types=[NOTE.name], slots=2)

        async def second() -> Decimal | None:
            async with other.transaction():
                return await budgets.reserve(other, two, uuid4(), [Scope("day")], usd=Decimal(1))

        async with conn.transaction():
            await execute(
                conn,
                "INSERT INTO jobs.budget_accounts (scope, key, period, starts_on) "
                "VALUES ('day', '*', 'day', jobs.budget_start('day')) ON CONFLICT DO NOTHING",
            )
        async with conn.transaction():
            got = [await budgets.reserve(conn, one, uuid4(), [Scope("day")], usd=Decimal(1))]
            asking = asyncio.create_task(second())
            await until_blocked(looking)
        return [*got, *await asyncio.gather(asking, return_exceptions=True)]


async def test_of_two_that_race_for_the_last_dollar_one_gets_it(jobs: Jobs, pool: Database) -> None:
    one, two = await two_at_the_last_dollar(jobs, pool)
    assert one == 1
    assert isinstance(two, BudgetShort)


async def test_without_the_lock_both_would_get_it(jobs: Jobs, pool: Database) -> None:
    with mutated(NOT_LOCKED):
        assert await two_at_the_last_dollar(jobs, pool) == [1, 1]


async def test_a_raise_while_a_run_comes_short_is_not_missed(jobs: Jobs, pool: Database) -> None:
    """The wait is noted after the raise looked for those who wait."""
    async with pool.connection() as conn, pool.connection() as other:
        await set_cap(conn, Scope("day"), Decimal(0), set_by="a test")
        worker = await register(conn, queues=["default"], job_types=[], slots=2, lease_s=600)
        await jobs.create(NOTE, {})
        (job,) = await claim(conn, worker_id=worker, queues=["default"], job_types=[NOTE.name], slots=1)
        with pytest.raises(BudgetShort) as caught:
            async with conn.transaction():
                await budgets.reserve(conn, job, uuid4(), [Scope("day")])
        async with other.transaction():
            await raise_cap(other, Scope("day"), Decimal(1), set_by="a test")

        async def also(own: Connection) -> None:
            await budgets.wait_for_budget(own, job, caught.value)

        await settle_job(conn, job, Wait(budgets.event_of(job, caught.value), also=also), NOTE)
        assert [row["state"] for row in await fetch(conn, "SELECT state FROM jobs.jobs")] == ["pending"]


@pytest.mark.parametrize("before", [Scope("user", "ada"), Scope("user")])
async def test_of_two_raises_for_good_at_once_both_count(pool: Database, before: Scope) -> None:
    ada = Scope("user", "ada")

    async def raised(conn: Connection) -> None:
        async with conn.transaction():
            await raise_cap(conn, ada, Decimal(2), for_good=True, set_by="a test")

    async with pool.connection() as conn, pool.connection() as other, pool.connection() as looking:
        await set_cap(conn, before, Decimal(10), set_by="a test")
        async with conn.transaction():
            await raised(conn)
            second = asyncio.create_task(raised(other))
            await until_blocked(looking)
        await second
        (cap,) = await fetch(conn, "SELECT cap_usd FROM jobs.budget_caps WHERE key = 'ada'")
    assert cap["cap_usd"] == 14
