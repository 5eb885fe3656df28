"""Cancel, in every state of a job: what no worker holds ends at once, a run is told, and nobody's request is forgotten."""

import asyncio
import threading
from datetime import timedelta
from functools import partial
from typing import Any

import pytest

from jobs_core import AnyJob, Complete, Connection, Database, Jobs, NewJob, Retry, Snooze, Wait, execute, fetch
from jobs_core.claim import start
from jobs_core.leases import register, retire
from jobs_core.look import attempts_of, find
from jobs_core.settle import put_back, settle
from jobs_core.steps import Steps
from jobs_core.upkeep import rescue
from tests.database.conftest import ClaimAll
from tests.support.job_types import LANE_NOTE, NOTE, Note
from tests.support.worker import ended, until, view_of, working
from workers.cancels import deal_with_cancels

HOUR = timedelta(hours=1)


async def requested(conn: Connection) -> list[int]:
    return [row["job_id"] for row in await fetch(conn, "SELECT job_id FROM jobs.cancel_requests ORDER BY job_id")]


@pytest.mark.parametrize("state", ["ready", "due later", "blocked", "waiting", "put back"])
async def test_a_job_that_no_worker_holds_ends_at_once(
    jobs: Jobs, conn: Connection, claim_all: ClaimAll, state: str
) -> None:
    if state == "blocked":
        await jobs.create(LANE_NOTE, {"lane": "a"})
    later = HOUR if state == "due later" else None
    job_id = (await jobs.create(LANE_NOTE if state == "blocked" else NOTE, {"lane": "a"}, scheduled_for=later)).id
    if state in {"waiting", "put back"}:
        (job,) = await claim_all()
        await settle(conn, job, Wait("never") if state == "waiting" else Snooze(HOUR), NOTE)
    cancelled = await jobs.cancel(job_id, reason="not needed")
    assert cancelled
    assert (cancelled.ended, cancelled.asked) == ([job_id], [])
    view = await find(conn, job_id)
    assert view
    assert (view.state, view.error) == ("cancelled", "not needed")
    assert not await requested(conn)


async def test_a_job_that_has_ended_stays_as_it_is(jobs: Jobs, conn: Connection, claim_all: ClaimAll) -> None:
    await jobs.create(NOTE, {})
    (job,) = await claim_all()
    await settle(conn, job, Complete(), NOTE)
    assert await jobs.cancel(job.id) is None
    view = await find(conn, job.id)
    assert view
    assert view.state == "complete"


async def test_the_next_of_a_lane_goes_on_when_its_head_is_cancelled(
    jobs: Jobs, conn: Connection, claim_all: ClaimAll
) -> None:
    head, _, last = [(await jobs.create(LANE_NOTE, {"lane": "a", "text": str(n)})).id for n in range(3)]
    await jobs.cancel(last)
    cancelled = await jobs.cancel(head)
    assert cancelled
    assert [place.job_type for place in cancelled.ready] == ["lane_note"]
    (next_,) = await claim_all()
    assert next_.input["text"] == "1"
    await settle(conn, next_, Complete(), LANE_NOTE)
    assert await fetch(conn, "SELECT head_pos FROM jobs.lanes") == [{"head_pos": None}]


async def test_a_run_is_told_within_a_second_and_ends_as_cancelled(database: Database) -> None:
    """Upkeep, which would find it, is 30 s away: the hint does it."""

    async def handle(job: AnyJob) -> None:
        await asyncio.sleep(60)

    async with working(database, {NOTE: handle}, upkeep_s=30.0, lease_s=60.0) as (jobs, _):
        job_id = (await jobs.create(NOTE, Note())).id
        await until(lambda: state_is(database, job_id, "running"))
        cancelled = await jobs.cancel(job_id, reason="enough")
        assert cancelled
        assert cancelled.asked == [job_id]
        view = await ended(database, job_id, within_s=3)
        async with database.connection() as conn:
            attempts = await attempts_of(conn, view)
            assert not await requested(conn)
    assert (view.state, view.error, [attempt.reason for attempt in attempts]) == ("cancelled", "enough", ["cancelled"])


async def state_is(database: Database, job_id: int, state: str) -> bool:
    return (await view_of(database, job_id)).state == state


async def test_a_run_that_completes_all_the_same_is_complete(database: Database) -> None:
    async def handle(job: AnyJob) -> Any:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            return Complete("done by then")

    async with working(database, {NOTE: handle}) as (jobs, _):
        job_id = (await jobs.create(NOTE, Note())).id
        await until(lambda: state_is(database, job_id, "running"))
        await jobs.cancel(job_id)
        view = await ended(database, job_id)
        async with database.connection() as conn:
            await until(lambda: _none(conn))
    assert (view.state, view.result) == ("complete", "done by then")


