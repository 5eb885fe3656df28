"""Lanes that are held, on a real Postgres: by a failed job, where its type says so, or by hand; and released."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from jobs_core import (
    Cancel,
    Complete,
    Connection,
    Database,
    Fail,
    HandlerTable,
    InvalidInput,
    Jobs,
    JobType,
    NotRedriven,
    Outcome,
    Retry,
    RetryPolicy,
    Snooze,
    Wait,
    execute,
    fetch,
)
from jobs_core.claim import start
from jobs_core.declare import declare_types
from jobs_core.explain import explain
from jobs_core.lanes import LaneView, find_lane, hold, list_lanes, release
from jobs_core.redrive import Letters, redrive
from jobs_core.settle import settle
from jobs_core.settled import Settled
from jobs_core.upkeep import promote_due, rescue
from jobs_core.wake import Ready
from tests.database.conftest import ClaimAll
from tests.support.database import until_blocked
from tests.support.job_types import LANE_NOTE, NOTE, Note
from tests.support.mutants import HOLD_IGNORED, RELEASE_FOLDED_IN, mutated
from tests.support.sql_create import create_by_sql

HOLDING = JobType("lane_note", Note, lane=lambda note: note.lane, holds_lane=True, retries=RetryPolicy(max_retries=1))


@pytest.fixture
async def jobs(database: Database) -> Any:
    """Creates notes whose lane is held when one of them has failed."""
    known = HandlerTable()
    known.declare_all([NOTE, HOLDING])
    async with Jobs(database, known) as creator:
        yield creator


async def create(jobs: Jobs, *texts: str, lane: str = "turn:7", **how: Any) -> list[int]:
    return [(await jobs.create(HOLDING, {"lane": lane, "text": text}, **how)).id for text in texts]


async def run_all(conn: Connection, claim_all: ClaimAll, outcome: Outcome | None = None) -> list[str]:
    """Run what is ready, and what becomes ready by that, to this outcome; the texts in the order of the runs."""
    seen = list[str]()
    while heads := await claim_all():
        for head in heads:
            seen.append(head.input["text"])
            await settle(conn, head, outcome or Complete(), HOLDING)
    return seen


async def view(conn: Connection, lane: str = "turn:7") -> LaneView:
    found = await find_lane(conn, lane)
    assert found is not None
    return found


@pytest.mark.parametrize("behind", [True, False])
async def test_a_failed_job_holds_its_lane_until_it_is_released(
    jobs: Jobs, conn: Connection, claim_all: ClaimAll, *, behind: bool
) -> None:
    first, *_ = await create(jobs, *("abc" if behind else "a"))
    (head,) = await claim_all()
    assert await settle(conn, head, Fail("no answer"), HOLDING) == Settled("failed")
    await create(jobs, "d")
    await create_through_every_other_door(jobs, conn)
    assert await claim_all() == []
    held = await view(conn)
    assert (held.failed_job, held.held_by, held.held_reason) == (first, f"job {first}", "no answer")
    assert held.because == f"because job {first} failed: no answer"
    released = await release(conn, "turn:7")
    assert released is not None
    assert (released.failed_job, released.redriven) == (first, None)
    assert released.ready == (Ready("default", "lane_note"),)
    assert await run_all(conn, claim_all) == [*("bc" if behind else ""), "d", "sql", "due"]
    assert (await view(conn)).held_at is None
    assert await release(conn, "turn:7") is None


async def create_through_every_other_door(jobs: Jobs, conn: Connection) -> None:
    await declare_types(conn, jobs.table.job_types)
    await create_by_sql(conn, HOLDING.name, '{"lane": "turn:7", "text": "sql"}', lane="turn:7")
    await create(jobs, "due", scheduled_for=timedelta(hours=1))
    await execute(conn, "UPDATE jobs.jobs SET scheduled_for = now() WHERE scheduled_for IS NOT NULL")
    _, ready = await promote_due(conn)
    assert ready == set()


async def test_a_type_that_does_not_say_so_lets_its_lane_go_on(
    jobs: Jobs, conn: Connection, claim_all: ClaimAll
) -> None:
    await create(jobs, "a", "b")
    (head,) = await claim_all()
    await settle(conn, head, Fail("no"), LANE_NOTE)
    assert await run_all(conn, claim_all) == ["b"]


@pytest.mark.parametrize("last", [Retry("again"), Retry("too slow", because="timeout"), Fail("no")])
async def test_however_a_run_fails_for_good_its_lane_is_held(
    jobs: Jobs, conn: Connection, claim_all: ClaimAll, last: Outcome
) -> None:
    await create(jobs, "a", "b")
    (head,) = await claim_all()
    await settle(conn, head, Retry("once", after=timedelta(0)), HOLDING)
    assert (await view(conn)).held_at is None
    (head,) = await claim_all()
    await settle(conn, head, last, HOLDING)
    assert (await view(conn)).failed_job == head.id


@pytest.mark.parametrize("last", [Snooze(timedelta(0)), Retry("again"), Wait("told"), Wait(until=timedelta(0))])
async def test_a_job_that_is_given_up_holds_its_lane(
    jobs: Jobs, conn: Connection, claim_all: ClaimAll, last: Outcome
) -> None:
    await jobs.emit("told")
    await create(jobs, "a", "b")
    (head,) = await claim_all()
    await execute(conn, "UPDATE jobs.jobs SET give_up_at = now() - interval '1 s' WHERE give_up_at IS NOT NULL")
    settled = await settle(conn, head, last, HOLDING)
    assert settled.state == "failed"
    assert (await view(conn)).failed_job == head.id


@pytest.mark.parametrize("holds", [True, False])
async def test_a_job_that_crashed_too_often_holds_its_lane_whoever_finds_it(
    jobs: Jobs, conn: Connection, claim_all: ClaimAll, *, holds: bool
) -> None:
    """Rescue knows no code: what the type says is asked of the table."""
    await declare_types(conn, [HOLDING if holds else LANE_NOTE])
    await create(jobs, "a", "b")
    (head,) = await claim_all()
    await start(conn, head)
    await execute(conn, "UPDATE jobs.jobs SET alone = true, alone_lost_count = 2 WHERE state = 'running'")
    await execute(conn, "UPDATE jobs.workers SET dead_at = now()")
    _, ready = await rescue(conn)
    assert (await view(conn)).failed_job == (head.id if holds else None)
    assert ready == (set() if holds else {Ready("default", "lane_note")})


async def test_a_cancelled_job_lets_its_lane_go_on(jobs: Jobs, conn: Connection, claim_all: ClaimAll) -> None:
    """Somebody wanted just that job ended, and so did a run that ends so by itself."""
    first, *_ = await create(jobs, "a", "b", "c")
    await jobs.cancel(first)
    (head,) = await claim_all()
    await settle(conn, head, Cancel("not needed"), HOLDING)
    assert await run_all(conn, claim_all) == ["c"]


async def test_jobs_of_a_held_lane_may_be_cancelled_and_the_lane_stays_held(
    jobs: Jobs, conn: Connection, claim_all: ClaimAll
) -> None:
    _, second, _ = await create(jobs, "a", "b", "c")
    (head,) = await claim_all()
    await settle(conn, head, Fail("no"), HOLDING)
    await jobs.cancel(second)
    assert await claim_all() == []
    await release(conn, "turn:7")
    assert await run_all(conn, claim_all) == ["c"]


async def test_a_promotion_that_ignored_the_hold_would_let_the_next_one_go(
    jobs: Jobs, conn: Connection, claim_all: ClaimAll
) -> None:
    await create(jobs, "a", "b")
    with mutated(HOLD_IGNORED):
        (head,) = await claim_all()
        await execute(conn, "ALTER TABLE jobs.lanes DROP CONSTRAINT lanes_check")  # it would see it first
        await settle(conn, head, Fail("no"), HOLDING)
    assert [job.input["text"] for job in await claim_all()] == ["b"]


async def test_an_operator_holds_a_lane_whose_first_job_was_not_claimed(
    jobs: Jobs, conn: Connection, claim_all: ClaimAll
) -> None:
    await create(jobs, "a", "b")
    held = await hold(conn, "turn:7", held_by="ada@host", reason="its workspace moves")
    assert (held.jobs, held.first_state, held.failed_job) == (2, "blocked", None)
    assert held.because == "by ada@host: its workspace moves"
    assert await claim_all() == []
    await release(conn, "turn:7")
    assert await run_all(conn, claim_all) == ["a", "b"]


@pytest.mark.parametrize("between", [Retry("once", after=timedelta(0)), Snooze(timedelta(0)), Wait(until=timedelta(0))])
async def test_what_has_begun_goes_on_to_its_end_in_a_lane_that_is_held_by_hand(
    jobs: Jobs, conn: Connection, claim_all: ClaimAll, between: Outcome
) -> None:
    await create(jobs, "a", "b")
    (head,) = await claim_all()
    await hold(conn, "turn:7", held_by="ada")
    await settle(conn, head, between, HOLDING)
    await hold(conn, "turn:7", held_by="ada")
    await create(jobs, "c")
    assert await run_all(conn, claim_all) == ["a"]
    await release(conn, "turn:7")
    assert await run_all(conn, claim_all) == ["b", "c"]


async def test_a_lane_that_is_released_while_its_first_job_runs_goes_on_after_it(
    jobs: Jobs, conn: Connection, claim_all: ClaimAll
) -> None:
    await create(jobs, "a", "b")
    (head,) = await claim_all()
    await hold(conn, "turn:7", held_by="ada")
    released = await release(conn, "turn:7")
    assert released is not None
    assert released.ready == ()
    await create(jobs, "c")
    assert await claim_all() == []
    await settle(conn, head, Complete(), HOLDING)
    assert await run_all(conn, claim_all) == ["b", "c"]


async def test_a_job_that_fails_in_a_lane_held_by_hand_is_named_beside_who_holds_it(
    jobs: Jobs, conn: Connection, claim_all: ClaimAll
) -> None:
    await create(jobs, "a", "b")
    (head,) = await claim_all()
    first = await hold(conn, "turn:7", held_by="ada", reason="to look at it")
    await settle(conn, head, Fail("no"), HOLDING)
    held = await view(conn)
    assert held.because == f"because job {head.id} failed and by ada: to look at it"
    again = await hold(conn, "turn:7", held_by="bob")
    assert (again.held_at, again.held_by, again.held_reason, again.failed_job) == (first.held_at, "bob", None, head.id)


async def test_a_lane_that_nobody_has_used_can_be_held_and_released(
    jobs: Jobs, conn: Connection, claim_all: ClaimAll
) -> None:
    await hold(conn, "new", held_by="ada")
    await create(jobs, "a", "b", lane="new")
    assert await claim_all() == []
    assert await release(conn, "new") is not None
    assert await run_all(conn, claim_all) == ["a", "b"]
    assert await release(conn, "never used") is None


@pytest.mark.parametrize(
    ("given", "field"), [({"lane": ""}, "lane"), ({"lane": "a\0"}, "lane"), ({"held_by": ""}, "held_by")]
)
async def test_what_cannot_be_stored_is_refused_by_its_name(
    conn: Connection, given: dict[str, str], field: str
) -> None:
    with pytest.raises(InvalidInput) as refused:
        await hold(conn, **{"lane": "a", "held_by": "ada", **given})
    assert refused.value.field == field


async def test_the_failed_job_may_be_redriven_before_all_that_wait(
    jobs: Jobs, conn: Connection, claim_all: ClaimAll
) -> None:
    """Again and again, however often it fails."""
    failed, *_ = await create(jobs, "a", "b", "c")
    (head,) = await claim_all()
    await settle(conn, head, Fail("no"), HOLDING)
    for _ in range(3):
        released = await release(conn, "turn:7", redrive=jobs.table)
        assert released is not None
        assert released.failed_job == failed
        (head,) = await claim_all()
        assert (head.id, head.input["text"]) == (released.redriven, "a")
        failed = head.id
        await settle(conn, head, Fail("no"), HOLDING)
    await release(conn, "turn:7", redrive=jobs.table)
    assert await run_all(conn, claim_all) == ["a", "b", "c"]


async def test_a_failed_job_that_was_alone_in_its_lane_is_redriven_too(
    jobs: Jobs, conn: Connection, claim_all: ClaimAll
) -> None:
    await create(jobs, "a")
    await run_all(conn, claim_all, Fail("no"))
    await release(conn, "turn:7", redrive=jobs.table)
    assert await run_all(conn, claim_all) == ["a"]


async def redriven_before(jobs: Jobs, conn: Connection, failed: int) -> None:
    async for _ in redrive(conn, jobs.table, Letters(ids=(failed,))):
        pass


async def forgotten(_: Jobs, conn: Connection, __: int) -> None:
    await execute(conn, "DELETE FROM jobs.history")


async def held_by_hand(_: Jobs, conn: Connection, __: int) -> None:
    await execute(conn, "UPDATE jobs.lanes SET held_job = NULL")


async def of_another_lane(jobs: Jobs, _: Connection, __: int) -> None:
    moved = JobType("lane_note", Note, lane=lambda _: "elsewhere")
    jobs.table = HandlerTable()
    jobs.table.declare(moved)


@pytest.mark.parametrize(
    ("before", "why"),
    [
        (redriven_before, "was already redriven as job"),
        (forgotten, "history keeps it no longer"),
        (held_by_hand, "no job failed that could be redriven"),
        (of_another_lane, "in another lane"),
    ],
)
async def test_where_the_failed_job_cannot_be_redriven_the_lane_stays_held(
    jobs: Jobs, conn: Connection, claim_all: ClaimAll, before: Any, why: str
) -> None:
    failed, *_ = await create(jobs, "a", "b")
    (head,) = await claim_all()
    await settle(conn, head, Fail("no"), HOLDING)
    await before(jobs, conn, failed)
    n = len(await fetch(conn, "SELECT FROM jobs.jobs"))
    with pytest.raises(NotRedriven, match=why):
        await release(conn, "turn:7", redrive=jobs.table)
    assert (await view(conn)).held_at is not None
    assert len(await fetch(conn, "SELECT FROM jobs.jobs")) == n
    assert await claim_all() == []


async def released_beside_a_create(jobs: Jobs, database: Database, conn: Connection, claim_all: ClaimAll) -> list[str]:
    """What can be claimed of a lane that was released while a create in it had not been committed."""
    await hold(conn, "turn:7", held_by="ada")
    async with database.connection() as releasing, asyncio.TaskGroup() as group, database.transaction() as creating:
        await jobs.create(HOLDING, {"lane": "turn:7", "text": "a"}, conn=creating)
        group.create_task(release(releasing, "turn:7"))
        await until_blocked(conn)
    return await run_all(conn, claim_all)


async def test_a_release_waits_for_a_create_that_is_under_way(
    jobs: Jobs, database: Database, conn: Connection, claim_all: ClaimAll
) -> None:
    assert await released_beside_a_create(jobs, database, conn, claim_all) == ["a"]


async def test_a_release_that_looked_before_it_locked_its_lane_would_strand_it(
    jobs: Jobs, database: Database, conn: Connection, claim_all: ClaimAll
) -> None:
    with mutated(*RELEASE_FOLDED_IN):
        assert await released_beside_a_create(jobs, database, conn, claim_all) == []
    assert await fetch(conn, "SELECT state, head_pos FROM jobs.jobs JOIN jobs.lanes USING (lane)") == [
        {"state": "blocked", "head_pos": None}
    ]


async def test_a_hold_waits_for_the_end_of_the_head_and_keeps_its_successor(
    jobs: Jobs, database: Database, conn: Connection, claim_all: ClaimAll
) -> None:
    await create(jobs, "a", "b")
    (head,) = await claim_all()
    async with database.connection() as holding, database.connection() as looking, asyncio.TaskGroup() as group:

        async def hold_in_between(_: Connection) -> None:
            group.create_task(hold(holding, "turn:7", held_by="ada"))
            await until_blocked(looking)

        await settle(conn, head, Complete(also=hold_in_between), HOLDING)
    assert await claim_all() == []
    await release(conn, "turn:7")
    assert await run_all(conn, claim_all) == ["b"]


async def test_of_two_that_release_a_lane_at_once_one_finds_it_free(
    jobs: Jobs, database: Database, conn: Connection, claim_all: ClaimAll
) -> None:
    """And the failed job is redriven once."""
    await create(jobs, "a", "b")
    (head,) = await claim_all()
    await settle(conn, head, Fail("no"), HOLDING)

    async def release_it() -> object:
        async with database.connection() as own:
            try:
                return await release(own, "turn:7", redrive=jobs.table)
            except NotRedriven:
                return None

    done = await asyncio.gather(*(release_it() for _ in range(4)))
    assert sum(one is not None for one in done) == 1
    assert await run_all(conn, claim_all) == ["a", "b"]


async def test_lanes_are_listed_with_who_holds_them(jobs: Jobs, conn: Connection, claim_all: ClaimAll) -> None:
    await create(jobs, "x", lane="b")
    await create(jobs, "x", lane="ended")
    for head in await claim_all():
        await settle(conn, head, Fail("no") if head.lane == "b" else Complete(), HOLDING)
    first, _ = await create(jobs, "x", "y", lane="a")
    await hold(conn, "c", held_by="ada")
    listed = await list_lanes(conn)
    assert [(one.lane, one.jobs, one.first_job, one.first_state) for one in listed] == [
        ("a", 2, first, "pending"),
        ("b", 0, None, None),
        ("c", 0, None, None),
    ]
    assert [one.lane for one in await list_lanes(conn, held=True)] == ["b", "c"]
    assert [one.lane for one in await list_lanes(conn, after="a", limit=1)] == ["b"]


async def test_explain_names_the_hold_and_how_to_end_it(jobs: Jobs, conn: Connection, claim_all: ClaimAll) -> None:
    failed, second, third = await create(jobs, "a", "b", "c")
    (head,) = await claim_all()
    await settle(conn, head, Fail("no"), HOLDING)
    (why,) = await explain(conn, second) or ()
    assert why.text.startswith("lane turn:7 is held since ")
    assert why.text.endswith(f"because job {failed} failed: no: release it with ./jobs lane release turn:7")
    held, behind = await explain(conn, third) or ()
    assert held == why
    assert behind.text == f"it is behind job {second} in lane turn:7"
