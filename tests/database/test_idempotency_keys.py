"""Idempotency keys on a real Postgres: one job an outside event, also after it ended, for a set time."""

import asyncio
from datetime import timedelta

import pytest

from jobs_core import Complete, Connection, Database, Jobs, JobType, KeyReused, NewJob, execute, fetch
from jobs_core.keys import expire_keys
from jobs_core.settle import settle
from tests.database.conftest import ClaimAll
from tests.support.database import Undone, until_blocked
from tests.support.job_types import NOTE, Note
from tests.support.mutants import mutated

EVENT = "delivery 72d3162e"
UNTIL_NOW = "UPDATE jobs.job_keys SET expires_at = now() - interval '1 s'"


async def count(conn: Connection, table: str = "jobs") -> int:
    return len(await fetch(conn, f"SELECT FROM jobs.{table}"))


async def test_a_repeat_meets_its_job_running_ended_or_deleted(
    jobs: Jobs, conn: Connection, claim_all: ClaimAll
) -> None:
    first = await jobs.create(NOTE, {"text": "x"}, idempotency_key=EVENT)
    assert first.met == frozenset()
    assert (await jobs.create(NOTE, Note(text="x"), idempotency_key=EVENT)).met == {first.id}
    (claimed,) = await claim_all()
    assert (await jobs.create(NOTE, {"text": "x"}, idempotency_key=EVENT)).met == {first.id}
    await settle(conn, claimed, Complete(), NOTE)
    assert (await jobs.create(NOTE, {"text": "x"}, idempotency_key=EVENT)).met == {first.id}
    await execute(conn, "DELETE FROM jobs.history")
    assert (await jobs.create(NOTE, {"text": "x"}, idempotency_key=EVENT)).met == {first.id}
    assert await count(conn) == 0


async def test_another_event_or_type_is_another_job(jobs: Jobs) -> None:
    first = await jobs.create("note", {}, idempotency_key=EVENT)
    others = [
        await jobs.create("note", {}, idempotency_key="another"),
        await jobs.create("brief_note", {}, idempotency_key=EVENT),
        await jobs.create("note", {}),
    ]
    assert len({first.id, *(other.id for other in others)}) == 4
    assert {met for other in others for met in other.met} == set()


async def test_the_same_key_with_another_input_is_its_senders_mistake(jobs: Jobs, conn: Connection) -> None:
    first = await jobs.create(NOTE, {"text": "x"}, idempotency_key=EVENT)
    with pytest.raises(KeyReused, match=f"'{EVENT}' was given to job {first.id}, with another input") as refused:
        await jobs.create_many([NewJob(NOTE, {}), NewJob(NOTE, {"text": "y"}, idempotency_key=EVENT)])
    assert refused.value.field == "idempotency_key"
    assert await count(conn) == 1
    assert (await jobs.create(NOTE, {"text": "x", "lane": ""}, idempotency_key=EVENT)).met == {first.id}


async def test_a_key_stands_for_its_types_time_and_no_longer(jobs: Jobs, conn: Connection) -> None:
    brief = JobType("brief_memory", Note, idempotency_for=timedelta(hours=2))
    jobs.table.declare(brief)
    await jobs.create(NOTE, {}, idempotency_key=EVENT)
    first = await jobs.create(brief, {"text": "x"}, idempotency_key=EVENT)
    spans = await fetch(
        conn, "SELECT round(extract(epoch FROM expires_at - now()) / 3600) AS h FROM jobs.job_keys ORDER BY h"
    )
    assert [row["h"] for row in spans] == [2, 7 * 24]

    await execute(conn, UNTIL_NOW)
    second = await jobs.create(brief, {"text": "y"}, idempotency_key=EVENT)
    assert (second.met, second.id == first.id) == (frozenset(), False)
    assert (await jobs.create(brief, {"text": "y"}, idempotency_key=EVENT)).met == {second.id}
    with pytest.raises(KeyReused):
        await jobs.create(brief, {"text": "x"}, idempotency_key=EVENT)


async def test_expired_keys_are_deleted_in_batches_and_those_that_are_taken_over_left(
    jobs: Jobs, database: Database, conn: Connection
) -> None:
    await jobs.create_many([NewJob(NOTE, {}, idempotency_key=str(n)) for n in range(7)])
    assert await expire_keys(conn) == 0
    await execute(conn, UNTIL_NOW)
    async with database.transaction() as taking_over:
        await jobs.create(NOTE, {}, idempotency_key="3", conn=taking_over)
        assert [await expire_keys(conn, batch=4), await expire_keys(conn, batch=4)] == [4, 2]
    assert await expire_keys(conn) == 0
    assert await fetch(conn, "SELECT key FROM jobs.job_keys") == [{"key": "3"}]


