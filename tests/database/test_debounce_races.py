"""Debounce and merges when two are at it: no input is lost, none is in two runs, and what is put off does not start before."""

import asyncio
import json
from datetime import timedelta
from typing import Any

import pytest

from jobs_core import Connection, Created, Database, Jobs, NewJob, execute, fetch, keys
from jobs_core.cancel import cancel
from jobs_core.declare import declare_types
from jobs_core.look import find
from jobs_core.merges import unclaimed
from jobs_core.upkeep import promote_due
from tests.support.database import until_blocked
from tests.support.debounce import AT_MOST, BASKET, QUIET, claimed, minutes_left, state_of
from tests.support.job_types import LANE_NOTE
from tests.support.mutants import mutated
from tests.support.sql_create import create_by_sql

NO_ROW_LOCK = ("ORDER BY j.id\n    FOR UPDATE OF j", "ORDER BY j.id")
NO_LANE_LOCK = ("ORDER BY lane FOR UPDATE\n", "ORDER BY lane\n")
PUT_OFF_THOUGH_DUE = ("j.scheduled_for > given.now AND given.debounce_s", "given.debounce_s")
"""Not a guard taken out: its time comes in between, after the create has looked at the clock and before it commits."""
CREATORS, EACH = 6, 25


@pytest.fixture(autouse=True)
def declared(jobs: Jobs) -> None:
    jobs.table.declare(BASKET)


async def put(jobs: Jobs, *items: int, key: str = "k", **more: Any) -> Created:
    return await jobs.create(BASKET, {"items": list(items)}, unique_key=key, **more)


async def two_at_once(jobs: Jobs, database: Database, conn: Connection) -> list[int]:
    """What is in a job when the second of two creates that meet it comes before the first has committed."""
    job_id = (await put(jobs, 1)).id
    async with asyncio.TaskGroup() as group, database.transaction() as first:
        await put(jobs, 2, conn=first)
        group.create_task(put(jobs, 3))
        await until_blocked(conn)
    items: list[int] = (await state_of(conn, job_id))["input"]["items"]
    return items


async def test_of_two_creates_at_once_no_input_is_lost(jobs: Jobs, database: Database, conn: Connection) -> None:
    assert await two_at_once(jobs, database, conn) == [1, 2, 3]


async def test_a_merge_without_the_jobs_lock_would_lose_one(jobs: Jobs, database: Database, conn: Connection) -> None:
    with mutated(NO_ROW_LOCK):
        assert await two_at_once(jobs, database, conn) == [1, 3]


async def test_a_create_that_was_overtaken_merges_again_from_what_was_there(
    jobs: Jobs, database: Database, conn: Connection
) -> None:
    """It has merged into the one job already when it meets somebody else's insert of the other."""
    there = await put(jobs, 1, key="there")
    async with asyncio.TaskGroup() as group, database.transaction() as first:
        new = await put(jobs, 2, key="new", conn=first)
        both = [NewJob(BASKET, {"items": [3]}, unique_key=key) for key in ("there", "new")]
        second = group.create_task(jobs.create_many(both))
        await until_blocked(conn)
    assert (second.result().ids, second.result().merged) == ((there.id, new.id), {there.id, new.id})
    assert [(await state_of(conn, one.id))["input"]["items"] for one in (there, new)] == [[1, 3], [2, 3]]


async def runs_of_both(jobs: Jobs, conn: Connection, monkeypatch: pytest.MonkeyPatch) -> list[list[int]]:
    """What runs get where a claim comes after a create has read the input of the job that it met, and before it writes."""
    await put(jobs, 1)
    early = list[Any]()

    async def then_claim(own: Connection, ids: Any) -> Any:
        found = await unclaimed(own, ids)
        early.extend(await claimed(conn))
        return found

    monkeypatch.setattr(keys, "unclaimed", then_claim)
    assert (await put(jobs, 2)).merged
    return [json.loads(job.input)["items"] for job in [*early, *await claimed(conn)]]


