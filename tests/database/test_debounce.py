"""Debounce on a real Postgres: a burst of creates becomes one run, when it is quiet or has lasted for the longest wait."""

from datetime import timedelta
from typing import Any

import pytest

from jobs_core import Complete, Connection, Database, Fail, InvalidInput, Jobs, JobType, NewJob, Snooze, execute, fetch
from jobs_core.explain import explain
from jobs_core.look import find
from jobs_core.pauses import pause
from jobs_core.redrive import Left, Letters, redrive
from jobs_core.settle import settle
from tests.support.database import Undone
from tests.support.debounce import (
    AT_MOST,
    MINUTE,
    QUIET,
    claimed,
    debounced,
    minutes_left,
    pass_minutes,
    state_of,
)
from tests.support.job_types import LANE_NOTE, NOTE, Note
from tests.support.limits import LANE_BOUND, Bound, rate_of, slots_of
from tests.support.mutants import mutated


async def test_a_burst_becomes_one_run_once_it_is_quiet_with_the_last_input(jobs: Jobs, conn: Connection) -> None:
    first = await debounced(jobs, "first")
    assert (first.met, await minutes_left(conn, first.id)) == (frozenset(), 10)
    for text in ("second", "third"):
        await pass_minutes(conn, 6)
        assert await claimed(conn) == []
        assert (await debounced(jobs, text)).met == {first.id}
        assert await minutes_left(conn, first.id) == 10
    await pass_minutes(conn, 10)
    (job,) = await claimed(conn)
    assert (job.id, '"third"' in job.input) == (first.id, True)


async def test_a_create_says_which_job_it_met_and_when_that_starts_now(jobs: Jobs, conn: Connection) -> None:
    first = await debounced(jobs, "first")
    assert (first.merged, first.due) == (frozenset(), {first.id: (await find(conn, first.id)).scheduled_for})  # type: ignore[union-attr]  # it lives
    await pass_minutes(conn, 3)
    second = await debounced(jobs, "second")
    view = await find(conn, first.id)
    assert view is not None
    assert (second.id, second.met, second.merged) == (first.id, {first.id}, {first.id})
    assert second.due == {first.id: view.scheduled_for}
    assert view.debounce_until is not None


async def minutes_waited(jobs: Jobs, conn: Connection) -> int:
    """For how long creates that do not cease can put a job off, five minutes at a time."""
    await debounced(jobs, "first")
    for waited in range(5, 61, 5):
        await pass_minutes(conn, 5)
        if await claimed(conn):
            return waited
        assert (await debounced(jobs, "more")).met
    return 60


async def test_no_create_puts_a_job_off_past_its_longest_wait(jobs: Jobs, conn: Connection) -> None:
    assert await minutes_waited(jobs, conn) == 30


async def test_without_the_longest_wait_creates_that_do_not_cease_would_put_it_off_for_ever(
    jobs: Jobs, conn: Connection
) -> None:
    await execute(conn, "ALTER TABLE jobs.jobs DROP CONSTRAINT longest_wait")
    with mutated(("least(given.quiet_at, j.debounce_until, given.last_at)", "given.quiet_at")):
        assert await minutes_waited(jobs, conn) == 60


async def test_the_longest_wait_is_the_first_creates_and_a_shorter_quiet_time_brings_nothing_nearer(
    jobs: Jobs, conn: Connection
) -> None:
    first = await debounced(jobs, "first")
    await debounced(jobs, "shorter", debounce=MINUTE)
    assert await minutes_left(conn, first.id) == 10
    await debounced(jobs, "longer", debounce=20 * MINUTE)
    assert await minutes_left(conn, first.id) == 20
    await debounced(jobs, "longest", debounce=50 * MINUTE, debounce_at_most=50 * MINUTE)
    assert await minutes_left(conn, first.id) == 30


