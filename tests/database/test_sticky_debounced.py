"""Sticky jobs that creates meet, on a real Postgres: they may get limits, have been due, and were kept from their worker."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from jobs_core import Complete, Connection, Database, HandlerTable, Jobs, JobType, Limit, Retry, execute
from jobs_core.claim import claim
from jobs_core.declare import declare_types
from jobs_core.leases import register
from jobs_core.settle import settle
from jobs_core.sticky import claim_sticky, leave, remember
from jobs_core.testing import move_times
from jobs_core.upkeep import promote_due
from jobs_core.wake import Ready
from tests.support.debounce import AT_MOST, MINUTE, QUIET, state_of
from tests.support.job_types import Note
from tests.support.mutants import mutated
from tests.support.sql_create import create_by_sql

STICKY = JobType(
    "sticky",
    Note,
    sticky_key=lambda _: "a",
    sticky_for=timedelta(seconds=30),
    unique_while="unstarted",
    limits=lambda note: [Limit("k", slots=1)] if note.text == "limited" else [],
)
IN_LANE = replace(STICKY, name="in_lane", lane=lambda note: note.lane)
SERVES: dict[str, Any] = {"queues": ["default"], "job_types": ["sticky", "in_lane"]}
WITHOUT_CHECK = """
DO $$ BEGIN EXECUTE (
    SELECT format('ALTER TABLE jobs.jobs DROP CONSTRAINT %I', conname) FROM pg_constraint
    WHERE conrelid = 'jobs.jobs'::regclass AND pg_get_constraintdef(oid) LIKE '%preferred_worker%'
); END $$
"""
SPANS: dict[str, Any] = {"debounce": QUIET, "debounce_at_most": AT_MOST}


@pytest.fixture
async def jobs(database: Database) -> AsyncIterator[Jobs]:
    """Creates sticky jobs."""
    known = HandlerTable()
    known.declare_all([STICKY, IN_LANE])
    async with Jobs(database, known) as creator:
        yield creator


@pytest.fixture
async def warm(jobs: Jobs, conn: Connection) -> int:
    """A worker with room for two that has run a job of the key."""
    worker_id = await register(conn, **SERVES, slots=2, lease_s=7200)
    await jobs.create(STICKY, {})
    (job,) = await claim(conn, worker_id=worker_id, **SERVES, slots=1)
    await remember(conn, job)
    await settle(conn, job, Complete(), STICKY)
    return worker_id


async def test_a_job_that_gets_limits_while_it_waits_for_its_worker_waits_for_slots(
    jobs: Jobs, conn: Connection, warm: int
) -> None:
    created = await jobs.create(STICKY, {}, unique_key="u")
    assert (await state_of(conn, created.id))["preferred_worker"] == warm
    assert (await jobs.create(STICKY, {"text": "limited"}, unique_key="u", **SPANS)).id == created.id
    assert await claim_sticky(conn, worker_id=warm, **SERVES, slots=1) == []
    with mutated(("AND j.limit_group IS NULL\n          AND NOT coalesce(me", "AND NOT coalesce(me")):
        async with conn.transaction(force_rollback=True):
            assert len(await claim_sticky(conn, worker_id=warm, **SERVES, slots=1)) == 1
    await execute(conn, "UPDATE jobs.jobs SET scheduled_for = now()")
    await promote_due(conn)
    job = await state_of(conn, created.id)
    assert (job["ready_seq"] is not None, job["preferred_worker"], job["limited_alone"]) == (True, None, False)


@pytest.mark.parametrize("door", ["Python", "SQL"])
async def test_a_debounced_job_that_waits_for_its_worker_was_due_and_is_put_off_no_more(
    jobs: Jobs, conn: Connection, warm: int, door: str
) -> None:
    await jobs.create(IN_LANE, {"lane": "l"})
    (head,) = await claim_sticky(conn, worker_id=warm, **SERVES, slots=1)
    debounced = await jobs.create(IN_LANE, {"lane": "l"}, unique_key="u", **SPANS)
    async with conn.transaction():
        await move_times(conn, QUIET + MINUTE)
    await promote_due(conn)
    await settle(conn, head, Complete(), IN_LANE)
    waits = await state_of(conn, debounced.id)
    assert waits["preferred_worker"] == warm
    if door == "SQL":
        await declare_types(conn, [IN_LANE])
        given = '{"lane": "l", "text": "b"}'
        await create_by_sql(conn, "in_lane", given, lane="l", unique_key="u", limits="{}", **SPANS)
    else:
        await jobs.create(IN_LANE, {"lane": "l", "text": "b"}, unique_key="u", **SPANS)
    now = await state_of(conn, debounced.id)
    assert (now["input"]["text"], now["scheduled_for"]) == ("b", waits["scheduled_for"])


async def test_a_create_that_kept_a_job_from_its_worker_hints_at_it_again(jobs: Jobs, warm: int) -> None:
    woken = list[Ready | None]()
    created = await jobs.create(STICKY, {}, unique_key="u")
    jobs.notifier.on_wake = woken.append
    assert (await jobs.create(STICKY, {}, unique_key="u")).met == {created.id}
    assert woken == [Ready("default", "sticky", warm)]


async def test_a_job_that_previous_code_has_promoted_and_claimed_does_not_wait_for_its_worker_any_more(
    jobs: Jobs, conn: Connection, warm: int
) -> None:
    """That code knows no preferred worker, and leaves it where it is: beside the run, and in the time before the next."""
    await execute(conn, WITHOUT_CHECK)
    for text in ("runs", "retried"):
        await jobs.create(STICKY, {"text": text})
    await execute(conn, "UPDATE jobs.jobs SET ready_seq = nextval('jobs.ready_seq')")
    other = await register(conn, **SERVES, slots=2, lease_s=7200)
    running, retried = await claim(conn, worker_id=other, **SERVES, slots=2)
    await settle(conn, retried, Retry("again", after=timedelta(hours=1)), STICKY)
    assert await claim_sticky(conn, worker_id=warm, **SERVES, slots=2) == []
    assert await leave(conn, warm) == frozenset()
    assert await claim(conn, worker_id=other, **SERVES, slots=2) == []
    assert (await state_of(conn, running.id))["token"] == running.token
