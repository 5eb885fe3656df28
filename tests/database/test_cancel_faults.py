"""Requests to cancel that meet a spawn, a lock, a deadlock, a slow handler or a thousand others: each is dealt with in time."""

import asyncio
from datetime import timedelta
from functools import partial
from typing import Any

import pytest

import workers.handling
import workers.worker
from jobs_core import AnyJob, Connection, Database, Jobs, NewJob, Wait, execute, fetch
from jobs_core.look import find
from jobs_core.settle import put_back, settle
from jobs_core.waits import emit
from tests.database.conftest import ClaimAll
from tests.support.database import until_blocked
from tests.support.job_types import LANE_NOTE, NOTE, Note
from tests.support.worker import ended, until, view_of, working
from workers.cancels import deal_with_cancels
from workers.handling import Watch
from workers.upkeep import Upkeep

NOW = timedelta(0)


async def round_of_cancels(jobs: Jobs, conn: Connection) -> None:
    """As a worker that holds nothing does it."""
    told = list[int]()
    await deal_with_cancels(conn, jobs, 0, lambda job_id, _: told.append(job_id))
    assert not told


async def state(conn: Connection, job_id: int) -> str:
    view = await find(conn, job_id)
    assert view
    return view.state


async def test_a_child_that_is_spawned_after_the_request_is_cancelled_too(
    jobs: Jobs, conn: Connection, job: AnyJob
) -> None:
    cancelled = await jobs.cancel(job.id)
    assert cancelled
    assert cancelled.asked == [job.id]
    child_id = await job.spawn("child", NewJob(NOTE, {}))
    await put_back(conn, job, NOW, because="drained")
    for _ in ("parent", "child"):
        await round_of_cancels(jobs, conn)
    assert [await state(conn, job_id) for job_id in (job.id, child_id)] == ["cancelled", "cancelled"]


async def test_a_request_whose_lane_is_locked_does_not_hold_up_the_rest_of_upkeep(
    database: Database, jobs: Jobs, conn: Connection, claim_all: ClaimAll
) -> None:
    await jobs.create(LANE_NOTE, {"lane": "a"})
    (head,) = await claim_all()
    await jobs.cancel(head.id)
    await put_back(conn, head, NOW, because="drained")
    due = (await jobs.create(NOTE, {}, scheduled_for=timedelta(hours=1))).id
    await execute(conn, "UPDATE jobs.jobs SET scheduled_for = now() WHERE id = %(id)s", {"id": due})
    upkeep = Upkeep(jobs, 1.0, on_cancels=partial(round_of_cancels, jobs))
    async with database.transaction() as slow:
        await jobs.create(LANE_NOTE, {"lane": "a"}, conn=slow)
        async with asyncio.timeout(15):
            await upkeep.run_once()
        assert await fetch(conn, "SELECT id FROM jobs.jobs WHERE ready_seq IS NOT NULL AND lane IS NULL") == [
            {"id": due}
        ]
        assert await state(conn, head.id) == "pending"
    await upkeep.run_once()
    assert await state(conn, head.id) == "cancelled"


async def test_a_cancelled_run_may_take_its_time_to_clean_up(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its worker looks for handlers that do not end; this one has not gone past its timeout."""
    looks, ends, watch = list[int](), list[object](), Watch._look

    def counted(handlers: Watch) -> None:
        looks.append(1)
        watch(handlers)

    monkeypatch.setattr(Watch, "_look", counted)
    monkeypatch.setattr(workers.handling, "_STOP_S", 0.0)
    monkeypatch.setattr(workers.worker, "end_process", ends.append)

    async def handle(job: AnyJob) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            enough = len(looks) + 3
            await until(partial(_at_least, looks, enough))

    async with working(database, {NOTE: handle}) as (jobs, _):
        job_id = (await jobs.create(NOTE, Note())).id
        await until(partial(_runs, database, job_id))
        await jobs.cancel(job_id)
        assert (await ended(database, job_id)).state == "cancelled"
    assert not ends


async def _at_least(what: list[Any], count: int) -> bool:
    return len(what) >= count


async def _runs(database: Database, job_id: int) -> bool:
    return (await view_of(database, job_id)).state == "running"


async def test_a_cancel_that_postgres_chose_as_the_victim_of_a_deadlock_is_repeated(
    database: Database, jobs: Jobs, conn: Connection, job: AnyJob, claim_all: ClaimAll
) -> None:
    child_id = await job.spawn("child", NewJob(NOTE, {}))
    (child,) = await claim_all()
    await settle(conn, job, Wait("for the parent"), NOTE)
    await settle(conn, child, Wait("for the child"), NOTE)
    async with database.transaction() as user:
        await execute(user, "SET LOCAL deadlock_timeout = '1min'")
        await emit(user, "for the child")
        cancelling = asyncio.ensure_future(jobs.cancel(child_id))
        await until_blocked(conn)
        await emit(user, "for the parent")
    cancelled = await cancelling
    assert cancelled
    assert cancelled.ended == [child_id]
    assert await state(conn, job.id) == "pending"


async def test_requests_for_a_thousand_held_jobs_do_not_hide_one_that_can_be_dealt_with(
    jobs: Jobs, conn: Connection, claim_all: ClaimAll
) -> None:
    """A look sees no more; those of other workers' jobs come last."""
    await jobs.create_many([NewJob(NOTE, {}) for _ in range(1000)])
    assert len(await claim_all()) == 1000
    await execute(conn, "INSERT INTO jobs.cancel_requests (job_id) SELECT id FROM jobs.jobs")
    await jobs.create(NOTE, {})
    (put_back_since,) = await claim_all(slots=2000)
    await jobs.cancel(put_back_since.id)
    await put_back(conn, put_back_since, NOW, because="drained")
    await round_of_cancels(jobs, conn)
    assert await state(conn, put_back_since.id) == "cancelled"
    assert len(await fetch(conn, "SELECT FROM jobs.cancel_requests")) == 1000
