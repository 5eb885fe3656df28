"""Unique keys on a real Postgres: one job a key for as long as it says, and a create that meets it reports it."""

from datetime import timedelta
from typing import Any

import pytest

from jobs_core import (
    Complete,
    Connection,
    Created,
    InvalidInput,
    Jobs,
    JobType,
    NewJob,
    Snooze,
    execute,
    fetch,
)
from jobs_core.look import find
from jobs_core.settle import settle
from tests.database.conftest import ClaimAll
from tests.support.job_types import LANE_NOTE, NOTE, Note

REFRESH = JobType("refresh", Note, unique_key=lambda note: note.text or None, unique_while="unstarted")


async def unfinished(conn: Connection) -> int:
    return len(await fetch(conn, "SELECT FROM jobs.jobs"))


async def poke(jobs: Jobs, **changes: Any) -> Created:
    return await jobs.create(NOTE, {}, unique_key="k", unique_while="unstarted", **changes)


async def test_a_create_that_meets_a_job_reports_it_and_inserts_nothing(jobs: Jobs, conn: Connection) -> None:
    first = await jobs.create(NOTE, {"text": "first"}, unique_key="k")
    second = await jobs.create(NOTE, {"text": "second"}, unique_key="k")
    assert (first.met, second.id, second.met) == (frozenset(), first.id, {first.id})
    view = await find(conn, first.id)
    assert view is not None
    assert view.input["text"] == "first"
    assert await unfinished(conn) == 1


async def test_a_key_is_one_types_alone(jobs: Jobs) -> None:
    first = await jobs.create("note", {}, unique_key="k")
    other = await jobs.create("brief_note", {}, unique_key="k")
    assert (other.id == first.id, other.met) == (False, frozenset())


@pytest.mark.parametrize(("held_while", "met_when_claimed"), [("unstarted", 0), ("unfinished", 1)])
async def test_a_key_is_held_for_as_long_as_it_says(
    jobs: Jobs, conn: Connection, claim_all: ClaimAll, held_while: Any, met_when_claimed: int
) -> None:
    async def create() -> Created:
        return await jobs.create(NOTE, {}, unique_key="k", unique_while=held_while)

    first = await create()
    (claimed,) = await claim_all()
    second = await create()
    assert len(second.met & {first.id}) == met_when_claimed
    await settle(conn, claimed, Complete(), NOTE)
    for job in await claim_all():
        await settle(conn, job, Complete(), NOTE)
    third = await create()
    assert third.met == frozenset()
    assert third.id not in {first.id, second.id}


async def test_a_job_put_back_does_not_take_its_unstarted_key_again(
    jobs: Jobs, conn: Connection, claim_all: ClaimAll
) -> None:
    first = await poke(jobs)
    (claimed,) = await claim_all()
    second = await poke(jobs)
    await settle(conn, claimed, Snooze(timedelta(0)), NOTE)  # violates nothing, though the second holds the key
    assert (await poke(jobs)).id == second.id
    assert {job.id for job in await claim_all()} == {first.id, second.id}
    assert (await poke(jobs)).met == frozenset()


async def test_an_index_that_forgot_the_token_would_refuse_the_put_back(
    jobs: Jobs, conn: Connection, claim_all: ClaimAll
) -> None:
    """The mutant: unstarted read off the state."""
    await execute(conn, "DROP INDEX jobs.jobs_unique")
    held = "unique_key IS NOT NULL AND (unique_while = 'unfinished' OR state = 'pending')"
    await execute(conn, f"CREATE UNIQUE INDEX jobs_unique ON jobs.jobs (job_type, unique_key) WHERE {held}")
    await poke(jobs)
    (claimed,) = await claim_all()
    await poke(jobs)
    with pytest.raises(Exception, match="jobs_unique"):
        await settle(conn, claimed, Snooze(timedelta(0)), NOTE)


async def test_a_type_names_the_key_from_its_input_unless_the_creator_does(jobs: Jobs, conn: Connection) -> None:
    jobs.table.declare(REFRESH)
    first = await jobs.create(REFRESH, {"text": "a"})
    assert (await jobs.create(REFRESH, {"text": "a", "lane": "x"})).met == {first.id}
    assert (await jobs.create(REFRESH, {"text": "b"})).met == frozenset()
    assert (await jobs.create(REFRESH, {"text": "b"}, unique_key="a")).met == {first.id}
    without = [await jobs.create(REFRESH, {}) for _ in range(2)]
    assert without[0].id != without[1].id
    last = await jobs.create(REFRESH, {"text": "c"}, unique_while="unfinished")
    rows = await fetch(conn, "SELECT unique_key, unique_while FROM jobs.jobs ORDER BY id")
    assert [tuple(row.values()) for row in rows] == [
        ("a", "unstarted"),
        ("b", "unstarted"),
        (None, None),
        (None, None),
        ("c", "unfinished"),
    ]
    assert last.met == frozenset()


async def test_jobs_of_one_bulk_create_meet_each_other_and_what_was_there(jobs: Jobs, conn: Connection) -> None:
    there = await jobs.create(NOTE, {}, unique_key="there")
    keys = ["new", "there", None, "new", "newer", "there", None]
    created = await jobs.create_many([NewJob(NOTE, {"text": str(n)}, unique_key=key) for n, key in enumerate(keys)])
    ids = created.ids
    assert created.met == {there.id}
    assert (ids[0], ids[1], ids[5]) == (ids[3], there.id, there.id)
    assert len(set(ids)) == 5
    assert await unfinished(conn) == 5
    assert [ids[n] for n in (0, 2, 4, 6)] == sorted({*ids} - {there.id})


async def test_a_deferred_job_is_met_and_keeps_its_time(jobs: Jobs, conn: Connection) -> None:
    later = await poke(jobs, scheduled_for=timedelta(hours=1))
    assert (await poke(jobs)).met == {later.id}
    view = await find(conn, later.id)
    assert view is not None
    assert view.scheduled_for is not None


async def test_jobs_of_a_lane_are_met_before_they_take_a_place_in_it(
    jobs: Jobs, conn: Connection, claim_all: ClaimAll
) -> None:
    for key in ("a", "b", "a", "b"):
        await jobs.create(LANE_NOTE, {"lane": "one", "text": key}, unique_key=key)
    assert await fetch(conn, "SELECT next_pos, head_pos FROM jobs.lanes") == [{"next_pos": 3, "head_pos": 1}]
    order = list[str]()
    while heads := await claim_all():
        for head in heads:
            order.append((await find(conn, head.id)).input["text"])  # type: ignore[union-attr]  # it is claimed
            await settle(conn, head, Complete(), LANE_NOTE)
    assert order == ["a", "b"]


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        ({"unique_key": ""}, "unique_key"),
        ({"unique_key": "k" * 201}, "unique_key"),
        ({"unique_key": "\0"}, "unique_key"),
        ({"unique_while": "unfinished"}, "unique_while"),
        ({"unique_key": "k", "unique_while": "always"}, "unique_while"),
        ({"idempotency_key": ""}, "idempotency_key"),
        ({"idempotency_key": "k" * 201}, "idempotency_key"),
        ({"idempotency_key": "\ud800"}, "idempotency_key"),
    ],
    ids=repr,
)
async def test_a_key_that_does_not_fit_is_refused_by_its_name(
    jobs: Jobs, conn: Connection, arguments: dict[str, Any], field: str
) -> None:
    with pytest.raises(InvalidInput, match=f"^{field}: ") as refused:
        await jobs.create(NOTE, {}, **arguments)
    assert refused.value.field == field
    assert await unfinished(conn) == 0
