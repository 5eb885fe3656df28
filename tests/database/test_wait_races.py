"""Two in flight never miss each other: an emit and a wait, the end of the last child and its parent's wait.

Each mutant takes away the lock in a statement of its own, and the job waits for ever.
"""

import asyncio

from jobs_core import AnyJob, Complete, Connection, Database, NewJob, Wait, fetch_one
from jobs_core.children import CHILDREN
from jobs_core.settle import settle
from jobs_core.waits import emit, wait
from tests.database.conftest import ClaimAll
from tests.support.database import until_blocked
from tests.support.job_types import NOTE
from tests.support.mutants import mutated

NO_EVENT_LOCK = (
    """INSERT INTO {schema}.events AS e (name) VALUES (%(event)s)
ON CONFLICT (name) DO UPDATE SET name = e.name
RETURNING e.emitted_at IS NOT NULL AS emitted""",
    "SELECT emitted_at IS NOT NULL AS emitted FROM {schema}.events WHERE name = %(event)s",
)
NO_JOB_LOCK = ("SELECT FROM {schema}.jobs WHERE id = %(id)s FOR UPDATE", "SELECT FROM {schema}.jobs WHERE id = %(id)s")


async def state(conn: Connection, job: AnyJob) -> str:
    row = await fetch_one(conn, "SELECT state FROM jobs.jobs WHERE id = %(id)s", {"id": job.id})
    assert row
    return str(row["state"])


async def test_a_wait_sees_an_emit_that_was_under_way(database: Database, conn: Connection, job: AnyJob) -> None:
    async with database.connection() as watch:
        async with database.transaction() as slow:
            await emit(slow, "paid")
            waiting = asyncio.ensure_future(wait(conn, job, Wait("paid")))
            await until_blocked(watch)
        assert (await waiting).state == "pending"


async def test_without_the_lock_it_would_not(database: Database, conn: Connection, job: AnyJob) -> None:
    async with database.transaction() as slow:
        await emit(slow, "paid")
        with mutated(NO_EVENT_LOCK):
            await wait(conn, job, Wait("paid"))
    assert await state(conn, job) == "waiting"


async def test_an_emit_sees_a_wait_that_was_under_way(database: Database, conn: Connection, job: AnyJob) -> None:
    async with database.connection() as other, database.connection() as watch:
        async with database.transaction() as slow:
            await wait(slow, job, Wait("paid"))
            emitting = asyncio.ensure_future(emit(other, "paid"))
            await until_blocked(watch)
        assert [place.job_type for place in (await emitting).ready] == ["note"]
    assert await state(conn, job) == "pending"


async def test_a_parents_wait_sees_the_end_of_its_last_child_that_was_under_way(
    database: Database, conn: Connection, job: AnyJob, claim_all: ClaimAll
) -> None:
    await job.spawn("child", NewJob(NOTE, {}))
    (child,) = await claim_all()
    async with database.connection() as watch:
        async with database.transaction() as slow:
            await settle(slow, child, Complete(), NOTE)
            waiting = asyncio.ensure_future(wait(conn, job, Wait(CHILDREN)))
            await until_blocked(watch)
        assert (await waiting).state == "pending"


async def test_without_the_parents_lock_it_would_not(
    database: Database, conn: Connection, job: AnyJob, claim_all: ClaimAll
) -> None:
    await job.spawn("child", NewJob(NOTE, {}))
    (child,) = await claim_all()
    with mutated(NO_JOB_LOCK):
        async with database.transaction() as slow:
            await settle(slow, child, Complete(), NOTE)
            await wait(conn, job, Wait(CHILDREN))
    assert await state(conn, job) == "waiting"


async def test_the_end_of_the_last_child_sees_its_parents_wait_that_was_under_way(
    database: Database, conn: Connection, job: AnyJob, claim_all: ClaimAll
) -> None:
    await job.spawn("child", NewJob(NOTE, {}))
    (child,) = await claim_all()
    async with database.connection() as other, database.connection() as watch:
        async with database.transaction() as slow:
            await wait(slow, job, Wait(CHILDREN))
            settling = asyncio.ensure_future(settle(other, child, Complete(), NOTE))
            await until_blocked(watch)
        assert [place.job_type for place in (await settling).ready] == ["note"]
    assert await state(conn, job) == "pending"
