"""Upkeep on a real Postgres: what one caller has locked stops nobody else's, and it takes no more than a batch."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from jobs_core import Connection, Database, Jobs, NewJob, db, execute, fetch_one
from jobs_core import upkeep as core_upkeep
from jobs_core.claim import start
from jobs_core.leases import register, retire
from jobs_core.look import find
from jobs_core.suspects import claim_alone
from jobs_core.upkeep import promote_due, put_back_strays, rescue
from jobs_core.wake import Ready
from tests.database.conftest import ClaimAll
from tests.support.job_types import LANE_NOTE, NOTE
from tests.support.mutants import mutated

SOON = timedelta(seconds=0.01)
WAIT_FOR_LANES = ("ORDER BY lane FOR UPDATE SKIP LOCKED", "ORDER BY lane FOR UPDATE")
LOCK_NO_JOBS = ("LIMIT %(batch)s\n    FOR UPDATE SKIP LOCKED\n)\nUPDATE", "LIMIT %(batch)s\n)\nUPDATE")
RESCUE_LOCKS_NO_JOBS = ("FOR UPDATE SKIP LOCKED\n), recorded AS", "), recorded AS")


@pytest.fixture
async def other(direct_url: str) -> AsyncIterator[Connection]:
    """A second connection, which waits for nobody's lock."""
    async with await db.connect(direct_url, name="other") as connection:
        await execute(connection, "SET lock_timeout = '100ms'")
        yield connection


async def wait_until_due(conn: Connection, jobs: int) -> None:
    """Return when so many jobs have fallen due."""
    due = "SELECT count(*) AS n FROM jobs.jobs WHERE ready_seq IS NULL AND scheduled_for <= clock_timestamp()"
    while (row := await fetch_one(conn, due)) is None or row["n"] < jobs:
        await asyncio.sleep(0.005)


async def dead_worker_with(claim_all: ClaimAll, conn: Connection) -> int:
    """A worker that took and started all that was ready, and died; returns how many jobs it holds."""
    worker = await register(conn, queues=["default"], job_types=[], slots=1000, lease_s=600)
    held = await claim_all(worker)
    for job in held:
        await start(conn, job)
    await retire(conn, worker)
    return len(held)


async def state(conn: Connection, job_id: int) -> str:
    view = await find(conn, job_id)
    assert view is not None
    return view.state


async def test_a_lane_that_a_slow_caller_holds_stops_no_other_jobs_promotion(
    jobs: Jobs, database: Database, other: Connection, claim_all: ClaimAll
) -> None:
    await jobs.create(LANE_NOTE, {"lane": "held", "text": "in the held lane"}, scheduled_for=SOON)
    await jobs.create(LANE_NOTE, {"lane": "free", "text": "in a free lane"}, scheduled_for=SOON)
    await jobs.create(NOTE, {"text": "in no lane"}, scheduled_for=SOON)
    await wait_until_due(other, 3)
    async with database.transaction() as slow:
        await jobs.create(LANE_NOTE, {"lane": "held", "text": "the slow caller's"}, conn=slow)
        with mutated(WAIT_FOR_LANES), pytest.raises(Exception, match="lock timeout"):
            await promote_due(other)
        await promote_due(other)
        ready = {job.input["text"] for job in await claim_all()}
    assert ready == {"in a free lane", "in no lane"}
    await promote_due(other)
    assert [job.input["text"] for job in await claim_all()] == ["the slow caller's"]


async def test_a_lane_that_a_slow_caller_holds_stops_no_other_jobs_rescue(
    jobs: Jobs, database: Database, other: Connection, claim_all: ClaimAll
) -> None:
    """A job that is lost for the last time ends, for which its lane must be locked: in a later round, then."""
    crashing = await jobs.create(LANE_NOTE, {"lane": "held"})
    fresh = await jobs.create(NOTE, {})
    await dead_worker_with(claim_all, other)
    await execute(
        other, "UPDATE jobs.jobs SET alone = true, alone_lost_count = 2 WHERE id = %(id)s", {"id": crashing.id}
    )
    async with database.transaction() as slow:
        await jobs.create(LANE_NOTE, {"lane": "held"}, conn=slow)
        with mutated(WAIT_FOR_LANES), pytest.raises(Exception, match="lock timeout"):
            await rescue(other)
        await rescue(other)
        assert (await state(other, crashing.id), await state(other, fresh.id)) == ("running", "pending")
    assert await rescue(other) == ([], {Ready("default", LANE_NOTE.name)})
    assert await state(other, crashing.id) == "failed"


