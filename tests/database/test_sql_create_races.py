"""jobs.create when two are at it, through whichever door: one inserts, no poke is lost, no lane strands; and the guards out."""

import asyncio
from datetime import timedelta
from typing import Any

import psycopg
import pytest

from jobs_core import Complete, Connection, Database, Jobs, execute, fetch
from jobs_core.declare import declare_types
from jobs_core.settle import settle
from tests.database.conftest import ClaimAll
from tests.support.database import until_blocked
from tests.support.job_types import LANE_NOTE, NOTE
from tests.support.sql_create import create_by_sql, mutate

KEYS: list[dict[str, Any]] = [
    {"unique_key": "k", "unique_while": "unstarted"},
    {"unique_key": "k", "unique_while": "unfinished"},
    {"idempotency_key": "k"},
    {"unique_key": "k", "idempotency_key": "k"},
]
DEBOUNCED: list[dict[str, Any]] = [
    {"unique_key": "k", "debounce": timedelta(hours=1), "debounce_at_most": timedelta(hours=1)},
    {"unique_key": "k", "idempotency_key": "k", "debounce": timedelta(hours=1), "debounce_at_most": timedelta(hours=1)},
]
DOORS = ["sql", "python"]
STALE_HEAD = (
    ("head bigint;", "head bigint := (SELECT l.head_pos FROM jobs.lanes AS l WHERE l.lane = made.lane);"),
    ("END, l.head_pos INTO made.lane_pos, head;", "END INTO made.lane_pos; head := coalesce(head, made.lane_pos);"),
)
"""Whether the lane is empty is looked up in a statement before the one that locks it."""


@pytest.fixture(autouse=True)
async def declared(conn: Connection, jobs: Jobs) -> None:
    """SQL knows the tests' types."""
    await declare_types(conn, jobs.table.job_types)


async def create(jobs: Jobs, door: str, conn: Connection | None = None, **keys: Any) -> tuple[int, bool]:
    if door == "python":
        created = await jobs.create(NOTE, {}, conn=conn, **keys)
        return created.id, bool(created.met)
    if conn is not None:
        return await create_by_sql(conn, "note", '{"text": "", "lane": ""}', **keys)
    async with jobs.database.connection() as own:
        return await create(jobs, door, own, **keys)


@pytest.mark.parametrize("keys", [*KEYS, *DEBOUNCED], ids=repr)
async def test_of_creators_at_once_one_inserts_and_the_others_meet_it(
    jobs: Jobs, conn: Connection, keys: dict[str, Any]
) -> None:
    created = await asyncio.gather(*(create(jobs, DOORS[n % 2], **keys) for n in range(12)))
    assert len({job_id for job_id, _ in created}) == 1
    assert sum(not met for _, met in created) == 1
    assert len(await fetch(conn, "SELECT FROM jobs.jobs")) == 1


@pytest.mark.parametrize("keys", [*KEYS, *DEBOUNCED], ids=repr)
@pytest.mark.parametrize("first", DOORS)
async def test_a_create_waits_for_another_that_has_not_committed_and_undoes_nothing_of_its_caller(
    jobs: Jobs, database: Database, conn: Connection, first: str, keys: dict[str, Any]
) -> None:
    (second,) = set(DOORS) - {first}
    await execute(conn, "CREATE TABLE written (n integer)")
    async with database.transaction() as slower:
        await execute(slower, "INSERT INTO written VALUES (1)")
        async with database.transaction() as faster:
            job_id, _ = await create(jobs, first, faster, **keys)
            waiting = asyncio.create_task(create(jobs, second, slower, **keys))
            await until_blocked(conn)
        assert await waiting == (job_id, True)
    assert await fetch(conn, "SELECT n FROM written") == [{"n": 1}]


