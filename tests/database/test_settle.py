"""Settle on a real Postgres: outcomes, the fence, and what is written beside them."""

from datetime import timedelta

import pytest
from pydantic import BaseModel

from jobs_core import (
    AnyJob,
    Complete,
    Connection,
    Database,
    Fail,
    InvalidInput,
    Jobs,
    JobType,
    LeaseLost,
    Outcome,
    Retry,
    RetryPolicy,
    Snooze,
    execute,
    fence,
    fetch,
)
from jobs_core.claim import start
from jobs_core.look import JobView, find
from jobs_core.settle import settle, settled_earlier
from jobs_core.upkeep import promote_due
from jobs_core.wake import Ready
from tests.database.conftest import ClaimAll
from tests.support.job_types import NOTE, Note

STALE = [Complete(), Fail("no"), Retry("again"), Snooze(timedelta(hours=1))]


async def claimed(jobs: Jobs, claim_all: ClaimAll) -> AnyJob:
    await jobs.create(NOTE, Note())
    (job,) = await claim_all()
    return job


async def seen(conn: Connection, job: AnyJob) -> JobView:
    view = await find(conn, job.id)
    assert view is not None
    return view


async def let_an_hour_pass(conn: Connection) -> None:
    await execute(conn, "UPDATE jobs.jobs SET scheduled_for = scheduled_for - interval '1 hour'")


async def test_complete_moves_the_job_to_history_with_its_result(
    jobs: Jobs, conn: Connection, claim_all: ClaimAll
) -> None:
    job = await claimed(jobs, claim_all)
    await start(conn, job)
    await settle(conn, job, Complete({"n": 1}), NOTE)
    view = await seen(conn, job)
    assert (view.state, view.result, view.token) == ("complete", {"n": 1}, job.token)
    assert view.ended_at is not None
    assert await settled_earlier(conn, [job]) == {job.id}
    assert await fetch(conn, "SELECT FROM jobs.jobs") == []


@pytest.mark.parametrize("outcome", STALE)
async def test_a_stale_token_can_settle_nothing(
    jobs: Jobs, conn: Connection, claim_all: ClaimAll, outcome: Outcome
) -> None:
    old = await claimed(jobs, claim_all)
    await settle(conn, old, Snooze(timedelta(0)), NOTE)
    for taken_again in (False, True):
        if taken_again:
            (new,) = await claim_all()
            assert new.token > old.token
        before = await seen(conn, old)
        with pytest.raises(LeaseLost):
            await settle(conn, old, outcome, NOTE)
        with pytest.raises(LeaseLost):
            await start(conn, old)
        async with conn.transaction():
            with pytest.raises(LeaseLost):
                await fence(conn, old)
        assert await seen(conn, old) == before


async def test_an_ended_job_stays_ended(jobs: Jobs, conn: Connection, claim_all: ClaimAll) -> None:
    job = await claimed(jobs, claim_all)
    await settle(conn, job, Complete(), NOTE)
    for outcome in STALE:
        with pytest.raises(LeaseLost):
            await settle(conn, job, outcome, NOTE)
    assert (await seen(conn, job)).state == "complete"


async def test_also_is_written_with_the_outcome_or_not_at_all(
    jobs: Jobs, conn: Connection, claim_all: ClaimAll
) -> None:
    await execute(conn, "CREATE TABLE answers (text text)")

    async def write(settling: Connection) -> None:
        await execute(settling, "INSERT INTO answers VALUES ('yes')")

    async def write_and_break(settling: Connection) -> None:
        await write(settling)
        raise RuntimeError

    job = await claimed(jobs, claim_all)
    with pytest.raises(RuntimeError):
        await settle(conn, job, Complete(also=write_and_break), NOTE)
    assert (await seen(conn, job)).state == "claimed"
    assert await fetch(conn, "SELECT FROM answers") == []
    await settle(conn, job, Complete(also=write), NOTE)
    with pytest.raises(LeaseLost):
        await settle(conn, job, Complete(also=write), NOTE)
    assert len(await fetch(conn, "SELECT FROM answers")) == 1


async def test_a_takeover_waits_for_a_fenced_transaction(jobs: Jobs, database: Database, claim_all: ClaimAll) -> None:
    job = await claimed(jobs, claim_all)
    async with database.transaction() as run, database.transaction() as other:
        await fence(run, job)
        await execute(other, "SET LOCAL lock_timeout = '50ms'")
        with pytest.raises(Exception, match="lock timeout"):
            await execute(other, "UPDATE jobs.jobs SET worker_id = NULL, state = 'pending'")


async def test_retries_are_counted_wait_longer_and_end(jobs: Jobs, conn: Connection, claim_all: ClaimAll) -> None:
    twice = JobType("note", Note, retries=RetryPolicy(max_retries=2))
    job = await claimed(jobs, claim_all)
    waits = list[float]()
    for _ in range(2):
        await settle(conn, job, Retry("flaky"), twice)
        wait_s, _queues = await promote_due(conn)
        assert wait_s is not None
        waits.append(wait_s)
        assert await claim_all() == []
        await let_an_hour_pass(conn)
        assert await promote_due(conn) == (None, {Ready("default", NOTE.name)})
        (job,) = await claim_all()
    assert 26 <= waits[0] <= 30
    assert 53 <= waits[1] <= 60
    assert job.retry_count == 2
    await settle(conn, job, Retry("flaky"), twice)
    view = await seen(conn, job)
    assert (view.state, view.error) == ("failed", "flaky")


async def test_a_snooze_counts_nothing(jobs: Jobs, conn: Connection, claim_all: ClaimAll) -> None:
    job = await claimed(jobs, claim_all)
    await settle(conn, job, Snooze(timedelta(minutes=30), reason="busy"), NOTE)
    view = await seen(conn, job)
    assert (view.state, view.retry_count, view.error) == ("pending", 0, "busy")
    await let_an_hour_pass(conn)
    await promote_due(conn)
    assert len(await claim_all()) == 1


async def test_a_result_that_does_not_fit_its_type_settles_nothing(
    jobs: Jobs, conn: Connection, claim_all: ClaimAll
) -> None:
    class Answer(BaseModel):
        n: int

    job = await claimed(jobs, claim_all)
    with pytest.raises(InvalidInput, match=r"result\.n"):
        await settle(conn, job, Complete({"n": "many"}), JobType("note", Note, Result=Answer))
    assert (await seen(conn, job)).state == "claimed"


async def test_an_error_with_anything_in_it_is_kept(jobs: Jobs, conn: Connection, claim_all: ClaimAll) -> None:
    job = await claimed(jobs, claim_all)
    await settle(conn, job, Fail("a\0b\ud800" + "x" * 10_000), NOTE)
    error = (await seen(conn, job)).error
    assert error is not None
    assert error.startswith("a\N{REPLACEMENT CHARACTER}b?x")
    assert len(error) == 4_000


async def test_an_exceptions_own_policy_says_how_often_and_when(
    jobs: Jobs, conn: Connection, claim_all: ClaimAll
) -> None:
    at_once = RetryPolicy(max_retries=1, first_s=0.0)
    await jobs.create(NOTE, {})
    for state in ("pending", "failed"):
        (job,) = await claim_all()
        assert (await settle(conn, job, Retry("flaky", policy=at_once), NOTE)).state == state