async def _none(conn: Connection) -> bool:
    return not await requested(conn)


async def test_a_handler_in_a_thread_can_see_that_it_is_wanted_to_end(database: Database) -> None:
    began = threading.Event()

    def handle(job: AnyJob) -> Any:
        began.set()
        while not job.cancelled:
            threading.Event().wait(0.01)
        return Retry("it would be tried again")

    async with working(database, {NOTE: handle}) as (jobs, _):
        job_id = (await jobs.create(NOTE, Note())).id
        await asyncio.to_thread(began.wait)
        await jobs.cancel(job_id)
        assert (await ended(database, job_id)).state == "cancelled"


async def test_children_are_cancelled_with_their_parent(database: Database) -> None:
    async def handle(job: AnyJob) -> Any:
        if job.input.text == "leaf":
            await asyncio.sleep(60)
        if job.input.text == "branch":
            await job.spawn("leaf", NewJob(NOTE, Note(text="leaf")))
        await job.spawn("branch", NewJob(NOTE, Note(text="leaf" if job.input.text else "branch")))
        await job.spawn("later", NewJob(NOTE, Note(text="leaf"), scheduled_for=HOUR))
        await job.wait_for_children()

    async with working(database, {NOTE: handle}) as (jobs, _):
        root = (await jobs.create(NOTE, Note())).id
        async with database.connection() as conn:
            await until(lambda: _states(conn, {"waiting": 2, "running": 2, "pending": 2}))
            await jobs.cancel(root)
            await until(lambda: _states(conn, {}))
            rows = await fetch(conn, "SELECT state, count(*) AS n FROM jobs.history GROUP BY state")
            await until(lambda: _none(conn))
    assert rows == [{"state": "cancelled", "n": 6}]


async def _states(conn: Connection, wanted: dict[str, int]) -> bool:
    rows = await fetch(conn, "SELECT state, count(*) AS n FROM jobs.jobs GROUP BY state")
    return {row["state"]: row["n"] for row in rows} == wanted


async def test_a_request_outlives_the_worker_that_held_its_job(
    jobs: Jobs, conn: Connection, claim_all: ClaimAll
) -> None:
    """Neither a rescue nor a put-back looks; the next upkeep of any worker does."""
    await jobs.create_many([NewJob(NOTE, {}) for _ in range(2)])
    dying = await register(conn, queues=["default"], job_types=[], slots=1, lease_s=600)
    lost, drained = await claim_all(dying)
    await start(conn, lost)
    for job in (lost, drained):
        cancelled = await jobs.cancel(job.id)
        assert cancelled
        assert cancelled.asked == [job.id]
    await put_back(conn, drained, timedelta(0), because="drained")
    await retire(conn, dying)
    await rescue(conn)
    told = list[int]()
    await deal_with_cancels(conn, jobs, 0, lambda job_id, _: told.append(job_id))
    assert not told
    for job in (lost, drained):
        view = await find(conn, job.id)
        assert view
        assert view.state == "cancelled"
    assert not await requested(conn)


async def test_a_child_that_a_run_created_after_its_end_was_wanted_is_cancelled_with_it(
    jobs: Jobs, conn: Connection, claim_all: ClaimAll
) -> None:
    await jobs.create(NOTE, {})
    (job,) = await claim_all()
    job.steps_of = partial(Steps, jobs)
    await jobs.cancel(job.id)
    child = await job.spawn("late", NewJob(NOTE, {}))
    await put_back(conn, job, timedelta(0), because="drained")
    for _ in range(2):
        await deal_with_cancels(conn, jobs, 0, lambda *_: None)
    for job_id in (job.id, child):
        view = await find(conn, job_id)
        assert view
        assert view.state == "cancelled"
    assert not await requested(conn)


async def test_a_late_settle_of_a_cancelled_job_is_refused(jobs: Jobs, conn: Connection, claim_all: ClaimAll) -> None:
    await jobs.create(NOTE, {})
    (job,) = await claim_all()
    await execute(conn, "UPDATE jobs.jobs SET state = 'pending', worker_id = NULL, ready_seq = 1")
    await jobs.cancel(job.id)
    with pytest.raises(Exception, match="no longer the job's"):
        await settle(conn, job, Complete("late"), NOTE)
