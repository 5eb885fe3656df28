"""Unique keys when two are at it: one of them inserts, and what was written before a poke is seen by a run that follows."""

import asyncio
from typing import Any

import pytest

from jobs_core import Connection, Created, Database, Jobs, NewJob, db, execute, fetch
from jobs_core.keys import insert_or_meet
from jobs_core.new_job import row_of
from jobs_core.wake import Ready
from tests.database.conftest import ClaimAll
from tests.support.database import Undone, until_blocked
from tests.support.job_types import LANE_NOTE, NOTE
from tests.support.mutants import mutated


async def poke(jobs: Jobs, **changes: Any) -> Created:
    return await jobs.create(NOTE, {}, unique_key="k", unique_while="unstarted", **changes)


async def test_of_creators_at_once_one_inserts_and_the_others_meet_it(jobs: Jobs, conn: Connection) -> None:
    for held_while in ("unstarted", "unfinished"):
        creates = [jobs.create(NOTE, {}, unique_key=held_while, unique_while=held_while) for _ in range(12)]  # type: ignore[arg-type]  # a literal
        created = await asyncio.gather(*creates)
        assert len({one.id for one in created}) == 1
        assert sum(not one.met for one in created) == 1
    assert len(await fetch(conn, "SELECT FROM jobs.jobs")) == 2


async def test_a_create_waits_for_another_that_has_not_committed_and_then_meets_its_job(
    jobs: Jobs, database: Database, conn: Connection
) -> None:
    async with database.transaction() as other:
        first = await poke(jobs, conn=other)
        waiting = asyncio.create_task(poke(jobs))
        await until_blocked(conn)
    assert (await waiting).met == {first.id}


async def test_a_create_inserts_where_the_other_one_was_rolled_back(
    jobs: Jobs, database: Database, conn: Connection
) -> None:
    with pytest.raises(Undone):
        async with database.transaction() as other:
            first = await poke(jobs, conn=other)
            waiting = asyncio.create_task(poke(jobs))
            await until_blocked(conn)
            raise Undone
    second = await waiting
    assert (second.met, second.id == first.id) == (frozenset(), False)


async def test_a_race_that_was_lost_undoes_nothing_of_the_callers_transaction(
    jobs: Jobs, database: Database, conn: Connection
) -> None:
    """The unique index fails a statement of the caller's transaction; only the savepoint keeps that alive."""
    await execute(conn, "CREATE TABLE written (n integer)")
    async with database.transaction() as slower:
        await execute(slower, "INSERT INTO written VALUES (1)")
        async with database.transaction() as faster:
            first = await poke(jobs, conn=faster)
            waiting = asyncio.create_task(poke(jobs, conn=slower))
            await until_blocked(conn)
        assert (await waiting).met == {first.id}
    assert await fetch(conn, "SELECT n FROM written") == [{"n": 1}]


async def poke_is_lost(jobs: Jobs, database: Database, conn: Connection, claim_all: ClaimAll) -> bool:
    """Whether a run can begin before what the poke was for is there to be seen, and none comes after.

    A caller writes, pokes a job that stands ready, and has not committed while a worker looks for work.
    """
    await execute(conn, "CREATE TABLE IF NOT EXISTS written (n integer)")
    await poke(jobs)
    async with database.transaction() as caller:
        await execute(caller, "INSERT INTO written VALUES (1)")
        assert (await poke(jobs, conn=caller)).met
        early = await claim_all()
        seen_early = await fetch(conn, "SELECT FROM written")
    late = await claim_all()
    assert len(early) + len(late) == 1
    return bool(early) and not seen_early


async def test_a_claim_between_a_poke_and_its_commit_does_not_lose_it(
    jobs: Jobs, database: Database, conn: Connection, claim_all: ClaimAll
) -> None:
    assert not await poke_is_lost(jobs, database, conn, claim_all)