async def one_event_twice(jobs: Jobs, database: Database, conn: Connection) -> int:
    """How many jobs come of one event that comes a second time before the first has committed."""
    async with database.transaction() as first:
        await create(jobs, "sql", first, idempotency_key="e")
        second = asyncio.create_task(create(jobs, "sql", idempotency_key="e"))
        await until_blocked(conn)
    await second
    return len(await fetch(conn, "SELECT FROM jobs.jobs"))


async def test_a_key_that_was_taken_in_between_is_met(jobs: Jobs, database: Database, conn: Connection) -> None:
    assert await one_event_twice(jobs, database, conn) == 1


async def test_keys_taken_over_before_their_time_would_let_an_event_through_twice(
    jobs: Jobs, database: Database, conn: Connection
) -> None:
    await mutate(conn, "jobs.take_key", ("WHERE k.expires_at <= clock_timestamp()", ""))
    assert await one_event_twice(jobs, database, conn) == 2


async def test_a_key_whose_time_is_over_is_taken_over(jobs: Jobs, conn: Connection) -> None:
    first, _ = await create(jobs, "sql", idempotency_key="e")
    await execute(conn, "UPDATE jobs.job_keys SET expires_at = now()")
    second, met = await create(jobs, "sql", idempotency_key="e")
    assert (second != first, met) == (True, False)
    assert await create(jobs, "sql", idempotency_key="e") == (second, True)


async def poke_is_lost(
    jobs: Jobs, database: Database, conn: Connection, claim_all: ClaimAll, keys: dict[str, Any]
) -> bool:
    """Whether a run can begin before what the poke was for is there to be seen, and none comes after."""
    await create(jobs, "sql", **keys)
    async with database.transaction() as caller:
        assert (await create(jobs, "sql", caller, **keys))[1]
        early = await claim_all()
    assert len(early) + len(await claim_all()) == 1
    return bool(early)


@pytest.mark.parametrize("keys", KEYS, ids=repr)
async def test_a_claim_between_a_poke_and_its_commit_does_not_lose_it(
    jobs: Jobs, database: Database, conn: Connection, claim_all: ClaimAll, keys: dict[str, Any]
) -> None:
    assert not await poke_is_lost(jobs, database, conn, claim_all, keys)


@pytest.mark.parametrize("case", [("jobs.job_that_holds", KEYS[0]), ("jobs.job_of_event", KEYS[2])], ids=repr)
async def test_a_poke_that_did_not_lock_what_it_met_would_be_lost(
    jobs: Jobs, database: Database, conn: Connection, claim_all: ClaimAll, case: tuple[str, dict[str, Any]]
) -> None:
    function, keys = case
    await mutate(conn, function, ("FOR UPDATE;", ";"))
    assert await poke_is_lost(jobs, database, conn, claim_all, keys)


async def test_a_job_that_a_worker_holds_is_met_and_not_waited_for(
    jobs: Jobs, database: Database, conn: Connection, claim_all: ClaimAll
) -> None:
    job_id, _ = await create(jobs, "sql", unique_key="k")
    (claimed,) = await claim_all()
    async with database.transaction() as caller:
        assert await create(jobs, "sql", caller, unique_key="k") == (job_id, True)
        async with conn.transaction():
            await execute(conn, "SET LOCAL lock_timeout = '5s'")
            await settle(conn, claimed, Complete(), NOTE)


async def test_one_that_is_claimed_while_the_create_waits_for_it_is_met_where_it_keeps_its_key(
    jobs: Jobs, database: Database, conn: Connection, worker_id: int
) -> None:
    for held_while, is_met in (("unfinished", True), ("unstarted", False)):
        keys: dict[str, Any] = {"unique_key": held_while, "unique_while": held_while}
        first, _ = await create(jobs, "sql", **keys)
        async with database.transaction() as claiming:
            await execute(
                claiming,
                """UPDATE jobs.jobs SET state = 'claimed', ready_seq = NULL, worker_id = %(worker_id)s,
                token = nextval('jobs.token_seq') WHERE id = %(id)s""",
                {"worker_id": worker_id, "id": first},
            )
            waiting = asyncio.create_task(create(jobs, "sql", **keys))
            await until_blocked(conn)
        second, met = await waiting
        assert (met, second == first) == (is_met, is_met)


