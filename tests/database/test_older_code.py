"""What code from before there were limits does with this schema, by its own statements: it takes no job that has limits."""

from collections.abc import AsyncIterator

import pytest
from psycopg.errors import NotNullViolation

from jobs_core import Connection, Database, Jobs, execute, fetch
from jobs_core.claim import start
from jobs_core.leases import register, retire
from jobs_core.limits import free_strays
from jobs_core.upkeep import rescue
from tests.support.limits import claim_all, create, in_use, slots_of, table

TAKE = """
UPDATE jobs.jobs AS j SET state = 'claimed', ready_seq = NULL, worker_id = %(worker_id)s, token = nextval('jobs.token_seq')
WHERE j.id IN (SELECT id FROM jobs.jobs WHERE ready_seq IS NOT NULL AND {which} FOR UPDATE SKIP LOCKED)
"""
AMONG_OTHERS = TAKE.format(which="NOT alone")
ALONE = TAKE.format(which="alone")
RESCUE = """
WITH lost AS MATERIALIZED (
    SELECT id, token, worker_id, state = 'running' AS started, alone FROM jobs.jobs WHERE worker_id = %(worker_id)s
), recorded AS (
    INSERT INTO jobs.attempts (job_id, token, worker_id, reason, alone)
    SELECT id, token, worker_id, 'lost', alone FROM lost WHERE started
)
UPDATE jobs.jobs AS j
SET state = 'pending', worker_id = NULL, ready_seq = nextval('jobs.ready_seq'), alone = lost.started OR lost.alone
FROM lost WHERE j.id = lost.id
"""
PROMOTE = "UPDATE jobs.jobs SET ready_seq = nextval('jobs.ready_seq') WHERE ready_seq IS NULL AND state = 'pending'"


@pytest.fixture
async def jobs(database: Database) -> AsyncIterator[Jobs]:
    async with Jobs(database, table()) as creator:
        yield creator


@pytest.fixture
async def as_in_life(conn: Connection) -> None:
    """Without the CHECKs of the test's own that say what is tested here."""
    about = "conrelid = 'jobs.jobs'::regclass AND pg_get_constraintdef(oid) LIKE '%alone IS %'"
    for check in await fetch(conn, f"SELECT conname FROM pg_constraint WHERE {about}"):
        await conn.execute(f"ALTER TABLE jobs.jobs DROP CONSTRAINT {check['conname']}")  # type: ignore[arg-type]  # ours


async def taken(conn: Connection) -> list[int]:
    """What the older claims take."""
    older = {"worker_id": await register(conn, queues=["default"], job_types=[], slots=1, lease_s=600)}
    for claim in (AMONG_OTHERS, ALONE):
        await execute(conn, claim, older)  # type: ignore[arg-type]  # ours
    return [row["id"] for row in await fetch(conn, "SELECT id FROM jobs.jobs WHERE worker_id = %(worker_id)s", older)]


async def test_older_code_claims_jobs_without_limits_and_none_with_some(jobs: Jobs, conn: Connection) -> None:
    await create(jobs, slots_of("a"))
    plain = await create(jobs)
    assert await taken(conn) == plain


async def test_older_code_claims_none_that_it_made_ready_itself(jobs: Jobs, conn: Connection) -> None:
    await create(jobs, slots_of("a"))
    await execute(conn, "UPDATE jobs.jobs SET ready_seq = NULL, scheduled_for = now()")
    await execute(conn, PROMOTE)
    assert await taken(conn) == []


async def test_older_code_claims_no_suspect_with_limits(jobs: Jobs, conn: Connection, worker_id: int) -> None:
    await create(jobs, slots_of("a"))
    (job,) = await claim_all(conn, worker_id)
    await start(conn, job)
    await retire(conn, worker_id)
    await rescue(conn)
    assert await fetch(conn, "SELECT limited_alone FROM jobs.jobs") == [{"limited_alone": True}]
    assert await taken(conn) == []


@pytest.mark.usefixtures("as_in_life")
async def test_older_code_leaves_a_lost_run_with_limits_to_be_rescued_by_newer(
    jobs: Jobs, conn: Connection, worker_id: int
) -> None:
    """It would leave the slots to nobody; it fails instead, and the next round of a newer worker does it."""
    await create(jobs, slots_of("a"))
    (job,) = await claim_all(conn, worker_id)
    await start(conn, job)
    await retire(conn, worker_id)
    with pytest.raises(NotNullViolation):
        await execute(conn, RESCUE, {"worker_id": worker_id})
    assert (await rescue(conn))[0] == [job.id]


async def test_slots_that_older_code_left_held_are_freed_and_those_of_claims_are_not(
    jobs: Jobs, conn: Connection, worker_id: int
) -> None:
    """Of a job whose run had not started."""
    await create(jobs, slots_of("a"))
    await claim_all(conn, worker_id)
    await create(jobs, slots_of("b"))
    await claim_all(conn, worker_id)
    await execute(conn, "UPDATE jobs.jobs SET state = 'pending', worker_id = NULL, ready_seq = 9 WHERE limits ? 'a'")
    assert await free_strays(conn) == 1
    assert await in_use(conn) == {"a": (0, 1), "b": (1, 1)}
    assert await free_strays(conn) == 0


@pytest.mark.usefixtures("as_in_life")
async def test_marked_like_the_others_jobs_with_limits_would_be_claimed(jobs: Jobs, conn: Connection) -> None:
    """The mutant of the first three."""
    marked = await create(jobs, slots_of("a"))
    await execute(conn, "UPDATE jobs.jobs SET alone = false")
    assert await taken(conn) == marked
