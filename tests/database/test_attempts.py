"""Attempts that did not complete are recorded with their reason, and a job that its own runs put back for ever is given up."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from jobs_core import (
    AnyJob,
    Complete,
    Connection,
    Fail,
    InvalidInput,
    Jobs,
    JobType,
    Outcome,
    Retry,
    RetryPolicy,
    Snooze,
    execute,
    fetch,
)
from jobs_core.look import find
from jobs_core.settle import put_back, settle
from jobs_core.wake import Ready
from tests.database.conftest import ClaimAll
from tests.support.job_types import LANE_NOTE, NOTE, Note
from workers.outcomes import DRAINED

NOW = timedelta(0)
ONCE = JobType("note", Note, retries=RetryPolicy(max_retries=0))


async def attempts(conn: Connection) -> list[tuple[Any, ...]]:
    rows = await fetch(conn, "SELECT token, reason, error FROM jobs.attempts ORDER BY token")
    return [(row["token"], row["reason"], row["error"]) for row in rows]


@pytest.mark.parametrize(
    ("outcome", "job_type", "reason", "error", "state"),
    [
        (Retry("flaky"), NOTE, "error", "flaky", "pending"),
        (Retry("flaky"), ONCE, "error", "flaky", "failed"),
        (Retry("slow", because="timeout"), NOTE, "timeout", "slow", "pending"),
        (Fail("hopeless"), NOTE, "error", "hopeless", "failed"),
        (Snooze(NOW), NOTE, "snoozed", "snoozed", "pending"),
        (Snooze(NOW, "429", because="rate_limited"), NOTE, "rate_limited", "429", "pending"),
        (Snooze(NOW, "no money left", because="budget"), NOTE, "budget", "no money left", "pending"),
        (DRAINED, NOTE, "drained", "drained: its worker was stopped", "pending"),
    ],
)
async def test_an_attempt_that_did_not_complete_is_recorded_with_its_reason(
    *,
    conn: Connection,
    jobs: Jobs,
    claim_all: ClaimAll,
    outcome: Outcome,
    job_type: JobType[Note],
    reason: str,
    error: str,
    state: str,
) -> None:
    await jobs.create(NOTE, Note())
    (job,) = await claim_all()
    assert (await settle(conn, job, outcome, job_type)).state == state
    assert await attempts(conn) == [(job.token, reason, error)]


async def test_a_run_that_completed_leaves_no_attempt(conn: Connection, jobs: Jobs, claim_all: ClaimAll) -> None:
    await jobs.create(NOTE, Note())
    (job,) = await claim_all()
    await settle(conn, job, Complete(), NOTE)
    assert await attempts(conn) == []


async def test_only_what_a_run_says_itself_ends_its_being_a_suspect(
    conn: Connection, jobs: Jobs, claim_all: ClaimAll
) -> None:
    for outcome, alone in ((DRAINED, True), (Snooze(NOW), False)):
        await execute(conn, "DELETE FROM jobs.jobs")
        await jobs.create(NOTE, Note())
        (job,) = await claim_all()
        await execute(conn, "UPDATE jobs.jobs SET alone = true")
        await settle(conn, job, outcome, NOTE)
        assert await fetch(conn, "SELECT alone FROM jobs.jobs") == [{"alone": alone}]


async def claim_past_its_time(
    conn: Connection, jobs: Jobs, claim_all: ClaimAll, job_type: JobType[Note] = NOTE
) -> AnyJob:
    """A claimed job whose time to give up has come."""
    await jobs.create(job_type, Note(lane="a"))
    (job,) = await claim_all()
    await execute(conn, "UPDATE jobs.jobs SET give_up_at = clock_timestamp() - interval '1 s'")
    return job


@pytest.mark.parametrize("outcome", [Snooze(NOW, "429", because="rate_limited"), Retry("flaky")])
async def test_a_run_that_puts_its_job_back_after_its_time_ends_it(
    conn: Connection, jobs: Jobs, claim_all: ClaimAll, outcome: Outcome
) -> None:
    job = await claim_past_its_time(conn, jobs, claim_all)
    assert (await settle(conn, job, outcome, NOTE)).state == "failed"
    view = await find(conn, job.id)
    assert view is not None
    assert view.error is not None
    assert view.error.startswith("gave up 1 day, 0:00:00 after its first claim: ")
    assert len(await attempts(conn)) == 1


async def test_a_lane_goes_on_when_its_head_is_given_up(conn: Connection, jobs: Jobs, claim_all: ClaimAll) -> None:
    job = await claim_past_its_time(conn, jobs, claim_all, LANE_NOTE)
    await jobs.create(LANE_NOTE, Note(lane="a", text="next"))
    await settle(conn, job, Snooze(NOW), LANE_NOTE)
    assert [job.input["text"] for job in await claim_all()] == ["next"]


async def test_what_a_drain_hands_back_is_never_given_up(conn: Connection, jobs: Jobs, claim_all: ClaimAll) -> None:
    job = await claim_past_its_time(conn, jobs, claim_all)
    assert (await settle(conn, job, DRAINED, NOTE)).state == "pending"


async def test_a_job_may_complete_after_its_time(conn: Connection, jobs: Jobs, claim_all: ClaimAll) -> None:
    job = await claim_past_its_time(conn, jobs, claim_all)
    assert (await settle(conn, job, Complete(), NOTE)).state == "complete"


async def test_the_time_to_give_up_counts_from_the_first_claim(
    conn: Connection, jobs: Jobs, claim_all: ClaimAll
) -> None:
    await jobs.create(NOTE, Note())
    assert await fetch(conn, "SELECT give_up_at FROM jobs.jobs") == [{"give_up_at": None}]
    (first,) = await claim_all()
    await put_back(conn, first, NOW, because="drained")
    (second,) = await claim_all()
    assert first.give_up_at == second.give_up_at
    assert abs(first.give_up_at - first.claimed_at - timedelta(hours=24)) < timedelta(seconds=1)


async def test_a_retry_that_asks_for_no_pause_has_none(conn: Connection, jobs: Jobs, claim_all: ClaimAll) -> None:
    await jobs.create(NOTE, Note())
    (job,) = await claim_all()
    settled = await settle(conn, job, Retry("at once", after=NOW), NOTE)
    assert settled.ready == (Ready("default", NOTE.name),)
    assert [again.retry_count for again in await claim_all()] == [1]


@pytest.mark.parametrize("until", ["tomorrow", datetime(2030, 1, 1)])  # noqa: DTZ001 - without a zone is the case
async def test_a_snooze_until_what_is_no_time_writes_nothing(
    conn: Connection, jobs: Jobs, claim_all: ClaimAll, until: Any
) -> None:
    await jobs.create(NOTE, Note())
    (job,) = await claim_all()
    with pytest.raises(InvalidInput, match="neither a time with its zone nor a span"):
        await settle(conn, job, Snooze(until), NOTE)