async def test_a_job_that_was_claimed_is_not_met_nor_one_that_was_put_back(jobs: Jobs, conn: Connection) -> None:
    first = await debounced(jobs, "first")
    await pass_minutes(conn, 10)
    (job,) = await claimed(conn)
    second = await debounced(jobs, "second")
    assert (second.met, second.id == first.id) == (frozenset(), False)
    await settle(conn, job, Snooze(timedelta(hours=1)), NOTE)
    before = await state_of(conn, first.id)
    assert (await debounced(jobs, "third")).id == second.id
    assert await state_of(conn, first.id) == before
    assert [why.text.partition(" in ")[0] for why in await explain(conn, first.id) or ()] == ["it is due"]


@pytest.mark.parametrize("promoted", [True, False], ids=["ready", "upkeep has not come"])
async def test_a_job_that_is_due_takes_the_input_in_and_is_put_off_no_more(
    jobs: Jobs, conn: Connection, *, promoted: bool
) -> None:
    """Its quiet time is over: what counts is Postgres' clock, not when upkeep looked."""
    first = await debounced(jobs, "first")
    if promoted:
        await pass_minutes(conn, 10)
    else:
        await execute(conn, "UPDATE jobs.jobs SET scheduled_for = clock_timestamp()")
    before = await state_of(conn, first.id)
    assert (await debounced(jobs, "late")).merged == {first.id}
    assert await state_of(conn, first.id) == {**before, "input": {"text": "late", "lane": ""}}
    await pass_minutes(conn, 0)
    assert [job.id for job in await claimed(conn)] == [first.id]


async def test_a_job_that_was_created_without_a_debounce_keeps_its_time(jobs: Jobs, conn: Connection) -> None:
    now = await jobs.create(NOTE, {}, unique_key="now", unique_while="unstarted")
    later = await jobs.create(NOTE, {}, unique_key="later", scheduled_for=timedelta(hours=1))
    for job, key in ((now, "now"), (later, "later")):
        before = await state_of(conn, job.id)
        assert (await debounced(jobs, "new", unique_key=key)).merged == {job.id}
        assert await state_of(conn, job.id) == {**before, "input": {"text": "new", "lane": ""}}


async def test_a_create_without_a_debounce_leaves_the_job_it_meets_as_it_was(jobs: Jobs, conn: Connection) -> None:
    first = await debounced(jobs, "first")
    before = await state_of(conn, first.id)
    poke = await jobs.create(NOTE, {"text": "poke"}, unique_key="k", unique_while="unstarted")
    assert (poke.met, poke.merged, poke.due) == ({first.id}, frozenset(), {})
    assert await state_of(conn, first.id) == before


async def test_creates_of_one_key_in_one_call_are_one_job_with_the_last_input_and_the_longest_quiet_time(
    jobs: Jobs, conn: Connection
) -> None:
    there = await debounced(jobs, "there", unique_key="there")

    def new(key: str, text: str, minutes: int) -> NewJob:
        return NewJob(
            NOTE, {"text": text}, unique_key=key, debounce=minutes * MINUTE, debounce_at_most=max(minutes, 15) * MINUTE
        )

    wanted = [new("k", "a", 5), new("there", "b", 20), new("k", "c", 25), new("there", "d", 5), new("k", "e", 5)]
    created = await jobs.create_many([*wanted, NewJob(NOTE, {})])
    ids = created.ids
    assert (ids[0], ids[1]) == (ids[2], there.id) == (ids[4], ids[3])
    assert (created.met, created.merged, created.due.keys()) == ({there.id}, {there.id}, {ids[0], there.id})
    rows = await fetch(conn, "SELECT input ->> 'text' AS text FROM jobs.jobs ORDER BY id")
    assert [row["text"] for row in rows] == ["d", "e", ""]
    assert [await minutes_left(conn, job_id) for job_id in (there.id, ids[0])] == [20, 15]


async def test_a_repeated_event_neither_puts_off_nor_merges(jobs: Jobs, conn: Connection) -> None:
    first = await debounced(jobs, "first", idempotency_key="one")
    second = await debounced(jobs, "second", idempotency_key="two")
    assert second.merged == {first.id}
    await pass_minutes(conn, 3)
    before = await state_of(conn, first.id)
    for text, event in (("first", "one"), ("second", "two")):
        again = await debounced(jobs, text, idempotency_key=event)
        assert (again.met, again.merged, again.due) == ({first.id}, frozenset(), {})
    assert await state_of(conn, first.id) == before
    twice = [
        NewJob(NOTE, {}, idempotency_key="three", unique_key="k", debounce=QUIET, debounce_at_most=AT_MOST),
        NewJob(NOTE, {"text": "last"}, unique_key="k", debounce=QUIET, debounce_at_most=AT_MOST),
    ]
    assert (await jobs.create_many([*twice, twice[0]])).merged == {first.id}
    assert (await state_of(conn, first.id))["input"]["text"] == "last"