async def test_a_poke_that_did_not_lock_what_it_met_would_be_lost(
    jobs: Jobs, database: Database, conn: Connection, claim_all: ClaimAll
) -> None:
    with mutated(("ORDER BY j.id\n    FOR UPDATE OF j", "ORDER BY j.id")):
        assert await poke_is_lost(jobs, database, conn, claim_all)


async def test_a_claim_that_was_faster_leaves_the_poke_a_job_of_its_own(
    jobs: Jobs, database: Database, conn: Connection, worker_id: int
) -> None:
    """The look finds the job unclaimed and waits for its lock; by then it is claimed, and is not met."""
    first = await poke(jobs)
    async with database.transaction() as claiming:
        await execute(
            claiming,
            """UPDATE jobs.jobs SET state = 'claimed', ready_seq = NULL, worker_id = %(worker_id)s,
            token = nextval('jobs.token_seq')""",
            {"worker_id": worker_id},
        )
        waiting = asyncio.create_task(poke(jobs))
        await until_blocked(conn)
    second = await waiting
    assert (second.met, second.id == first.id) == (frozenset(), False)


async def test_who_poked_a_ready_job_wakes_its_queue(jobs: Jobs, claim_all: ClaimAll) -> None:
    """A worker that looked in between has passed the locked job by."""
    await poke(jobs, queue="other")
    assert (await poke(jobs))._ready == {Ready("other", NOTE.name)}
    assert (await jobs.create(NOTE, {}, unique_key="running"))._ready == {Ready("default", NOTE.name)}
    assert len(await claim_all()) == 1
    assert (await jobs.create(NOTE, {}, unique_key="running"))._ready == frozenset()


async def test_a_create_that_is_overtaken_each_time_gives_up_with_what_callers_retry(
    jobs: Jobs, database: Database, conn: Connection
) -> None:
    """Of what others may do between each look and insert only the outcome is played: a look that finds nothing."""
    await poke(jobs)
    rows = [row_of(NewJob(NOTE, {}, unique_key="k", unique_while="unstarted"), NOTE)]
    blind = mutated(("WHERE j.unique_key IS NOT NULL AND (", "WHERE false AND ("))
    with blind, pytest.raises(db.SerializationFailure, match="came and went 5 times: try again") as gave_up:
        await insert_or_meet(conn, rows)
    assert isinstance(gave_up.value, db.Retryable)
    assert len(await fetch(conn, "SELECT FROM jobs.jobs")) == 1


async def a_settle_finds_its_job_free(jobs: Jobs, database: Database, conn: Connection) -> bool:
    """Whether a create that meets the head of a lane, and adds to that lane, waits for the lane with the job unlocked.

    A settle has the lane's lock already, and the job's next; the other way round they would wait for each other.
    """
    head = NewJob(LANE_NOTE, {"lane": "a"}, unique_key="head")
    head_id = (await jobs.create_many([head])).ids[0]
    async with asyncio.TaskGroup() as group, database.transaction() as settling:
        await execute(settling, "SELECT FROM jobs.lanes WHERE lane = 'a' FOR UPDATE")
        group.create_task(jobs.create_many([head, NewJob(LANE_NOTE, {"lane": "a"})]))
        await until_blocked(conn)
        free = "SELECT FROM jobs.jobs WHERE id = %(id)s FOR UPDATE SKIP LOCKED"
        return bool(await fetch(settling, free, {"id": head_id}))


async def test_a_create_locks_lanes_before_the_jobs_it_meets(jobs: Jobs, database: Database, conn: Connection) -> None:
    assert await a_settle_finds_its_job_free(jobs, database, conn)


async def test_a_create_that_met_before_it_locked_lanes_would_deadlock_with_a_settle(
    jobs: Jobs, database: Database, conn: Connection
) -> None:
    with mutated(("ORDER BY lane FOR UPDATE", "ORDER BY lane")):
        assert not await a_settle_finds_its_job_free(jobs, database, conn)