async def test_a_create_that_is_overtaken_each_time_gives_up_with_what_callers_retry(
    jobs: Jobs, conn: Connection
) -> None:
    """Of what others may do between each look and insert only the outcome is played: a look that finds nothing."""
    await create(jobs, "sql", unique_key="k")
    await mutate(conn, "jobs.job_that_holds", ("RETURN holder", "RETURN NULL"))
    with pytest.raises(psycopg.errors.SerializationFailure, match="came and went 5 times: try again"):
        await create(jobs, "sql", unique_key="k")
    assert len(await fetch(conn, "SELECT FROM jobs.jobs")) == 1


async def a_settle_finds_its_job_free(database: Database, conn: Connection) -> bool:
    """Whether a create that meets the head of a lane waits for the lane with the job unlocked, as a settle needs it."""
    arguments = {"lane": "a", "unique_key": "head"}
    job_id, _ = await create_by_sql(conn, "lane_note", **arguments)
    async with asyncio.TaskGroup() as group, database.transaction() as settling:
        await execute(settling, "SELECT FROM jobs.lanes WHERE lane = 'a' FOR UPDATE")

        async def meet() -> None:
            async with database.connection() as own:
                await create_by_sql(own, "lane_note", **arguments)
                met.set()

        met = asyncio.Event()
        meeting = group.create_task(meet())
        blocked = asyncio.create_task(until_blocked(conn))
        await asyncio.wait({meeting, blocked}, return_when=asyncio.FIRST_COMPLETED)
        blocked.cancel()
        free = "SELECT FROM jobs.jobs WHERE id = %(id)s FOR UPDATE SKIP LOCKED"
        return not met.is_set() and bool(await fetch(settling, free, {"id": job_id}))


async def test_a_create_locks_its_lane_before_the_job_it_meets(database: Database, conn: Connection) -> None:
    assert await a_settle_finds_its_job_free(database, conn)


async def test_a_create_that_met_before_it_locked_its_lane_would_not_wait_for_the_settle(
    database: Database, conn: Connection
) -> None:
    await mutate(conn, "jobs.create", ("WHERE l.lane = made.lane FOR UPDATE", "WHERE l.lane = made.lane"))
    assert not await a_settle_finds_its_job_free(database, conn)


async def ready_after_an_ending_head(database: Database, conn: Connection, claim_all: ClaimAll) -> list[str]:
    """What can be claimed when a create came while a settle that had its lane's lock was ending the lane's head."""
    await create_by_sql(conn, "lane_note", '{"text": "first"}', lane="a")
    (head,) = await claim_all()
    async with database.connection() as creating, database.connection() as watching:
        creates = list[asyncio.Task[tuple[int, bool]]]()

        async def create_in_between(_: Connection) -> None:
            creates.append(asyncio.create_task(create_by_sql(creating, "lane_note", '{"text": "second"}', lane="a")))
            await until_blocked(watching)

        await settle(conn, head, Complete(also=create_in_between), LANE_NOTE)
        await asyncio.gather(*creates)
    return [job.input["text"] for job in await claim_all()]


async def test_a_create_that_waited_for_its_lane_sees_what_became_of_it(
    database: Database, conn: Connection, claim_all: ClaimAll
) -> None:
    assert await ready_after_an_ending_head(database, conn, claim_all) == ["second"]


async def test_a_create_that_looked_before_it_locked_its_lane_would_strand_it(
    database: Database, conn: Connection, claim_all: ClaimAll
) -> None:
    await mutate(conn, "jobs.add_job", *STALE_HEAD)
    assert await ready_after_an_ending_head(database, conn, claim_all) == []