@pytest.mark.parametrize("whose", [{"user_id": "eve"}, {"task_id": 7}, {"project_id": "p"}, {"user_id": None}], ids=str)
async def test_inputs_of_different_users_tasks_or_projects_are_not_one_job(
    jobs: Jobs, conn: Connection, whose: dict[str, Any]
) -> None:
    """Or a run would do for one user what another has asked for."""
    first = await debounced(jobs, "first", user_id="ada")
    before = await state_of(conn, first.id)
    with pytest.raises(InvalidInput, match=f"job {first.id} holds it with another {next(iter(whose))}: ") as refused:
        await debounced(jobs, "second", **{"user_id": "ada", **whose})
    assert refused.value.field == "unique_key"
    assert await state_of(conn, first.id) == before


async def test_inputs_of_different_lanes_are_not_one_job(jobs: Jobs, conn: Connection) -> None:
    spans = {"debounce": QUIET, "debounce_at_most": AT_MOST}
    first = await jobs.create(LANE_NOTE, {"lane": "a"}, unique_key="k", **spans)  # type: ignore[arg-type]  # spans
    before = await state_of(conn, first.id)
    with pytest.raises(InvalidInput, match=f"job {first.id} holds it with another lane: "):
        await jobs.create(LANE_NOTE, {"lane": "b"}, unique_key="k", **spans)  # type: ignore[arg-type]  # spans
    assert await state_of(conn, first.id) == before


async def test_a_key_that_is_held_by_a_job_that_has_begun_is_refused_not_forgotten(
    jobs: Jobs, conn: Connection
) -> None:
    first = await jobs.create(NOTE, {"text": "first"}, unique_key="k", unique_while="unfinished")
    assert (await debounced(jobs, "in time")).merged == {first.id}
    (job,) = await claimed(conn)
    with pytest.raises(InvalidInput, match=f"job {first.id} holds it until it ends, and has begun") as refused:
        await debounced(jobs, "late")
    assert refused.value.field == "unique_key"
    await settle(conn, job, Complete(), NOTE)
    assert (await debounced(jobs, "after")).met == frozenset()


async def test_a_debounced_job_joins_its_lane_when_it_is_due(jobs: Jobs, conn: Connection) -> None:
    spans = {"debounce": QUIET, "debounce_at_most": AT_MOST}
    late = await jobs.create(LANE_NOTE, {"lane": "a"}, unique_key="k", **spans)  # type: ignore[arg-type]  # spans
    early = await jobs.create(LANE_NOTE, {"lane": "a"})
    assert [job.id for job in await claimed(conn)] == [early.id]
    await pass_minutes(conn, 10)
    assert (await jobs.create(LANE_NOTE, {"lane": "a", "text": "x"}, unique_key="k", **spans)).merged == {late.id}  # type: ignore[arg-type]  # spans
    row = await state_of(conn, late.id)
    assert (row["state"], row["lane_pos"], row["input"]["text"]) == ("blocked", 2, "x")


async def test_limits_follow_from_the_input_as_it_is_now(jobs: Jobs, conn: Connection) -> None:
    jobs.table.declare(LANE_BOUND)
    spans = {"debounce": QUIET, "debounce_at_most": AT_MOST}
    groups = list[Any]()
    for limits in ([slots_of("a", 5)], [slots_of("a", 5, weight=3), rate_of("b", 1.0)], []):
        created = await jobs.create(LANE_BOUND, Bound(lane="a", limits=limits), unique_key="k", **spans)  # type: ignore[arg-type]  # spans
        row = await state_of(conn, created.id)
        groups.append((row["limit_group"], row["limits"] and row["limits"]["a"]["weight"]))
    assert groups == [('["a"]', 1), ('["a", "b"]', 3), (None, None)]


