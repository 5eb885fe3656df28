"""Leases, burial and rescue on a real Postgres. Time is moved in rows."""

import asyncio

import pytest

from jobs_core import Complete, Connection, Database, Jobs, LeaseLost, execute, fetch_one
from jobs_core.claim import claim, start
from jobs_core.leases import live_workers, register, renew, retire
from jobs_core.settle import settle
from jobs_core.suspects import claim_alone
from jobs_core.upkeep import bury, forget_workers, look, rescue
from jobs_core.wake import Ready
from tests.database.conftest import ClaimAll
from tests.support.job_types import NOTE
from tests.support.mutants import mutated


async def run_out(conn: Connection, worker_id: int) -> None:
    await execute(
        conn,
        "UPDATE jobs.workers SET expires_at = clock_timestamp() - interval '1 ms' WHERE id = %(id)s",
        {"id": worker_id},
    )


async def postgres_came_up_long_ago(conn: Connection) -> None:
    """A burial waits for the first lease after Postgres came up; a shorter lease is over by now."""
    await execute(conn, "UPDATE jobs.workers SET lease_s = 0")


async def test_a_lease_that_ran_out_cannot_be_renewed_and_claims_nothing(
    jobs: Jobs, conn: Connection, worker_id: int, claim_all: ClaimAll
) -> None:
    assert await renew(conn, worker_id)
    await jobs.create("note", {})
    await run_out(conn, worker_id)
    assert not await renew(conn, worker_id)
    assert await claim_all() == []
    assert await live_workers(conn) == []


async def test_the_jobs_of_a_dead_worker_are_put_back_and_only_started_ones_are_charged(
    jobs: Jobs, conn: Connection, worker_id: int, claim_all: ClaimAll
) -> None:
    await jobs.create("note", {"text": "started"})
    await jobs.create("note", {"text": "claimed"})
    started, _ = await claim_all()
    await start(conn, started)
    assert await rescue(conn) == ([], set())
    await run_out(conn, worker_id)
    await postgres_came_up_long_ago(conn)
    assert (await look(conn)).expired
    assert [dead["id"] for dead in await bury(conn)] == [worker_id]
    assert (await look(conn)).gone
    ids, queues = await rescue(conn)
    assert (len(ids), queues) == (2, {Ready("default", NOTE.name)})
    successor = await register(conn, queues=["default"], job_types=["note"], slots=1, lease_s=60)
    (claimed,) = await claim_all(successor)
    assert (claimed.input["text"], claimed.lost_count, claimed.rescued) == ("claimed", 0, True)
    suspect = await claim_alone(conn, worker_id=successor, queues=["default"], job_types=["note"])
    assert suspect is not None
    assert (suspect.id, suspect.lost_count, suspect.rescued) == (started.id, 1, True)
    with pytest.raises(LeaseLost):
        await settle(conn, started, Complete(), NOTE)


async def test_nobody_is_buried_in_the_first_lease_after_postgres_came_up(conn: Connection, worker_id: int) -> None:
    await run_out(conn, worker_id)
    await execute(conn, "UPDATE jobs.workers SET lease_s = 1000000000")
    assert await bury(conn) == []


async def test_a_worker_that_says_goodbye_is_rescued_from_at_once(
    jobs: Jobs, conn: Connection, worker_id: int, claim_all: ClaimAll
) -> None:
    await jobs.create("note", {})
    await claim_all()
    await retire(conn, worker_id)
    assert not await renew(conn, worker_id)
    assert len((await rescue(conn))[0]) == 1


async def test_the_jobs_of_a_worker_whose_row_is_missing_are_rescued(
    jobs: Jobs, conn: Connection, worker_id: int, claim_all: ClaimAll
) -> None:
    await jobs.create("note", {})
    await claim_all()
    await execute(conn, "DELETE FROM jobs.workers")
    assert len((await rescue(conn))[0]) == 1


async def buried_while_it_claims(jobs: Jobs, database: Database, conn: Connection) -> list[int]:
    """Who is buried while a worker whose lease has run out meanwhile is inside a claim; asserts that it is buried after."""
    await jobs.create("note", {})
    worker = await register(conn, queues=["default"], job_types=["note"], slots=1, lease_s=0.5)
    async with database.transaction() as claiming:
        assert len(await claim(claiming, worker_id=worker, queues=["default"], job_types=["note"], slots=1)) == 1
        while not (await look(conn)).expired:
            await asyncio.sleep(0.01)
        async with conn.transaction():
            await execute(conn, "SET LOCAL lock_timeout = '100ms'")
            during = [dead["id"] for dead in await bury(conn)]
    after = [dead["id"] for dead in await bury(conn)]
    assert during + after == [worker]
    assert len((await rescue(conn))[0]) == 1
    return during


async def test_a_burial_passes_over_a_worker_that_is_inside_a_claim(
    jobs: Jobs, database: Database, conn: Connection
) -> None:
    """Either the claim sees the burial, or the rescue that follows the burial sees what was claimed."""
    assert await buried_while_it_claims(jobs, database, conn) == []


async def test_without_the_claims_lock_on_its_worker_it_would_be_buried_meanwhile(
    jobs: Jobs, database: Database, conn: Connection
) -> None:
    live = "dead_at IS NULL AND expires_at > clock_timestamp()\n"
    with mutated((f"{live}    FOR SHARE\n", live)):
        assert await buried_while_it_claims(jobs, database, conn) != []


async def test_without_skipping_locked_workers_a_burial_would_wait(
    jobs: Jobs, database: Database, conn: Connection
) -> None:
    wait = ("FOR UPDATE SKIP LOCKED\n)\nUPDATE {schema}.workers", "FOR UPDATE\n)\nUPDATE {schema}.workers")
    with mutated(wait), pytest.raises(Exception, match="lock timeout"):
        await buried_while_it_claims(jobs, database, conn)


async def test_workers_long_dead_are_forgotten_but_not_while_they_hold_a_job(
    jobs: Jobs, conn: Connection, worker_id: int, claim_all: ClaimAll
) -> None:
    await jobs.create("note", {})
    await claim_all()
    await execute(conn, "UPDATE jobs.workers SET dead_at = clock_timestamp() - interval '2 days'")
    await forget_workers(conn)
    assert await fetch_one(conn, "SELECT FROM jobs.workers") is not None
    await rescue(conn)
    await forget_workers(conn)
    assert await fetch_one(conn, "SELECT FROM jobs.workers") is None
