"""Children whose ends come late, not at all or in another's way, and parents that are not kept from what is theirs."""

import asyncio
from datetime import timedelta
from functools import partial
from typing import Any

import pytest

from jobs_core import (
    AnyJob,
    Complete,
    Connection,
    Database,
    InvalidInput,
    Jobs,
    NewJob,
    Wait,
    execute,
    fetch,
    fetch_one,
    steps,
)
from jobs_core.children import CHILDREN
from jobs_core.claim import start
from jobs_core.leases import register, retire
from jobs_core.look import find
from jobs_core.settle import settle
from jobs_core.steps import Child, Waiting
from jobs_core.upkeep import MAX_LOST_ALONE, promote_due, rescue
from tests.database.conftest import ClaimAll, NextRun
from tests.support.database import until_blocked
from tests.support.holding_proxy import Stop, holding
from tests.support.job_types import LANE_NOTE, NOTE, Note
from tests.support.worker import ended, working


async def test_a_child_that_left_no_word_is_unknown_and_its_parent_looks_again_after_ten_minutes(
    conn: Connection, job: AnyJob, next_run: NextRun
) -> None:
    """A worker of a version without children ends one so."""
    child_id = await job.spawn("child", NewJob(NOTE, {}))
    with pytest.raises(Waiting) as waiting:
        await job.wait_for_children()
    await settle(conn, job, waiting.value.outcome, NOTE)
    parent = await fetch_one(conn, "SELECT wait_until - waiting_since AS bound FROM jobs.jobs WHERE state = 'waiting'")
    assert parent
    assert timedelta(minutes=9) < parent["bound"] <= timedelta(minutes=10)
    await execute(conn, "DELETE FROM jobs.jobs WHERE id = %(id)s", {"id": child_id})
    await execute(conn, "UPDATE jobs.jobs SET wait_until = now()")
    await promote_due(conn)
    job = await next_run()
    assert await job.spawn("child", NewJob(NOTE, {})) == child_id
    assert await job.wait_for_children() == [Child(child_id, "unknown")]


async def test_a_child_that_is_spawned_beside_a_step_is_not_forgotten(
    job: AnyJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both read the job's records; the second answer comes when the first has been used and added to."""
    load, spawned, loads = steps._load, asyncio.Event(), list[int]()

    async def answer_the_second_late(conn: Connection, job_id: int) -> Any:
        loads.append(job_id)
        late = len(loads) == 2
        records = await load(conn, job_id)
        if late:
            await spawned.wait()
        return records

    async def spawn() -> None:
        await job.spawn("child", NewJob(NOTE, {}))
        spawned.set()

    monkeypatch.setattr(steps, "_load", answer_the_second_late)
    await asyncio.gather(spawn(), job.step("beside", lambda: 1))
    assert len(loads) == 2
    with pytest.raises(Waiting):
        await job.wait_for_children()


async def test_a_child_in_its_parents_lane_is_refused(jobs: Jobs, conn: Connection, next_run: NextRun) -> None:
    await jobs.create(LANE_NOTE, {"lane": "a"})
    job = await next_run()
    with pytest.raises(InvalidInput, match="is its parent's, which would wait before it for ever"):
        await job.spawn("child", NewJob(LANE_NOTE, {"lane": "a"}))
    assert await fetch(conn, "SELECT id FROM jobs.jobs") == [{"id": job.id}]
    await job.spawn("another", NewJob(LANE_NOTE, {"lane": "b"}))


async def test_a_child_that_takes_long_to_settle_holds_up_its_parent_and_nobody_else(
    database: Database, conn: Connection
) -> None:
    settling, go_on = asyncio.Event(), asyncio.Event()

    async def take_long(_: Connection) -> None:
        settling.set()
        await go_on.wait()

    async def handle(job: AnyJob) -> Complete:
        if job.input.text == "child":
            return Complete(also=take_long)
        if job.input.text == "parent":
            await job.spawn("child", NewJob(NOTE, Note(text="child")))
            await settling.wait()
        return Complete()

    async with working(database, {NOTE: handle}, lease_s=60.0) as (jobs, _):
        parent = (await jobs.create(NOTE, Note(text="parent"))).id
        await until_blocked(conn)
        try:
            await ended(database, (await jobs.create(NOTE, Note(text="other"))).id)
            view = await find(conn, parent)
            assert view
            assert view.ended_at is None
        finally:
            go_on.set()
        assert (await ended(database, parent)).state == "complete"


async def test_a_rescue_does_not_wait_for_the_parent_of_a_crashed_child(
    database: Database, conn: Connection, job: AnyJob, claim_all: ClaimAll
) -> None:
    child_id = await job.spawn("child", NewJob(NOTE, {}))
    await settle(conn, job, Wait(CHILDREN), NOTE)
    dying = await register(conn, queues=["default"], job_types=[], slots=1, lease_s=600)
    (child,) = await claim_all(dying)
    await start(conn, child)
    lost = {"id": child_id, "times": MAX_LOST_ALONE - 1}
    await execute(conn, "UPDATE jobs.jobs SET alone = true, alone_lost_count = %(times)s WHERE id = %(id)s", lost)
    await retire(conn, dying)
    state = partial(_state, conn, child_id)
    async with database.transaction() as user:
        await execute(user, "SELECT FROM jobs.jobs WHERE id = %(id)s FOR UPDATE", {"id": job.id})
        async with asyncio.timeout(15):
            await rescue(conn)
        assert await state() == "running"
    await rescue(conn)
    assert await state() == "failed"


async def _state(conn: Connection, job_id: int) -> str:
    view = await find(conn, job_id)
    assert view
    return view.state


@pytest.mark.parametrize(
    "cut",
    [
        Stop("commit", "before", within="job/adopt"),
        Stop("commit", "after", within="job/adopt"),
        Stop("job/has_children", "before"),
        Stop("event/find", "before"),
    ],
)
async def test_a_cut_connection_makes_no_second_child_and_is_no_failure_of_the_run(
    database: Database, database_url: str, cut: Stop
) -> None:
    async def handle(job: AnyJob) -> Complete:
        if job.input.text == "parent":
            await job.spawn("child", NewJob(NOTE, {}))
            await job.wait_for_children()
            await job.wait_for("paid")
        return Complete()

    async with holding(database_url) as proxy, Database(proxy.dsn, name="proxied") as pool:
        proxy.arm(cut)
        async with working(pool, {NOTE: handle}, lease_s=60.0, poll_s=0.2) as (jobs, _):
            job_id = (await jobs.create(NOTE, Note(text="parent"))).id
            (await proxy.reached()).drop(reset=True)
            await jobs.emit("paid")
            parent = await ended(database, job_id)
    async with database.connection() as conn:
        children = await fetch(conn, "SELECT state FROM jobs.history WHERE parent_id = %(id)s", {"id": job_id})
    assert (parent.state, parent.retry_count, children) == ("complete", 0, [{"state": "complete"}])
