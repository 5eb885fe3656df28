"""Pauses on a real Postgres: what claims leave alone, from when on, and until when."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any, LiteralString

import pytest

from jobs_core import Complete, Connection, Database, InvalidInput, Jobs, NewJob, execute, fetch_one, statement
from jobs_core.claim import any_ready, claim, start
from jobs_core.leases import register
from jobs_core.pauses import Pause, end_due, pause, pauses, resume
from jobs_core.settle import settle
from jobs_core.suspects import claim_alone
from jobs_core.upkeep import look
from tests.database.conftest import ClaimAll
from tests.database.test_suspects import postgres_came_up_long_ago
from tests.support.database import until_blocked
from tests.support.job_types import BRIEF_NOTE, NOTE
from tests.support.mutants import NOTHING_PAUSED, mutated

QUEUES, TYPES = ("default", "other"), ("note", "brief_note")
NAMES: dict[str, Any] = {"queues": QUEUES, "job_types": TYPES}
EVERYTHING = {(queue, job_type) for queue in QUEUES for job_type in TYPES}
EXPLAIN: LiteralString = "EXPLAIN (ANALYZE, FORMAT JSON) "


async def one_of_each(jobs: Jobs) -> None:
    await jobs.create_many([NewJob(job_type, {}, queue=queue) for queue, job_type in sorted(EVERYTHING)])


async def taken(conn: Connection, worker_id: int) -> set[tuple[str, str]]:
    """Queue and type of what one claim takes."""
    return {(job.queue, job.job_type) for job in await claim(conn, worker_id=worker_id, slots=100, **NAMES)}


TARGETS = [
    ({"queue": "default"}, {("other", "note"), ("other", "brief_note")}),
    ({"job_type": "note"}, {("default", "brief_note"), ("other", "brief_note")}),
    ({"queue": "default", "job_type": "note"}, EVERYTHING - {("default", "note")}),
    ({"queue": "elsewhere"}, EVERYTHING),
    ({"queue": "default", "job_type": "elsewhere"}, EVERYTHING),
]


@pytest.mark.parametrize(("target", "left"), TARGETS)
async def test_what_is_paused_is_not_claimed_and_all_else_is(
    jobs: Jobs, conn: Connection, worker_id: int, target: dict[str, Any], left: set[tuple[str, str]]
) -> None:
    await one_of_each(jobs)
    await pause(conn, **target, set_by="ada")
    assert await taken(conn, worker_id) == left
    assert not await any_ready(conn, **NAMES)
    await resume(conn, **target)
    assert await taken(conn, worker_id) == EVERYTHING - left


async def test_without_the_claims_guard_it_would_be(jobs: Jobs, conn: Connection, worker_id: int) -> None:
    await one_of_each(jobs)
    await pause(conn, queue="default", set_by="ada")
    with mutated(NOTHING_PAUSED):
        assert await any_ready(conn, queues=["default"], job_types=TYPES)
        assert await taken(conn, worker_id) == EVERYTHING


async def taken_by_claims_that_began_after_the_commit(database: Database, jobs: Jobs) -> int:
    """Four workers claim without end while their queue is paused; how many jobs are taken by claims that began later."""
    await jobs.create_many([NewJob(NOTE, {}) for _ in range(400)])
    committed, took_late, claims = asyncio.Event(), 0, 0

    async def work() -> None:
        nonlocal took_late, claims
        async with database.connection() as conn:
            worker_id = await register(conn, slots=1, lease_s=600, **NAMES)
            for _ in range(1000):
                began_later = committed.is_set()
                claimed = await claim(conn, worker_id=worker_id, slots=1, **NAMES)
                claims += 1
                took_late += len(claimed) if began_later else 0
                if began_later:
                    return

    async def pause_amid() -> None:
        while claims < 40:
            await asyncio.sleep(0)
        async with database.connection() as conn:
            await pause(conn, queue="default", set_by="ada")
        committed.set()

    await asyncio.gather(pause_amid(), *(work() for _ in range(4)))
    return took_late


async def test_no_claim_that_begins_after_the_commit_takes_such_a_job(database: Database, jobs: Jobs) -> None:
    assert await taken_by_claims_that_began_after_the_commit(database, jobs) == 0
    with mutated(NOTHING_PAUSED):
        assert await taken_by_claims_that_began_after_the_commit(database, jobs) > 0


async def test_what_runs_goes_on(jobs: Jobs, conn: Connection, claim_all: ClaimAll) -> None:
    await jobs.create(NOTE, {})
    (job,) = await claim_all()
    await pause(conn, queue="default", job_type="note", set_by="ada")
    await start(conn, job)
    assert (await settle(conn, job, Complete(), NOTE)).state == "complete"


async def suspect(jobs: Jobs, conn: Connection) -> None:
    """A job that is to run alone."""
    await jobs.create(NOTE, {})
    await execute(conn, "UPDATE jobs.jobs SET alone = true")


async def test_suspects_wait_for_the_end_of_a_pause_too_and_nobody_is_started_for_them(
    jobs: Jobs, conn: Connection, worker_id: int
) -> None:
    await suspect(jobs, conn)
    await pause(conn, job_type="note", set_by="ada")
    assert (await look(conn, **NAMES)).suspects == 0
    assert await claim_alone(conn, worker_id=worker_id, **NAMES) is None
    await resume(conn, job_type="note")
    assert (await look(conn, **NAMES)).suspects == 1
    assert await claim_alone(conn, worker_id=worker_id, **NAMES) is not None


async def test_without_their_guards_a_suspect_would_be_counted_and_run(
    jobs: Jobs, conn: Connection, worker_id: int
) -> None:
    await suspect(jobs, conn)
    await pause(conn, job_type="note", set_by="ada")
    with mutated(NOTHING_PAUSED):
        assert (await look(conn, **NAMES)).suspects == 1
        assert await claim_alone(conn, worker_id=worker_id, **NAMES) is not None


async def test_the_runs_of_a_silent_worker_count_as_suspects_only_where_they_may_be_claimed(
    jobs: Jobs, conn: Connection
) -> None:
    await jobs.create(NOTE, {})
    worker_id = await register(conn, slots=1, lease_s=2, **NAMES)
    (job,) = await claim(conn, worker_id=worker_id, slots=1, **NAMES)
    await start(conn, job)
    await postgres_came_up_long_ago(conn)
    await execute(conn, "UPDATE jobs.workers SET expires_at = clock_timestamp() + interval '0.4 s' * lease_s")
    assert (await look(conn, **NAMES)).suspects == 1
    await pause(conn, queue="default", set_by="ada")
    assert (await look(conn, **NAMES)).suspects == 0


async def let_its_time_pass(conn: Connection) -> None:
    await execute(
        conn, "UPDATE jobs.pauses SET started_at = started_at - interval '2 h', until = until - interval '2 h'"
    )


async def test_a_pause_ends_at_its_time_though_nobody_has_put_it_away(
    jobs: Jobs, conn: Connection, claim_all: ClaimAll
) -> None:
    await jobs.create(NOTE, {})
    await pause(conn, queue="default", until=timedelta(hours=1), set_by="ada")
    assert await claim_all() == []
    await let_its_time_pass(conn)
    assert await pauses(conn) == []
    assert len(await claim_all()) == 1


async def test_upkeep_sees_when_the_next_pause_ends_and_when_it_has(conn: Connection) -> None:
    assert (seen := await look(conn)).due_in_s is None
    assert not seen.pause_over
    await pause(conn, queue="default", set_by="ada")
    assert (await look(conn)).due_in_s is None
    await pause(conn, job_type="note", until=timedelta(hours=1), set_by="ada")
    seen = await look(conn)
    assert seen.due_in_s is not None
    assert (3590 < seen.due_in_s <= 3600, seen.pause_over) == (True, False)
    assert not await end_due(conn)
    await let_its_time_pass(conn)
    seen = await look(conn)
    assert (seen.due_in_s, seen.pause_over) == (None, True)
    assert [await end_due(conn), await end_due(conn)] == [True, False]
    assert not (await look(conn)).pause_over
    assert [one.queue for one in await pauses(conn)] == ["default"]


async def test_upkeep_waits_for_nobody_who_prolongs_a_pause_and_ends_none_that_was(
    database: Database, conn: Connection
) -> None:
    await pause(conn, queue="default", until=timedelta(hours=1), set_by="ada")
    await let_its_time_pass(conn)
    async with database.transaction() as other:
        await execute(other, "UPDATE jobs.pauses SET until = until + interval '1 day'")
        assert not await end_due(conn)
    assert not await end_due(conn)
    assert len(await pauses(conn)) == 1


async def test_a_resume_lifts_just_what_it_names_and_says_what_that_was(conn: Connection) -> None:
    await pause(conn, queue="default", reason="the disk is full", set_by="ada")
    await pause(conn, queue="default", job_type="note", set_by="bob")
    await pause(conn, job_type="note", set_by="bob")
    (lifted,) = await resume(conn, queue="default")
    assert (lifted.because, lifted.reason, lifted.set_by, lifted.until) == ("operator", "the disk is full", "ada", None)
    assert await resume(conn, queue="default") == []
    assert [(one.queue, one.job_type) for one in await pauses(conn)] == [("default", "note"), (None, "note")]


async def test_an_operators_last_word_stands(conn: Connection) -> None:
    far = datetime.now(UTC) + timedelta(days=1)
    await pause(conn, queue="default", until=far, reason="first", set_by="ada")
    second = await pause(conn, queue="default", until=timedelta(hours=1), set_by="bob")
    assert await pauses(conn) == [second]
    assert (second.set_by, second.reason) == ("bob", None)
    assert second.until is not None
    assert second.until < far


async def test_of_two_operators_at_once_the_later_one_stands(database: Database, conn: Connection) -> None:
    async with database.connection() as other:
        async with conn.transaction():
            await pause(conn, queue="default", set_by="ada")
            second = asyncio.create_task(pause(other, queue="default", set_by="bob"))
            await until_blocked(conn)
        await second
        assert [one.set_by for one in await pauses(other)] == ["bob"]


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({}, "queue"),
        ({"queue": ""}, "queue"),
        ({"queue": "x" * 201}, "queue"),
        ({"job_type": "a\0b"}, "job_type"),
        ({"queue": "q", "set_by": ""}, "set_by"),
        ({"queue": "q", "reason": "\ud800"}, "reason"),
        ({"queue": "q", "reason": "x" * 4001}, "reason"),
        ({"queue": "q", "until": timedelta(0)}, "until"),
        ({"queue": "q", "until": timedelta.max}, "until"),
        ({"queue": "q", "until": "tomorrow"}, "until"),
        ({"queue": "q", "until": datetime(2020, 1, 1, tzinfo=UTC)}, "until"),
        ({"queue": "q", "until": datetime(2130, 1, 1)}, "until"),  # noqa: DTZ001 - without a zone is the case
    ],
)
async def test_what_does_not_fit_is_refused_by_its_field_and_changes_nothing(
    conn: Connection, given: dict[str, Any], field: str
) -> None:
    before = await pause(conn, queue="q", set_by="ada")
    with pytest.raises(InvalidInput) as refused:
        await pause(conn, **{"set_by": "bob", **given})
    assert refused.value.field == field
    assert await pauses(conn) == [before]


def test_a_pause_says_whom_it_concerns() -> None:
    now = datetime.now(UTC)
    both = Pause("q", "t", "operator", None, "ada", now, None)
    queue = Pause("q", None, "operator", None, "ada", now, None)
    asked = [("q", "t"), ("q", None), (None, "t"), (None, None), ("other", "t"), ("q", "other"), ("other", None)]
    assert [both.concerns(queue=q, job_type=t) for q, t in asked] == [True, True, True, True, False, False, False]
    assert [queue.concerns(queue=q, job_type=t) for q, t in asked] == [True, True, True, True, False, True, False]


def looked_up(plan: dict[str, Any]) -> int:
    """How often `jobs` was looked into, all through a plan that was run."""
    own = plan["Actual Loops"] if plan.get("Relation Name") == "jobs" else 0
    return int(own) + sum(looked_up(child) for child in plan.get("Plans", []))


async def test_what_is_paused_costs_a_claim_nothing_however_much_there_is(
    jobs: Jobs, conn: Connection, worker_id: int
) -> None:
    """Each queue and type has an index range of its own, and those of paused ones are not even looked into."""
    await jobs.create_many([NewJob(BRIEF_NOTE, {}) for _ in range(1000)])
    await execute(
        conn, "ANALYZE jobs.jobs"
    )  # or 26 pages, thought to hold a hundred rows, are read whole for the update
    values = {**NAMES, "worker_id": worker_id, "give_up_s": [60.0, 60.0], "floors": [0] * 5, "slots": 10}
    values |= {name: list(values[name]) for name in NAMES}

    async def looks() -> int:
        async with conn.transaction(force_rollback=True):
            row = await fetch_one(conn, EXPLAIN + statement("jobs_core", "job/claim"), values)
        assert row is not None
        return looked_up(row["QUERY PLAN"][0]["Plan"]) - 1  # the update itself

    everywhere = await looks()
    await pause(conn, job_type="note", set_by="ada")
    half = await looks()
    await pause(conn, job_type="brief_note", set_by="ada")
    assert (everywhere > half > 0, await looks()) == (True, 0)