async def test_two_promotions_at_once_never_take_the_same_job(
    jobs: Jobs, database: Database, other: Connection, claim_all: ClaimAll
) -> None:
    """A second look at a row that was promoted, and claimed, would make a held job ready."""
    await jobs.create(NOTE, {}, scheduled_for=SOON)
    await wait_until_due(other, 1)
    async with database.transaction() as first:
        assert (await promote_due(first))[1] == {Ready("default", NOTE.name)}
        with mutated(LOCK_NO_JOBS), pytest.raises(Exception, match="lock timeout"):
            await promote_due(other)
        assert (await promote_due(other))[1] == set()
    assert len(await claim_all()) == 1


async def test_two_rescues_at_once_never_take_the_same_job(
    jobs: Jobs, database: Database, other: Connection, claim_all: ClaimAll
) -> None:
    """Taken twice, one lost run would be charged as two."""
    created = await jobs.create(NOTE, {})
    await dead_worker_with(claim_all, other)
    async with database.transaction() as first:
        assert (await rescue(first))[0] == [created.id]
        with mutated(RESCUE_LOCKS_NO_JOBS), pytest.raises(Exception, match="lock timeout"):
            await rescue(other)
        assert (await rescue(other))[0] == []
    view = await find(other, created.id)
    assert view is not None
    assert (view.state, view.lost_count) == ("pending", 1)


@pytest.mark.parametrize("job_type", [NOTE, LANE_NOTE], ids=["no lane", "lane"])
async def test_a_promotion_takes_a_batch_at_most_and_says_that_more_are_due(
    jobs: Jobs, other: Connection, monkeypatch: pytest.MonkeyPatch, job_type: object
) -> None:
    monkeypatch.setattr(core_upkeep, "BATCH", 3)
    await jobs.create_many([NewJob(job_type, {"lane": "a"}, scheduled_for=SOON) for _ in range(7)])  # type: ignore[arg-type]  # one of ours
    await wait_until_due(other, 7)
    left = []
    while True:
        due_in_s, _ = await promote_due(other)
        row = await fetch_one(
            other,
            "SELECT count(*) AS n FROM jobs.jobs WHERE state = 'pending' AND ready_seq IS NULL",
        )
        assert row is not None
        left.append(row["n"])
        if due_in_s is None:
            break
        assert due_in_s <= 0
    assert left == [4, 1, 0]


async def test_a_rescue_goes_on_batch_by_batch_until_nothing_is_left(
    jobs: Jobs, other: Connection, claim_all: ClaimAll, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(core_upkeep, "BATCH", 3)
    created = await jobs.create_many([NewJob(NOTE, {}) for _ in range(7)])
    assert await dead_worker_with(claim_all, other) == 7
    assert sorted((await rescue(other))[0]) == list(created.ids)


async def test_only_what_a_worker_holds_and_does_not_run_is_put_back(
    jobs: Jobs, other: Connection, worker_id: int, claim_all: ClaimAll
) -> None:
    """Started ones are charged as lost and suspected; those that another worker holds are not touched."""
    created = await jobs.create_many([NewJob(NOTE, {}) for _ in range(4)])
    neighbour = await register(other, queues=["default"], job_types=[], slots=1, lease_s=600)
    (others,) = await claim_all(neighbour, slots=1)
    known, stray, claimed = await claim_all()
    await start(other, stray)
    assert await put_back_strays(other, worker_id, [known.id]) == {Ready("default", NOTE.name)}
    assert await put_back_strays(other, worker_id, [known.id]) == set()
    assert [others.id, known.id, stray.id, claimed.id] == list(created.ids)
    assert [await state(other, job_id) for job_id in created.ids] == ["claimed", "claimed", "pending", "pending"]
    (job,) = await claim_all()
    assert (job.id, job.lost_count) == (claimed.id, 0)
    again = await claim_alone(other, worker_id=worker_id, queues=["default"], job_types=["note"])
    assert again is not None
    assert (again.id, again.lost_count, again.rescued) == (stray.id, 1, True)
    assert again.token > stray.token