async def test_a_claim_passes_a_job_over_that_a_create_is_merging_into(
    jobs: Jobs, conn: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert await runs_of_both(jobs, conn, monkeypatch) == [[1, 2]]


async def test_without_the_lock_an_input_would_come_after_the_run_has_read_it(
    jobs: Jobs, conn: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    with mutated(NO_ROW_LOCK):
        assert await runs_of_both(jobs, conn, monkeypatch) == [[1]]


async def test_of_creates_and_claims_at_random_each_input_is_in_exactly_one_run(jobs: Jobs, conn: Connection) -> None:
    async def create(creator: int) -> None:
        for n in range(EACH):
            await put(jobs, creator * EACH + n)

    seen, runs = list[int](), 0
    creating = asyncio.gather(*(create(creator) for creator in range(CREATORS)))
    while not creating.done() or await fetch(conn, "SELECT FROM jobs.jobs WHERE token IS NULL"):
        for job in await claimed(conn):
            seen += json.loads(job.input)["items"]
            runs += 1
        await asyncio.sleep(0.01)  # or nothing would be there to be met
    await creating
    assert sorted(seen) == list(range(CREATORS * EACH))
    assert runs < len(seen), "nothing was merged, so that nothing was shown"


async def test_an_event_that_comes_twice_at_once_is_merged_once(
    jobs: Jobs, database: Database, conn: Connection
) -> None:
    """Both find the key new; the second one waits for the job, and is told by the key that it had been heard."""
    job_id = (await put(jobs, 1)).id
    async with asyncio.TaskGroup() as group, database.transaction() as first:
        await put(jobs, 2, idempotency_key="event", conn=first)
        second = group.create_task(put(jobs, 2, idempotency_key="event"))
        await until_blocked(conn)
    assert (second.result().met, second.result().merged) == ({job_id}, frozenset())
    assert (await state_of(conn, job_id))["input"]["items"] == [1, 2]


async def test_a_create_that_a_cancel_was_faster_than_makes_a_job_of_its_own(
    jobs: Jobs, database: Database, conn: Connection
) -> None:
    first = (await put(jobs, 1)).id
    async with asyncio.TaskGroup() as group, database.transaction() as ending:
        assert (await cancel(ending, first)) is not None
        second = group.create_task(put(jobs, 2))
        await until_blocked(conn)
    assert second.result().met == frozenset()
    assert (await state_of(conn, second.result().id))["input"]["items"] == [2]


async def test_a_cancel_that_a_create_was_faster_than_ends_what_was_merged(
    jobs: Jobs, database: Database, conn: Connection
) -> None:
    first = (await put(jobs, 1)).id
    async with asyncio.TaskGroup() as group, database.transaction() as caller:
        await put(jobs, 2, conn=caller)
        ending = group.create_task(jobs.cancel(first))
        await until_blocked(conn)
    cancelled, ended = ending.result(), await find(conn, first)
    assert cancelled is not None
    assert ended is not None
    assert (cancelled.ended, ended.state, ended.input["items"]) == ([first], "cancelled", [1, 2])


async def put_off_while_it_falls_due(
    jobs: Jobs, database: Database, conn: Connection, job_type: Any, *, upkeep_waits: bool = False
) -> dict[str, Any]:
    """A job whose time comes while a create that has put it off has not committed: upkeep looks then, and after."""
    spans: Any = {"debounce": QUIET, "debounce_at_most": AT_MOST, "unique_key": "k"}
    job_id = (await jobs.create(job_type, {"lane": "a"}, **spans)).id
    await execute(conn, "UPDATE jobs.jobs SET scheduled_for = clock_timestamp() - interval '1 s'")
    async with database.connection() as own, asyncio.TaskGroup() as group, database.transaction() as caller:
        with mutated(PUT_OFF_THOUGH_DUE):
            await jobs.create(job_type, {"lane": "a", "text": "x"}, **spans, conn=caller)
        upkeep = group.create_task(promote_due(own))
        await (until_blocked(conn) if upkeep_waits else upkeep)
    await promote_due(conn)
    return {**await state_of(conn, job_id), "minutes": await minutes_left(conn, job_id)}


@pytest.mark.parametrize("job_type", ["note", "lane_note"])
async def test_a_job_that_falls_due_while_it_is_put_off_stays_put_off(
    jobs: Jobs, database: Database, conn: Connection, job_type: str
) -> None:
    row = await put_off_while_it_falls_due(jobs, database, conn, job_type)
    assert (row["ready_seq"], row["lane_pos"], row["minutes"], row["input"]["text"]) == (None, None, 10, "x")


async def test_without_the_lanes_lock_upkeep_would_have_it_join_its_lane(
    jobs: Jobs, database: Database, conn: Connection
) -> None:
    with mutated(NO_LANE_LOCK):
        row = await put_off_while_it_falls_due(jobs, database, conn, LANE_NOTE, upkeep_waits=True)
    assert row["lane_pos"] == 1


@pytest.mark.parametrize("door", ["Python", "SQL"])
async def test_a_create_that_waited_for_its_lane_counts_its_quiet_time_from_then(
    jobs: Jobs, database: Database, conn: Connection, door: str
) -> None:
    """Or it would be due at once, and the next create of the burst a job of its own."""
    spans: dict[str, Any] = {"debounce": timedelta(seconds=0.5), "debounce_at_most": timedelta(hours=1)}
    await declare_types(conn, [LANE_NOTE])
    await jobs.create(LANE_NOTE, {"lane": "a"})
    async with database.connection() as creating, asyncio.TaskGroup() as group, database.transaction() as busy:
        await execute(busy, "SELECT FROM jobs.lanes WHERE lane = 'a' FOR UPDATE")
        if door == "SQL":
            group.create_task(create_by_sql(creating, "lane_note", '{"lane": "a"}', lane="a", unique_key="k", **spans))
        else:
            group.create_task(jobs.create(LANE_NOTE, {"lane": "a"}, unique_key="k", conn=creating, **spans))
        await until_blocked(conn)
        await execute(busy, "SELECT pg_sleep(0.6)")
    (job,) = await fetch(conn, "SELECT debounce_until IS NOT NULL AS debounced FROM jobs.jobs WHERE unique_key = 'k'")
    assert job["debounced"]
