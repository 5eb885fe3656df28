"""Eight claimers at once: no two of them take the same turn, whoever dies, and no job is left behind."""

import asyncio
import json
import random
from collections.abc import AsyncIterator
from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest

import jobs_core.claim_limited
from jobs_core import AnyJob, Complete, Connection, Database, Jobs, NewJob, Snooze, execute, fetch, fetch_one
from jobs_core.leases import register
from jobs_core.settle import settle
from jobs_core.suspects import claim_alone
from jobs_core.turns import forget_fair_keys, take_turns
from tests.support.limits import die, wrong
from tests.support.turns import ERRAND, LIMITED_ERRAND, Errand, claim_turns, table

CLAIMERS = 8
USERS = "ABCD"
TURNS = 40
DRAINED = Snooze(timedelta(0), because="drained")


@pytest.fixture
async def pool(database_url: str) -> AsyncIterator[Database]:
    """Connections enough for each claimer."""
    async with Database(database_url, name="tests", max_connections=CLAIMERS + 2) as database:
        yield database


async def live(conn: Connection) -> int:
    return await register(conn, queues=["default"], job_types=[], slots=9, lease_s=600)


async def taken_twice(pool: Database) -> int:
    """Of 160 claims by eight at once, how many are of the user of the claim before; four have jobs all the while."""
    async with Jobs(pool, table()) as jobs:
        await jobs.create_many([NewJob(ERRAND, Errand(user=user)) for user in USERS for _ in range(3 * TURNS)])
    claims = dict[int, str]()

    async def work() -> None:
        async with pool.connection() as conn:
            worker_id = await live(conn)
            while len(claims) < TURNS * len(USERS):
                for job in await claim_turns(conn, worker_id):
                    claims[job.token] = json.loads(job.input)["user"]

    async with asyncio.timeout(120):
        await asyncio.gather(*(work() for _ in range(CLAIMERS)))
    users = [claims[token] for token in sorted(claims)]
    return sum(one == next_one for one, next_one in pairwise(users))


async def test_no_two_claims_take_the_same_turn(pool: Database) -> None:
    """A user comes twice in a row only where the other three's turns are all being taken at that moment."""
    assert await taken_twice(pool) <= TURNS * len(USERS) // 10


async def test_by_claims_that_trust_their_look_the_same_turn_would_be_taken_twice(
    pool: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The mutant of the test above."""

    async def take_none(_: Connection, lines: list[Any], slots: int) -> tuple[list[Any], list[Any]]:
        assert slots == 1
        return [min(lines, key=lambda line: line["places"])], []

    monkeypatch.setattr(jobs_core.claim_limited, "take_turns", take_none)
    assert await taken_twice(pool) > TURNS * len(USERS) // 5


def line_of(user: str, place: int) -> dict[str, Any]:
    """A job as a look returns it."""
    key = {"queue": "default", "job_type": ERRAND.name, "priority": 2, "fair_key": user}
    return {**key, "limit_group": json.dumps([[user]]), "jobs": 1, "places": [place], "arrived": place}


async def both_wait(pool: Database) -> None:
    sql = "SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
    async with pool.connection() as conn, asyncio.timeout(30):
        while len(await fetch(conn, sql)) < 2:
            await asyncio.sleep(0.01)


async def test_two_that_note_the_same_newcomers_in_another_order_do_not_wait_for_each_other(pool: Database) -> None:
    """Two looks may have found them in different places; what a third has noted, and not committed, stops both midway."""
    users = "anz"
    async with pool.connection() as first, pool.connection() as second, pool.connection() as third:
        async with third.transaction(force_rollback=True):
            row = "INSERT INTO jobs.fair_keys (queue, job_type, priority, key) VALUES ('default', 'errand', 2, 'n')"
            await execute(third, row)
            turns = [
                asyncio.create_task(take_turns(conn, [line_of(user, n) for n, user in enumerate(order)], len(users)))
                for conn, order in ((first, users), (second, users[::-1]))
            ]
            await both_wait(pool)
        assert [sorted(one.key[3] for one in taken) for _, taken in await asyncio.gather(*turns)] == [list(users)] * 2


LONG_AGO = """
    UPDATE jobs.fair_keys SET served_at = served_at - interval '2 h'
    WHERE ctid = ANY(ARRAY(SELECT ctid FROM jobs.fair_keys FOR UPDATE SKIP LOCKED))
"""


class Race:
    """Claimers that settle, put back and die at random, of jobs with and without limits, until none is left."""

    def __init__(self, pool: Database, seed: int) -> None:
        self._pool = pool
        self._chance = random.Random(seed)
        self._over = False
        self.deaths = 0

    async def run(self) -> None:
        types = (ERRAND, LIMITED_ERRAND)
        new = [
            NewJob(types[n % 2], Errand(user=USERS[n % 3], limits={"api": 2} if n % 2 else {}), priority=1 + n % 2)
            for n in range(120)
        ]
        async with Jobs(self._pool, table()) as jobs:
            await jobs.create_many(new)
        async with asyncio.timeout(150):
            await asyncio.gather(*(self._work() for _ in range(CLAIMERS)))

    async def _work(self) -> None:
        worker_id = await self._register()
        while not self._over:
            async with self._pool.connection() as conn:
                held = await self._claim(conn, worker_id)
                assert await wrong(conn) == {}
                if self._chance.random() < 0.05:
                    await execute(conn, LONG_AGO)
                    await forget_fair_keys(conn)
                self._over = self._over or await fetch_one(conn, "SELECT FROM jobs.jobs LIMIT 1") is None
            dies = bool(held) and self._chance.random() < 0.15
            for job in held[: len(held) // 2] if dies else held:
                async with self._pool.connection() as conn:
                    outcome = self._chance.choice((Complete(), Complete(), DRAINED))
                    await settle(conn, job, outcome, LIMITED_ERRAND if job.limited else ERRAND)
            if dies:
                await self._die(worker_id, held[-1])
                worker_id = await self._register()

    async def _claim(self, conn: Connection, worker_id: int) -> list[AnyJob]:
        if self._chance.random() < 0.2:
            names = [ERRAND.name, LIMITED_ERRAND.name]
            suspect = await claim_alone(conn, worker_id=worker_id, queues=["default"], job_types=names)
            return [suspect] if suspect else []
        return await claim_turns(conn, worker_id, self._chance.randint(1, 5))

    async def _register(self) -> int:
        async with self._pool.connection() as conn:
            return await live(conn)

    async def _die(self, worker_id: int, last: AnyJob) -> None:
        self.deaths += 1
        await die(self._pool, worker_id, last, started=self._chance.random() < 0.5)


async def test_every_job_ends_and_no_limit_is_passed_whoever_dies(pool: Database) -> None:
    race = Race(pool, seed=random.randrange(2**32))
    await race.run()
    assert race.deaths >= 3
    async with pool.connection() as conn:
        row = await fetch_one(conn, "SELECT count(*) AS n FROM jobs.history WHERE state = 'complete'")
    assert row == {"n": 120}
