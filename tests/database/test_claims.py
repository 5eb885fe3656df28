"""Claims from a cursor: what they may pass over, and how it is found all the same."""

import asyncio
from typing import Any

import pytest

import workers.claims
from jobs_core import AnyJob, Complete, Connection, Database, Jobs, NewJob, execute, fetch
from jobs_core.claim import any_ready, claim
from jobs_core.wake import Ready
from tests.database.conftest import ClaimAll
from tests.support.job_types import BRIEF_NOTE, NOTE, Note, table
from tests.support.worker import ended, until, working
from workers.claims import Cursor


async def complete(_: AnyJob) -> Complete:
    return Complete()


async def insert_ready(conn: Connection, ready_seq: int) -> int:
    """A job that became ready with that number, as one whose transaction took long to commit."""
    rows = await fetch(
        conn,
        "INSERT INTO jobs.jobs (job_type, queue, priority, state, input, ready_seq) "
        "VALUES ('note', 'default', 2, 'pending', '{}', %(ready_seq)s) RETURNING id",
        {"ready_seq": ready_seq},
    )
    return int(rows[0]["id"])


async def test_a_job_that_became_ready_far_behind_the_cursor_is_found_without_waiting_for_the_poll(
    database: Database,
) -> None:
    async with database.connection() as conn:
        await execute(conn, "SELECT setval('jobs.ready_seq', 100000)")
    async with working(database, {NOTE: complete}) as (jobs, _):  # its poll is 30 s away
        await ended(database, (await jobs.create(NOTE, Note())).id)
        async with database.connection() as conn:
            late = await insert_ready(conn, 5)
        jobs.notifier.wake([Ready("default", NOTE.name)])
        assert (await ended(database, late)).state == "complete"


async def test_without_full_looks_it_would_not_be_found(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """The mutant of the test above."""

    def only_the_first(self: Cursor, now_s: float, *, last_was_short: bool) -> bool:
        return not any(self.floors())

    monkeypatch.setattr(Cursor, "full_look_is_due", only_the_first)
    async with database.connection() as conn:
        await execute(conn, "SELECT setval('jobs.ready_seq', 100000)")
    async with working(database, {NOTE: complete}) as (jobs, _):
        await ended(database, (await jobs.create(NOTE, Note())).id)
        async with database.connection() as conn:
            await insert_ready(conn, 5)
        jobs.notifier.wake([Ready("default", NOTE.name)])
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(2):
                await until(lambda: _nothing_ready(database))


async def _nothing_ready(database: Database) -> bool:
    async with database.connection() as conn:
        return not await fetch(conn, "SELECT FROM jobs.jobs WHERE ready_seq IS NOT NULL")


async def test_a_claim_looks_behind_the_floor_of_each_class_only(conn: Connection, jobs: Jobs, worker_id: int) -> None:
    for priority in (2, 0, 2):
        await jobs.create(NOTE, Note(), priority=priority)
    rows = await fetch(conn, "SELECT ready_seq FROM jobs.jobs ORDER BY id")
    first, urgent, _ = (row["ready_seq"] for row in rows)
    floors = [0, 0, first, 0, 0]
    claimed = await claim(conn, worker_id=worker_id, queues=["default"], job_types=["note"], slots=10, floors=floors)
    assert [(job.priority, job.ready_seq > first) for job in claimed] == [(0, True), (2, True)]
    assert claimed[0].ready_seq == urgent


async def test_classes_go_before_readiness_and_a_full_claim_locks_nothing_of_the_next_class(
    database: Database, conn: Connection, jobs: Jobs, claim_all: ClaimAll
) -> None:
    await jobs.create_many([NewJob(NOTE, Note(text=f"{p}"), priority=p) for p in (4, 3, 2, 1, 0) for _ in range(3)])
    async with conn.transaction():
        assert [job.priority for job in await claim_all(slots=5)] == [0, 0, 0, 1, 1]
        async with database.connection() as other:
            free = await fetch(
                other, "SELECT priority FROM jobs.jobs WHERE priority > 1 ORDER BY 1 FOR UPDATE SKIP LOCKED"
            )
    assert [row["priority"] for row in free] == [2, 2, 2, 3, 3, 3, 4, 4, 4]


async def test_an_urgent_job_is_taken_before_thousands_that_were_ready_first(database: Database) -> None:
    order = list[str]()

    async def handle(job: AnyJob) -> Complete:
        order.append(job.input.text)
        await asyncio.sleep(0.001)
        return Complete()

    async with working(database, {NOTE: handle}, slots=2) as (jobs, _):
        await jobs.create_many([NewJob(NOTE, Note(text="many")) for _ in range(500)])
        await until(lambda: _has_begun(order))
        urgent = await jobs.create(NOTE, Note(text="urgent"), priority=0)
        await ended(database, urgent.id)
    assert order.index("urgent") < 450


async def _has_begun(order: list[str]) -> bool:
    return len(order) > 5


async def test_a_worker_whose_claim_meets_only_locked_jobs_looks_again_soon(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who locked them may leave them: the poll is 30 s away, and nobody sends a wake-up."""
    seen_locked = asyncio.Event()

    async def any_ready_and_tell(conn: Connection, **values: Any) -> bool:
        found = await any_ready(conn, **values)
        if found:
            seen_locked.set()
        return found

    monkeypatch.setattr(workers.claims, "any_ready", any_ready_and_tell)
    async with database.connection() as conn, Jobs(database, table()) as creator:
        created = await creator.create(NOTE, Note())
        await execute(conn, "BEGIN")
        await execute(conn, "SELECT FROM jobs.jobs FOR UPDATE")
        async with working(database, {NOTE: complete, BRIEF_NOTE: complete}):
            await asyncio.wait_for(seen_locked.wait(), 15)
            await execute(conn, "ROLLBACK")
            assert (await ended(database, created.id)).state == "complete"