async def test_repeats_inside_one_bulk_create_are_one_job_and_must_be_alike(jobs: Jobs, conn: Connection) -> None:
    there = await jobs.create(NOTE, {}, idempotency_key="there")
    repeated = [NewJob(NOTE, {}, idempotency_key=key) for key in ("new", "there", "new", "newer", "there")]
    created = await jobs.create_many([*repeated, NewJob(NOTE, {})])
    ids = created.ids
    assert created.met == {there.id}
    assert (ids[0], ids[1], ids[4]) == (ids[2], there.id, there.id)
    assert len(set(ids)) == await count(conn) == 4
    assert (await jobs.create_many(repeated)).ids == ids[:5]
    unlike = [NewJob(NOTE, {"text": text}, idempotency_key="newest") for text in "xy"]
    with pytest.raises(KeyReused, match="was given to another job of this call"):
        await jobs.create_many(unlike)
    assert await count(conn) == 4


async def test_an_event_that_met_a_job_by_its_unique_key_stands_for_that_job(
    jobs: Jobs, conn: Connection, claim_all: ClaimAll
) -> None:
    first = await jobs.create(NOTE, {}, unique_key="k")
    assert (await jobs.create(NOTE, {}, unique_key="k", idempotency_key=EVENT)).met == {first.id}
    (claimed,) = await claim_all()
    await settle(conn, claimed, Complete(), NOTE)
    assert (await jobs.create(NOTE, {}, unique_key="k", idempotency_key=EVENT)).met == {first.id}
    assert (await jobs.create(NOTE, {}, unique_key="k")).met == frozenset()


async def test_a_unique_key_that_came_with_a_repeat_is_not_held_by_the_job_it_met(jobs: Jobs, conn: Connection) -> None:
    first = await jobs.create(NOTE, {}, idempotency_key=EVENT)
    both = [NewJob(NOTE, {}, idempotency_key=EVENT, unique_key="k"), NewJob(NOTE, {}, unique_key="k")]
    created = await jobs.create_many(both)
    assert created.met == {first.id}
    assert created.ids[1] != first.id
    assert await fetch(conn, "SELECT id FROM jobs.jobs WHERE unique_key = 'k'") == [{"id": created.ids[1]}]


async def test_a_create_that_rolls_back_gives_its_key_back(jobs: Jobs, database: Database, conn: Connection) -> None:
    with pytest.raises(Undone):
        async with database.transaction() as own:
            await jobs.create(NOTE, {}, idempotency_key=EVENT, conn=own)
            raise Undone
    assert await count(conn, "job_keys") == 0
    assert (await jobs.create(NOTE, {"text": "another"}, idempotency_key=EVENT)).met == frozenset()


async def test_of_an_event_that_comes_many_times_at_once_one_is_inserted(jobs: Jobs, conn: Connection) -> None:
    created = await asyncio.gather(*(jobs.create(NOTE, {}, idempotency_key=EVENT) for _ in range(12)))
    assert len({one.id for one in created}) == await count(conn) == 1
    assert sum(not one.met for one in created) == 1


async def two_at_once(jobs: Jobs, database: Database, conn: Connection) -> int:
    """How many jobs come of one event that comes a second time before the first has committed."""
    async with database.transaction() as first:
        await jobs.create(NOTE, {}, idempotency_key=EVENT, conn=first)
        second = asyncio.create_task(jobs.create(NOTE, {}, idempotency_key=EVENT))
        await until_blocked(conn)
    await second
    return len(await fetch(conn, "SELECT FROM jobs.jobs WHERE job_type = 'note'"))


async def test_a_second_event_waits_for_the_first_ones_commit(jobs: Jobs, database: Database, conn: Connection) -> None:
    assert await two_at_once(jobs, database, conn) == 1


async def test_keys_taken_over_before_their_time_would_let_an_event_through_twice(
    jobs: Jobs, database: Database, conn: Connection
) -> None:
    with mutated(("WHERE k.expires_at <= clock_timestamp()", "")):
        assert await two_at_once(jobs, database, conn) == 2
