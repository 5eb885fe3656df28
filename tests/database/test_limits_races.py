"""Eight claimers at once, batches, several keys, weights, and deaths between: no limit is passed, and no slot is lost."""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from datetime import timedelta
from typing import Any

import pytest

import jobs_core.claim_limited
import jobs_core.upkeep
from jobs_core import AnyJob, Complete, Connection, Database, Jobs, Limit, NewJob, Snooze, db, execute, fetch, fetch_one
from jobs_core.leases import register
from jobs_core.limits import find_limit, forget_limits, set_limit
from jobs_core.settle import settle
from jobs_core.suspects import claim_alone
from tests.support.database import until_blocked
from tests.support.limits import BOUND, Bound, claim_once, create, die, in_use, rate_of, slots_of, table, wrong
from tests.support.mutants import SLOT_SEEN, SLOTS_COUNTED, mutated

CLAIMERS = 8
JOBS = 120
KEYS = {"a": 1, "b": 2, "c": 3, "d": 5}
DRAINED = Snooze(timedelta(0), because="drained")

MUTANTS = {"a free slot is seen, not locked": SLOT_SEEN, "those that are held are counted": SLOTS_COUNTED}
BUCKET_NOT_LOCKED = ("ORDER BY l.key\n    FOR UPDATE SKIP LOCKED", "ORDER BY l.key")


@pytest.fixture
async def pool(database_url: str) -> AsyncIterator[Database]:
    """Connections enough for each claimer and its looks."""
    async with Database(database_url, name="tests", max_connections=CLAIMERS + 2) as database:
        yield database