async def test_a_paused_job_goes_on_taking_inputs_in(jobs: Jobs, conn: Connection) -> None:
    await pause(conn, queue="default", set_by="ann")
    first = await debounced(jobs, "first")
    await pass_minutes(conn, 45)
    assert await claimed(conn) == []
    assert (await debounced(jobs, "second")).merged == {first.id}
    await execute(conn, "DELETE FROM jobs.pauses")
    (job,) = await claimed(conn)
    assert '"second"' in job.input


async def test_what_a_caller_rolls_back_was_never_put_off_or_merged(
    jobs: Jobs, database: Database, conn: Connection
) -> None:
    first = await debounced(jobs, "first")
    before = await state_of(conn, first.id)
    with pytest.raises(Undone):
        async with database.transaction() as own:
            await debounced(jobs, "second", conn=own)
            raise Undone
    assert await state_of(conn, first.id) == before


async def test_it_is_explained_until_it_was_claimed(jobs: Jobs, conn: Connection) -> None:
    first = await debounced(jobs, "first", debounce=QUIET + timedelta(seconds=0.5))
    (why,) = await explain(conn, first.id) or ()
    view = await find(conn, first.id)
    assert view is not None
    assert why.text == f"it is debounced: due in 10 min, at the latest at {view.debounce_until:%Y-%m-%d %H:%M:%S} UTC"
    assert why.about == {"due": view.scheduled_for, "at_the_latest": view.debounce_until}


async def test_a_redrive_that_meets_a_job_leaves_it_as_it_was(jobs: Jobs, conn: Connection) -> None:
    failed = await debounced(jobs, "failed")
    await pass_minutes(conn, 10)
    (job,) = await claimed(conn)
    await settle(conn, job, Fail("no"), NOTE)
    merging = JobType("note", Note, unique_while="unstarted", merge=lambda old, _: old)
    holder = await jobs.create(merging, {"text": "holder"}, unique_key="k", unchecked=True)
    before = await state_of(conn, holder.id)
    (batch, _) = [one async for one in redrive(conn, jobs.table, Letters(ids=[failed.id]))]
    assert batch.left == [Left(failed.id, "met", holder.id)]
    assert await state_of(conn, holder.id) == before


@pytest.mark.parametrize(
    ("arguments", "field", "says"),
    [
        (
            {"debounce_at_most": None},
            "debounce_at_most",
            "is missing; without it creates that do not cease put the job",
        ),
        ({"debounce": None}, "debounce_at_most", "there is no debounce; give one, or leave it out"),
        ({"debounce": timedelta(0)}, "debounce", "is not a timedelta above zero, of 36500 days at most"),
        ({"debounce": -MINUTE}, "debounce", "is not a timedelta above zero"),
        ({"debounce": timedelta.max, "debounce_at_most": timedelta.max}, "debounce", "is not a timedelta above zero"),
        ({"debounce_at_most": timedelta.max}, "debounce_at_most", "is not a timedelta above zero"),
        ({"debounce": 5}, "debounce", "is not a timedelta"),
        ({"debounce_at_most": "1m"}, "debounce_at_most", "is not a timedelta"),
        ({"debounce_at_most": MINUTE}, "debounce_at_most", "is shorter than debounce"),
        ({"unique_key": None}, "debounce", "there is no unique_key that a next create could meet; give one"),
        (
            {"unique_while": "unfinished"},
            "unique_while",
            "a job that is merged or debounced holds its key while unstarted",
        ),
        ({"scheduled_for": MINUTE}, "scheduled_for", "debounce says when it is due; leave one out"),
    ],
    ids=repr,
)
async def test_spans_that_do_not_fit_are_refused_by_name(
    jobs: Jobs, conn: Connection, arguments: dict[str, Any], field: str, says: str
) -> None:
    with pytest.raises(InvalidInput, match=f"^{field}: {says}") as refused:
        await debounced(jobs, "", **arguments)
    assert refused.value.field == field
    assert await fetch(conn, "SELECT FROM jobs.jobs") == []
