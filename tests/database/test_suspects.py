"""Suspects on a real Postgres: whose started run was lost runs next alone, and only losses while alone end a job."""

import asyncio
import re
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from jobs_core import AnyJob, Connection, Database, Jobs, Retry, Snooze, execute, fetch, statement
from jobs_core.claim import any_ready, start
from jobs_core.leases import register, retire
from jobs_core.look import find
from jobs_core.outcomes import Outcome
from jobs_core.settle import settle
from jobs_core.suspects import claim_alone
from jobs_core.upkeep import look, rescue
from jobs_core.wake import Ready
from tests.database.conftest import ClaimAll
from tests.support.job_types import NOTE
from tests.support.mutants import PLAIN_LIMIT, mutated

NAMES = {"queues": ["default"], "job_types": ["note", "brief_note", "lane_note"]}
Alone = Callable[[], Awaitable[AnyJob | None]]


@pytest.fixture
def alone(conn: Connection) -> Alone:
    """Claim a suspect, for a new worker each time."""

    async def claim_one() -> AnyJob | None:
        worker = await register(conn, slots=1, lease_s=600, **NAMES)
        return await claim_alone(conn, worker_id=worker, **NAMES)

    return claim_one


async def lose(conn: Connection, *jobs: AnyJob | None) -> None:
    """The worker of these started jobs dies."""
    for job in jobs:
        assert job is not None
        await start(conn, job)
    (worker,) = await fetch(
        conn, "SELECT worker_id FROM jobs.jobs WHERE id = %(id)s", {"id": jobs[0].id if jobs[0] else 0}
    )
    await retire(conn, worker["worker_id"])
    await rescue(conn)


async def attempts(conn: Connection, job_id: int) -> list[tuple[str, bool]]:
    """Reason, and whether it was alone, of each recorded attempt of a job, oldest first."""
    sql = "SELECT reason, alone FROM jobs.attempts WHERE job_id = %(id)s ORDER BY token"
    return [(row["reason"], row["alone"]) for row in await fetch(conn, sql, {"id": job_id})]


async def test_a_job_whose_started_run_was_lost_is_left_to_those_that_run_it_alone(
    jobs: Jobs, conn: Connection, claim_all: ClaimAll, alone: Alone
) -> None:
    created = await jobs.create(NOTE, {})
    await lose(conn, *await claim_all())
    await execute(conn, "UPDATE jobs.workers SET dead_at = NULL")
    assert await claim_all() == []
    assert not await any_ready(conn, **NAMES)
    suspect = await alone()
    assert suspect is not None
    assert (suspect.id, suspect.lost_count, suspect.rescued) == (created.id, 1, True)
    assert await alone() is None


async def test_without_the_claims_guard_a_suspect_would_run_among_others(
    jobs: Jobs, conn: Connection, claim_all: ClaimAll
) -> None:
    await jobs.create(NOTE, {})
    await lose(conn, *await claim_all())
    await execute(conn, "UPDATE jobs.workers SET dead_at = NULL")
    with mutated((" AND NOT j.alone", "")):
        assert len(await claim_all()) == 1


async def test_who_was_never_lost_is_not_claimed_alone(jobs: Jobs, alone: Alone) -> None:
    await jobs.create(NOTE, {})
    assert await alone() is None


async def test_a_job_that_was_claimed_and_not_started_is_no_suspect(
    jobs: Jobs, conn: Connection, worker_id: int, claim_all: ClaimAll
) -> None:
    created = await jobs.create(NOTE, {})
    await claim_all()
    await retire(conn, worker_id)
    assert await rescue(conn) == ([created.id], {Ready("default", NOTE.name)})
    (again,) = await claim_all(await register(conn, slots=1, lease_s=600, **NAMES))
    assert (again.lost_count, again.rescued) == (0, True)
    assert await attempts(conn, created.id) == []


async def test_suspects_are_claimed_one_at_a_time_and_each_by_one(
    jobs: Jobs, conn: Connection, database: Database, claim_all: ClaimAll, alone: Alone
) -> None:
    first, second = await jobs.create(NOTE, {}), await jobs.create(NOTE, {})
    await lose(conn, *await claim_all())
    async with database.transaction() as slow:
        worker = await register(slow, slots=1, lease_s=600, **NAMES)
        taken = await claim_alone(slow, worker_id=worker, **NAMES)
        other = await alone()
    assert taken is not None
    assert other is not None
    assert {taken.id, other.id} == {first.id, second.id}


async def test_a_runner_whose_lease_ran_out_claims_no_suspect(
    jobs: Jobs, conn: Connection, worker_id: int, claim_all: ClaimAll
) -> None:
    await jobs.create(NOTE, {})
    await lose(conn, *await claim_all())
    assert await claim_alone(conn, worker_id=worker_id, **NAMES) is None


async def test_the_third_loss_while_alone_ends_a_job_and_lets_its_lane_go_on(
    jobs: Jobs, conn: Connection, claim_all: ClaimAll, alone: Alone
) -> None:
    crashing = await jobs.create("lane_note", {"lane": "a"})
    await jobs.create("lane_note", {"lane": "a", "text": "next"})
    await lose(conn, *await claim_all())
    for _ in range(2):
        await lose(conn, await alone())
        assert (view := await find(conn, crashing.id)) is not None
        assert view.state == "pending"
    await lose(conn, await alone())
    assert (view := await find(conn, crashing.id)) is not None
    assert (view.state, view.error) == (
        "failed",
        "lost: its worker died or froze 3 times while this job was the only one in its process; not tried again",
    )
    assert await attempts(conn, crashing.id) == [("lost", False), ("lost", True), ("lost", True), ("lost", True)]
    (job,) = await claim_all(await register(conn, slots=1, lease_s=600, **NAMES))
    assert job.input["text"] == "next"