class Race:
    """Claimers that settle, put back and die at random; `run` returns what did not hold at some moment, or in the end."""

    def __init__(self, pool: Database, seed: int, *, changing: bool = False) -> None:
        self._pool = pool
        self._changing = changing
        self._chance = random.Random(seed)
        self._over = False
        self._wrong: Mapping[str, Sequence[db.Row]] = {}
        self.claimed = self.deaths = 0

    async def run(self) -> Mapping[str, Sequence[db.Row]]:
        async with Jobs(self._pool, table()) as jobs:
            await jobs.create_many([self._new_job() for _ in range(JOBS)])
        async with asyncio.timeout(150), asyncio.TaskGroup() as group:
            for _ in range(CLAIMERS):
                group.create_task(self._work())
            if self._changing:
                group.create_task(self._change())
        return self._wrong

    def _new_job(self) -> NewJob:
        keys = self._chance.sample(sorted(KEYS), self._chance.choice((1, 1, 2, 3)))
        limits = [slots_of(key, KEYS[key], self._chance.choice((1, 1, 2))) for key in keys]
        return NewJob(BOUND, Bound(limits=limits), priority=self._chance.choice((1, 2)))

    async def _work(self) -> None:
        worker_id = await self._register()
        while not self._over:
            async with self._pool.connection() as conn:
                held = await self._claim(conn, worker_id)
                await self._look(conn)
            await asyncio.sleep(self._chance.uniform(0, 0.004))
            dies = bool(held) and self._chance.random() < 0.15
            for job in held[: len(held) // 2] if dies else held:
                async with self._pool.connection() as conn:
                    await settle(conn, job, self._chance.choice((Complete(), Complete(), Complete(), DRAINED)), BOUND)
            if dies:
                await self._die(worker_id, held[-1])
                worker_id = await self._register()

    async def _claim(self, conn: Connection, worker_id: int) -> list[AnyJob]:
        if self._chance.random() < 0.2:
            suspect = await claim_alone(conn, worker_id=worker_id, queues=["default"], job_types=[BOUND.name])
            return [suspect] if suspect else []
        jobs = (await claim_once(conn, worker_id, slots=self._chance.randint(1, 5))).jobs
        self.claimed += len(jobs)
        return jobs

    async def _look(self, conn: Connection) -> None:
        if found := await wrong(conn, changing=self._changing):
            self._wrong, self._over = found, True
        if await fetch_one(conn, "SELECT FROM jobs.jobs LIMIT 1") is None:
            self._over = True

    async def _change(self) -> None:
        """Lower and raise limits all the time; in the end they are what they were."""
        while not self._over:
            await self._set(self._chance.choice(sorted(KEYS)), self._chance.randint(1, 6))
            await asyncio.sleep(self._chance.uniform(0, 0.02))
        for key, slots in KEYS.items():
            await self._set(key, slots)

    async def _set(self, key: str, slots: int) -> None:
        async with self._pool.connection() as conn:
            await set_limit(conn, Limit(key, slots=slots))

    async def _register(self) -> int:
        async with self._pool.connection() as conn:
            return await register(conn, queues=["default"], job_types=[], slots=5, lease_s=600)

    async def _die(self, worker_id: int, last: AnyJob) -> None:
        """With the second half of what it held, some of that started; anybody's rescue takes it."""
        self.deaths += 1
        await die(self._pool, worker_id, last, started=self._chance.random() < 0.5)


async def test_no_limit_is_ever_passed_and_no_slot_is_left_behind(pool: Database) -> None:
    race = Race(pool, seed=random.randrange(2**32))
    assert await race.run() == {}
    assert race.claimed >= JOBS
    assert race.deaths >= 5
    async with pool.connection() as conn:
        assert await in_use(conn) == {key: (0, slots) for key, slots in KEYS.items()}


async def test_limits_may_be_changed_all_the_while(pool: Database) -> None:
    race = Race(pool, seed=random.randrange(2**32), changing=True)
    assert await race.run() == {}
    async with pool.connection() as conn:
        assert await in_use(conn) == {key: (0, slots) for key, slots in KEYS.items()}


@pytest.mark.parametrize("mutant", MUTANTS)
async def test_by_looking_or_counting_first_limits_would_be_passed(pool: Database, mutant: str) -> None:
    """Or claims would fail, as two that did not lock what they saw wait for each other."""
    with mutated(MUTANTS[mutant]):
        try:
            assert await Race(pool, seed=1).run() != {}
        except* db.Retryable:
            pass


async def test_by_a_rescue_that_frees_nothing_slots_would_leak(pool: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    async def free_none(*_: object) -> frozenset[object]:
        return frozenset()

    monkeypatch.setattr(jobs_core.upkeep, "free_slots", free_none)
    assert "leaked" in await Race(pool, seed=1).run()


NO_LAST_LOOK = (
    "AND NOT EXISTS (SELECT FROM {schema}.limits AS l WHERE l.key = ANY((SELECT %(slot_keys)s::text[])::text[]) AND l.over)",
    "",
)


@pytest.mark.parametrize(("changes", "claimed"), [([], 0), ([NO_LAST_LOOK], 1)], ids=["as it is", "mutant"])
async def test_a_key_that_was_lowered_while_a_claim_looked_for_its_slots_gives_none(
    pool: Database, monkeypatch: pytest.MonkeyPatch, changes: list[tuple[str, str]], claimed: int
) -> None:
    """A slot that was free before it was lowered, and is free again, can be locked by a claim that saw nothing in between."""
    acquire = jobs_core.claim_limited._acquire

    async def acquire_by_an_old_look(conn: Connection, wanted: Mapping[str, int]) -> Any:
        keys = await acquire(conn, wanted)
        async with pool.connection() as other:
            await execute(other, "UPDATE jobs.limits SET over = true")
        return keys

    async with Jobs(pool, table()) as jobs, pool.connection() as conn:
        await create(jobs, slots_of("a"))
        worker_id = await register(conn, queues=["default"], job_types=[], slots=1, lease_s=600)
        await claim_once(conn, worker_id)  # makes the key
        monkeypatch.setattr(jobs_core.claim_limited, "_acquire", acquire_by_an_old_look)
        with mutated(*changes):
            assert len((await claim_once(conn, worker_id)).jobs) == claimed


RATE_PER_S, ROUND_S, ROUNDS = 50.0, 0.25, 240
BURST = 1_000
"""No bucket runs over while a slow machine takes seconds for a round, and whoever gets at it may take all."""


async def rated(pool: Database) -> tuple[int, float, float]:
    """Claims of one key by eight, for a minute that is moved in its row.

    Returns how many, how long it was by the bucket's clock, and by how many permits they were ahead of it at the most.
    """
    async with Jobs(pool, table()) as jobs:
        new = NewJob(BOUND, Bound(limits=[rate_of("a", RATE_PER_S, BURST)]))
        await jobs.create_many([new] * 10_000)
    async with pool.connection() as conn:
        workers = [
            await register(conn, queues=["default"], job_types=[], slots=9, lease_s=600) for _ in range(CLAIMERS)
        ]
        await claim_once(conn, workers[0])  # makes the key
        (bucket,) = await fetch(conn, "SELECT filled_at FROM jobs.limits")

    async def claim(worker_id: int) -> int:
        async with pool.connection() as conn:
            return len((await claim_once(conn, worker_id, slots=BURST)).jobs)

    claimed, took_s, ahead = 0, 0.0, 0.0
    for moved in range(1, ROUNDS + 1):
        async with pool.connection() as conn:
            values = {"round_s": ROUND_S}
            await execute(
                conn, "UPDATE jobs.limits SET filled_at = filled_at - make_interval(secs => %(round_s)s)", values
            )
        claimed += sum(await asyncio.gather(*map(claim, workers)))
        async with pool.connection() as conn:
            (clock,) = await fetch(conn, "SELECT clock_timestamp() AS now")
        took_s = (clock["now"] - bucket["filled_at"]).total_seconds() + moved * ROUND_S
        ahead = max(ahead, claimed - RATE_PER_S * took_s)
    return claimed, took_s, ahead


async def test_a_rate_is_kept_within_a_percent_over_a_minute_and_never_run_ahead_of(pool: Database) -> None:
    claimed, took_s, ahead = await rated(pool)
    assert took_s >= 60
    assert claimed == pytest.approx(RATE_PER_S * took_s, rel=0.01)
    assert ahead <= 1, "the one that is in a new bucket"


async def test_by_a_bucket_that_is_read_and_not_locked_several_would_take_the_same_permits(pool: Database) -> None:
    with mutated(BUCKET_NOT_LOCKED):
        _, _, ahead = await rated(pool)
    assert ahead > 1


async def _set_by_hand(conn: Connection) -> None:
    await set_limit(conn, Limit("a", slots=1))


async def _spend(conn: Connection) -> None:
    await execute(conn, "UPDATE jobs.limits SET permits = 0, filled_at = clock_timestamp()")


@pytest.mark.parametrize("use", [_set_by_hand, _spend])
async def test_a_key_is_not_forgotten_that_was_set_or_spent_after_the_look(
    pool: Database, use: Callable[[Connection], Awaitable[None]]
) -> None:
    async with Jobs(pool, table()) as jobs, pool.connection() as conn:
        await create(jobs, rate_of("a", 0.001))
        worker = await register(conn, queues=["default"], job_types=[], slots=1, lease_s=600)
        while not (found := await claim_once(conn, worker)).jobs:
            pass
        await settle(conn, found.jobs[0], Complete(), BOUND)
        await execute(conn, "UPDATE jobs.limits SET permits = burst, created_at = now() - interval '2 days'")
        async with pool.connection() as other, pool.connection() as looking:
            async with other.transaction():
                await use(other)
                forgetting = asyncio.create_task(forget_limits(conn))
                await until_blocked(looking)
            assert await forgetting == 0
        assert await find_limit(conn, "a")


async def test_a_limit_that_is_set_while_a_claim_spends_counts_no_time_twice(pool: Database) -> None:
    limit = Limit("a", rate_per_s=0.001, burst=10.0)
    async with pool.connection() as conn, pool.connection() as other, pool.connection() as looking:
        await set_limit(conn, limit)
        async with conn.transaction():
            await fetch(conn, "SELECT FROM jobs.limits FOR UPDATE")
            setting = asyncio.create_task(set_limit(other, limit))
            await until_blocked(looking)
            spend = "UPDATE jobs.limits SET permits = 0, filled_at = clock_timestamp() RETURNING filled_at"
            (spent,) = await fetch(conn, spend)
        await setting
        (left,) = await fetch(conn, "SELECT filled_at FROM jobs.limits")
    assert left["filled_at"] >= spent["filled_at"]
