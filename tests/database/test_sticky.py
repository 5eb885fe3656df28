"""Sticky jobs on a real Postgres: they wait a moment for the worker that ran the last one of their key, and then for nobody."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from jobs_core import (
    AnyJob,
    Complete,
    Connection,
    Database,
    Fail,
    HandlerTable,
    Jobs,
    JobType,
    Limit,
    NewJob,
    Retry,
    execute,
    fetch,
    statement,
)
from jobs_core.claim import claim, start
from jobs_core.explain import explain
from jobs_core.lanes import hold, release
from jobs_core.leases import register, retire
from jobs_core.pauses import pause
from jobs_core.redrive import Letters, redrive
from jobs_core.settle import settle
from jobs_core.sticky import claim_sticky, forget_sticky_keys, leave, remember
from jobs_core.upkeep import promote_due, rescue
from jobs_core.wake import Ready
from tests.support.job_types import Note
from tests.support.mutants import mutated

STICKY = JobType("sticky", Note, sticky_key=lambda note: note.text or None, sticky_for=timedelta(seconds=30))
IN_LANE = replace(STICKY, name="in_lane", lane=lambda note: note.lane)
LIMITED = replace(STICKY, name="limited", limits=lambda _: [Limit("k", slots=1)])
TYPES = ["sticky", "in_lane", "limited"]
SERVES: dict[str, Any] = {"queues": ["default"], "job_types": TYPES}


@pytest.fixture
async def jobs(database: Database) -> AsyncIterator[Jobs]:
    """Creates sticky jobs."""
    known = HandlerTable()
    known.declare_all([STICKY, IN_LANE, LIMITED])
    async with Jobs(database, known) as creator:
        yield creator


@pytest.fixture
async def warm(jobs: Jobs, conn: Connection) -> int:
    """A worker with room for two that has run a job of the key `a`."""
    worker_id = await register(conn, **SERVES, slots=2, lease_s=600)
    await jobs.create(STICKY, {"text": "a"})
    (job,) = await claim(conn, worker_id=worker_id, **SERVES, slots=1)
    await remember(conn, job)
    await settle(conn, job, Complete(), STICKY)
    return worker_id


@pytest.fixture
async def other(conn: Connection) -> int:
    """A worker like that one, which has run nothing."""
    return await register(conn, **SERVES, slots=2, lease_s=600)


async def taken(conn: Connection, worker_id: int) -> list[int]:
    """Ids of the jobs that this worker finds by an ordinary claim."""
    return [job.id for job in await claim(conn, worker_id=worker_id, **SERVES, slots=10)]


async def taken_as_preferred(conn: Connection, worker_id: int, slots: int = 10) -> list[AnyJob]:
    return await claim_sticky(conn, worker_id=worker_id, **SERVES, slots=slots)


async def grace_over(conn: Connection) -> set[Ready]:
    await execute(conn, "UPDATE jobs.jobs SET scheduled_for = now() WHERE preferred_worker IS NOT NULL")
    _, ready = await promote_due(conn)
    return ready


async def test_a_job_waits_for_the_worker_that_ran_the_last_one_of_its_key(
    jobs: Jobs, conn: Connection, warm: int, other: int
) -> None:
    woken = list[Ready | None]()
    jobs.notifier.on_wake = woken.append
    created = await jobs.create(STICKY, {"text": "a"})
    assert woken == [Ready("default", "sticky", warm)]
    assert await taken(conn, other) == await taken(conn, warm) == []
    assert await taken_as_preferred(conn, other) == []
    (job,) = await taken_as_preferred(conn, warm)
    assert job.id == created.id
    await start(conn, job)
    await settle(conn, job, Complete(), STICKY)


async def test_of_creates_that_are_one_job_it_goes_by_the_input_that_the_job_has(
    jobs: Jobs, conn: Connection, warm: int
) -> None:
    """In one call, with one unique key: the first makes the job, and the others only meet it."""
    made = [
        NewJob(STICKY, {"text": text}, unique_key=key, unique_while="unfinished")
        for key, texts in (("u", ("a", "b")), ("v", ("", "a")))
        for text in texts
    ]
    created = await jobs.create_many(made)
    (job,) = await taken_as_preferred(conn, warm)
    assert (job.id, created.ids[1]) == (created.ids[0], created.ids[0])
    rows = await fetch(conn, "SELECT input ->> 'text' AS text, sticky_key FROM jobs.jobs ORDER BY id")
    assert [(row["text"], row["sticky_key"]) for row in rows] == [("a", "a"), ("", None)]


async def test_without_its_wait_it_would_go_anywhere(jobs: Jobs, conn: Connection, warm: int, other: int) -> None:
    assert warm
    with mutated(("WHERE j.id = wanted.id AND wanted.nth <= room.n", "WHERE j.id = wanted.id AND room.n < 0")):
        created = await jobs.create(STICKY, {"text": "a"})
    assert await taken(conn, other) == [created.id]


async def test_when_its_time_is_over_it_is_ready_for_all_and_waits_no_more(
    jobs: Jobs, conn: Connection, warm: int, other: int
) -> None:
    created = await jobs.create(STICKY, {"text": "a"})
    assert await grace_over(conn) == {Ready("default", "sticky")}
    assert await taken_as_preferred(conn, warm) == []
    (job,) = await claim(conn, worker_id=other, **SERVES, slots=1)
    await remember(conn, job)
    await settle(conn, job, Retry("again", after=timedelta(hours=1)), STICKY)
    assert await taken_as_preferred(conn, warm) == await taken_as_preferred(conn, other) == []
    assert job.id == created.id


async def retired(conn: Connection, worker_id: int) -> None:
    await retire(conn, worker_id)


async def silent(conn: Connection, worker_id: int) -> None:
    await execute(conn, "UPDATE jobs.workers SET expires_at = now() WHERE id = %(id)s", {"id": worker_id})


async def serves_other_types(conn: Connection, worker_id: int) -> None:
    await execute(conn, "UPDATE jobs.workers SET job_types = '{note}' WHERE id = %(id)s", {"id": worker_id})


async def serves_other_queues(conn: Connection, worker_id: int) -> None:
    await execute(conn, "UPDATE jobs.workers SET queues = '{mail}' WHERE id = %(id)s", {"id": worker_id})


async def draining(conn: Connection, worker_id: int) -> None:
    await leave(conn, worker_id)


async def forgotten(conn: Connection, _: int) -> None:
    await execute(conn, "UPDATE jobs.sticky_keys SET ran_at = now() - interval '25 h'")
    await forget_sticky_keys(conn)


async def busy(conn: Connection, worker_id: int) -> None:
    await execute(
        conn,
        "INSERT INTO jobs.jobs (job_type, queue, priority, state, input, worker_id) "
        "SELECT 'note', 'default', 2, 'running', '{}', %(id)s FROM generate_series(1, 2)",
        {"id": worker_id},
    )


@pytest.mark.parametrize(
    "changed", [retired, silent, serves_other_types, serves_other_queues, draining, forgotten, busy]
)
async def test_a_worker_that_cannot_take_it_is_not_waited_for(
    jobs: Jobs, conn: Connection, warm: int, other: int, changed: Any
) -> None:
    await changed(conn, warm)
    created = await jobs.create(STICKY, {"text": "a"})
    assert await taken(conn, other) == [created.id]


async def test_another_key_and_none_wait_for_nobody(jobs: Jobs, conn: Connection, warm: int, other: int) -> None:
    assert warm
    created = await jobs.create_many([NewJob(STICKY, {"text": text}) for text in ("b", "")])
    assert await taken(conn, other) == [*created.ids]


async def test_no_more_jobs_wait_for_a_worker_than_it_has_room_for(
    jobs: Jobs, conn: Connection, warm: int, other: int
) -> None:
    first = await jobs.create(STICKY, {"text": "a"})
    rest = await jobs.create_many([NewJob(STICKY, {"text": "a"})] * 3)
    assert await taken(conn, other) == [*rest.ids[1:]]
    assert [job.id for job in await taken_as_preferred(conn, warm)] == [first.id, rest.ids[0]]


async def test_the_next_of_a_lane_waits_for_the_worker_that_ended_the_one_before(
    jobs: Jobs, conn: Connection, warm: int, other: int
) -> None:
    _, second, third = [(await jobs.create(IN_LANE, {"lane": "turn:7", "text": "s"})).id for _ in range(3)]
    (head,) = await claim(conn, worker_id=warm, **SERVES, slots=10)
    await start(conn, head)
    await remember(conn, head)
    settled = await settle(conn, head, Complete(), IN_LANE)
    assert settled.ready == (Ready("default", "in_lane", warm),)
    assert await taken(conn, other) == []
    (head,) = await taken_as_preferred(conn, warm)
    assert head.id == second
    await settle(conn, head, Complete(), IN_LANE)
    await grace_over(conn)
    assert await taken(conn, other) == [third]


async def test_a_head_that_waits_for_its_worker_is_held_with_its_lane_and_released(
    jobs: Jobs, conn: Connection, warm: int, other: int
) -> None:
    created = await jobs.create(IN_LANE, {"lane": "turn:7", "text": "a"})
    await hold(conn, "turn:7", held_by="ada")
    assert await taken_as_preferred(conn, warm) == []
    assert await grace_over(conn) == set()
    assert await taken(conn, other) == []
    released = await release(conn, "turn:7")
    assert released is not None
    assert released.ready == (Ready("default", "in_lane", warm),)
    assert [job.id for job in await taken_as_preferred(conn, warm)] == [created.id]


async def test_a_paused_job_is_left_alone_by_its_worker_too(
    jobs: Jobs, conn: Connection, warm: int, other: int
) -> None:
    created = await jobs.create(STICKY, {"text": "a"})
    await pause(conn, queue="default", set_by="ada")
    assert await taken_as_preferred(conn, warm) == []
    assert "queue default is paused by ada" in [why.text for why in await explain(conn, created.id) or ()]
    await grace_over(conn)
    assert await taken(conn, other) == []


async def test_a_job_with_limits_waits_for_slots_and_for_no_worker(jobs: Jobs, conn: Connection, warm: int) -> None:
    await jobs.create(LIMITED, {"text": "a"})
    assert await fetch(conn, "SELECT preferred_worker FROM jobs.jobs") == [{"preferred_worker": None}]
    assert await taken_as_preferred(conn, warm) == []


async def test_a_job_that_is_due_later_waits_for_nobody_when_it_is(
    jobs: Jobs, conn: Connection, warm: int, other: int
) -> None:
    created = await jobs.create(STICKY, {"text": "a"}, scheduled_for=timedelta(hours=1))
    assert await taken_as_preferred(conn, warm) == []
    await execute(conn, "UPDATE jobs.jobs SET scheduled_for = now()")
    await promote_due(conn)
    assert await taken(conn, other) == [created.id]


async def test_a_worker_that_leaves_lets_go_of_those_that_wait_for_it(
    jobs: Jobs, conn: Connection, warm: int, other: int
) -> None:
    created = await jobs.create(STICKY, {"text": "a"})
    assert await leave(conn, warm) == {Ready("default", "sticky")}
    assert await taken(conn, other) == [created.id]


async def test_a_dead_worker_claims_nothing_that_waits_for_it(jobs: Jobs, conn: Connection, warm: int) -> None:
    await jobs.create(STICKY, {"text": "a"})
    await retire(conn, warm)
    assert await taken_as_preferred(conn, warm) == []


async def test_a_suspect_and_its_runner_are_nobodys_last(jobs: Jobs, conn: Connection, warm: int, other: int) -> None:
    created = await jobs.create(STICKY, {"text": "a"})
    (job,) = await taken_as_preferred(conn, warm)
    await start(conn, job)
    await retire(conn, warm)
    await rescue(conn)
    assert await fetch(conn, "SELECT alone, preferred_worker FROM jobs.jobs") == [
        {"alone": True, "preferred_worker": None}
    ]
    await execute(
        conn,
        "UPDATE jobs.jobs SET state = 'running', ready_seq = NULL, worker_id = %(id)s, token = 99 WHERE id = %(job)s",
        {"id": other, "job": created.id},
    )
    await remember(conn, replace(job, token=99))
    assert await fetch(conn, "SELECT worker_id FROM jobs.sticky_keys") == [{"worker_id": warm}]


async def test_only_who_holds_the_job_is_remembered(jobs: Jobs, conn: Connection, warm: int, other: int) -> None:
    await jobs.create(STICKY, {"text": "a"})
    (job,) = await taken_as_preferred(conn, warm)
    await settle(conn, job, Retry("again", after=timedelta(0)), STICKY)
    (again,) = await claim(conn, worker_id=other, **SERVES, slots=1)
    await remember(conn, job)
    assert await fetch(conn, "SELECT worker_id FROM jobs.sticky_keys") == [{"worker_id": warm}]
    await remember(conn, again)
    assert await fetch(conn, "SELECT worker_id FROM jobs.sticky_keys") == [{"worker_id": other}]


async def test_what_its_worker_claims_is_taken_once_and_not_promoted(
    jobs: Jobs, database: Database, conn: Connection, warm: int
) -> None:
    await jobs.create(STICKY, {"text": "a"})
    await execute(conn, "UPDATE jobs.jobs SET scheduled_for = now()")
    async with database.transaction() as claiming:
        assert len(await taken_as_preferred(claiming, warm)) == 1
        assert await taken_as_preferred(conn, warm) == []
        assert (await promote_due(conn))[1] == set()
    assert await taken_as_preferred(conn, warm) == []
    assert (await promote_due(conn))[1] == set()
    assert await fetch(conn, "SELECT state FROM jobs.jobs") == [{"state": "claimed"}]


async def test_what_is_being_promoted_is_left_by_its_worker(
    jobs: Jobs, database: Database, conn: Connection, warm: int, other: int
) -> None:
    created = await jobs.create(STICKY, {"text": "a"})
    await execute(conn, "UPDATE jobs.jobs SET scheduled_for = now()")
    async with database.transaction() as promoting:
        await execute(promoting, statement("jobs_core", "job/promote"), {"batch": 10})
        assert await taken_as_preferred(conn, warm) == []
    assert await taken_as_preferred(conn, warm) == []
    assert await taken(conn, other) == [created.id]


async def test_a_redrive_is_as_sticky_as_its_job_was(jobs: Jobs, conn: Connection, warm: int) -> None:
    await jobs.create(STICKY, {"text": "a"})
    (job,) = await taken_as_preferred(conn, warm)
    await settle(conn, job, Fail("no"), STICKY)
    async for batch in redrive(conn, jobs.table, Letters()):
        if batch.redriven:
            assert batch.ready == {Ready("default", "sticky", warm)}
    assert len(await taken_as_preferred(conn, warm)) == 1


async def test_explain_says_for_whom_a_job_waits(jobs: Jobs, conn: Connection, warm: int) -> None:
    created = await jobs.create(STICKY, {"text": "a"})
    (why,) = await explain(conn, created.id) or ()
    assert why.kind == "sticky"
    assert why.text.startswith(f"it waits for worker {warm}, which ran the last job of a, until ")


@pytest.mark.parametrize("wrong", [{"brief": True}, {"sticky_for": timedelta(0)}, {"sticky_for": timedelta(minutes=2)}])
def test_a_type_that_could_not_be_sticky_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="is sticky: it may not be brief"):
        HandlerTable().declare(replace(STICKY, **wrong))


async def test_a_create_in_the_callers_transaction_waits_for_its_worker_too(
    jobs: Jobs, database: Database, conn: Connection, warm: int
) -> None:
    async with database.transaction() as own:
        created = await jobs.create(STICKY, {"text": "a"}, conn=own, unique_key="u")
        met = await jobs.create(STICKY, {"text": "a"}, conn=own, unique_key="u")
    assert met.met == {created.id}
    assert [job.id for job in await taken_as_preferred(conn, warm)] == [created.id]