async def test_losses_among_others_do_not_end_a_job(
    jobs: Jobs, conn: Connection, claim_all: ClaimAll, alone: Alone
) -> None:
    """Each time it proves itself alone, and is lost with others again."""
    created = await jobs.create(NOTE, {})
    for lost in range(1, 6):
        await lose(conn, *await claim_all(await register(conn, slots=9, lease_s=600, **NAMES)))
        suspect = await alone()
        assert suspect is not None
        assert suspect.lost_count == lost
        await settle(conn, suspect, Snooze(until=suspect.created_at), NOTE)
    assert (view := await find(conn, created.id)) is not None
    assert (view.state, view.lost_count) == ("pending", 5)


@pytest.mark.parametrize("outcome", [Retry("later"), Snooze(until=NOTE.timeout)])
async def test_an_outcome_of_its_own_clears_a_suspect(
    jobs: Jobs, conn: Connection, claim_all: ClaimAll, alone: Alone, outcome: Outcome
) -> None:
    await jobs.create(NOTE, {})
    await lose(conn, *await claim_all())
    suspect = await alone()
    assert suspect is not None
    await settle(conn, suspect, outcome, NOTE)
    await execute(conn, "UPDATE jobs.jobs SET ready_seq = 1")
    assert await alone() is None


async def test_with_a_plain_limit_innocent_jobs_would_fail_with_the_one_that_crashes(
    jobs: Jobs, conn: Connection, claim_all: ClaimAll
) -> None:
    innocent = await jobs.create(NOTE, {})
    with mutated(*PLAIN_LIMIT):
        for _ in range(3):
            await lose(conn, *await claim_all(await register(conn, slots=9, lease_s=600, **NAMES)))
    assert (view := await find(conn, innocent.id)) is not None
    assert view.state == "failed"


async def test_a_look_counts_ready_suspects_of_the_queues_and_types_asked_for(
    jobs: Jobs, conn: Connection, claim_all: ClaimAll
) -> None:
    for _ in range(3):
        await jobs.create(NOTE, {})
    await lose(conn, *(await claim_all())[:2])
    assert (await look(conn, **NAMES)).suspects == 2
    assert (await look(conn, queues=["other"], job_types=["note"])).suspects == 0
    assert (await look(conn, queues=["default"], job_types=["other"])).suspects == 0


async def test_a_look_counts_the_started_runs_of_a_worker_that_is_silent_for_half_its_lease(
    jobs: Jobs, conn: Connection, claim_all: ClaimAll
) -> None:
    """So that runners are warm when these are lost. Those of a worker that renews are nobody's suspects."""
    for _ in range(3):
        await jobs.create(NOTE, {})
    worker = await register(conn, slots=3, lease_s=2, **NAMES)
    claimed = await claim_all(worker)
    for job in claimed[:2]:
        await start(conn, job)
    await postgres_came_up_long_ago(conn)
    assert (await look(conn, **NAMES)).suspects == 0
    await execute(
        conn,
        "UPDATE jobs.workers SET expires_at = clock_timestamp() + interval '0.4 s' * lease_s WHERE id = %(id)s",
        {"id": worker},
    )
    assert (await look(conn, **NAMES)).suspects == 2
    assert (await look(conn, queues=["other"], job_types=["note"])).suspects == 0


async def postgres_came_up_long_ago(conn: Connection) -> None:
    """In the first lease after Postgres came up nobody counts as silent: wait until one of 2 s is over."""
    while not await fetch(conn, "SELECT WHERE pg_postmaster_start_time() < clock_timestamp() - interval '2 s'"):
        await asyncio.sleep(0.05)
    await execute(conn, "UPDATE jobs.workers SET expires_at = clock_timestamp() + make_interval(secs => lease_s)")


def test_a_suspect_is_claimed_with_the_columns_of_every_claim() -> None:
    """A Job is made of them by position."""

    def columns(name: str) -> list[str]:
        returned = re.sub(r"--.*", "", statement("jobs_core", name)).rpartition("RETURNING")[2]
        return [column.split(".")[-1] for column in re.split(r",\s*", returned.strip())]

    assert columns("job/claim_alone") == columns("job/claim")


@pytest.mark.parametrize(("retention", "kept"), [("long", "long"), ("none", "short"), (None, "standard")])
async def test_a_job_ended_by_its_crashes_is_kept_as_its_type_says(
    jobs: Jobs, conn: Connection, claim_all: ClaimAll, retention: Any, kept: str
) -> None:
    await jobs.create(NOTE, {})
    (job,) = await claim_all()
    await start(conn, job)
    await execute(conn, "UPDATE jobs.jobs SET alone = true, alone_lost_count = 2")
    await execute(conn, "UPDATE jobs.workers SET dead_at = clock_timestamp()")
    await rescue(conn, retentions={"note": retention} if retention else None)
    assert await fetch(conn, "SELECT state, retention FROM jobs.history") == [{"state": "failed", "retention": kept}]
