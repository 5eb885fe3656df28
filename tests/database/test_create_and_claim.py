"""Create and claim on a real Postgres."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from jobs_core import Connection, Database, InvalidInput, Jobs, NewJob, UnknownJobType, execute, fetch
from jobs_core.claim import any_ready, claim
from jobs_core.leases import register
from jobs_core.look import find, newest
from tests.database.conftest import ClaimAll
from tests.support.database import Undone
from tests.support.job_types import NOTE, Note, table
from tests.support.mutants import mutated


async def test_a_created_job_is_claimed_once(jobs: Jobs, conn: Connection, claim_all: ClaimAll) -> None:
    created = await jobs.create(NOTE, Note(text="hello"), user_id="7", project_id="acme", task_id=3)
    (job,) = await claim_all()
    assert (job.id, job.input, job.user_id, job.project_id, job.task_id) == (
        created.id,
        {"text": "hello", "lane": ""},
        "7",
        "acme",
        3,
    )
    assert await claim_all() == []
    view = await find(conn, created.id)
    assert view is not None
    assert (view.state, view.token) == ("claimed", job.token)


async def test_priority_then_readiness_orders_claims_across_types(jobs: Jobs, claim_all: ClaimAll) -> None:
    last = await jobs.create("note", {"text": "low"}, priority=4)
    second = await jobs.create("note", {})
    third = await jobs.create("brief_note", {})
    first = await jobs.create("brief_note", {}, priority=0)
    assert [job.id for job in await claim_all()] == [first.id, second.id, third.id, last.id]


async def test_a_claim_takes_no_more_than_it_has_slots_for(jobs: Jobs, claim_all: ClaimAll) -> None:
    await jobs.create_many([NewJob("note", {}), NewJob("brief_note", {}), NewJob("note", {})])
    assert len(await claim_all(slots=2)) == 2
    assert len(await claim_all(slots=2)) == 1


async def test_types_and_queues_that_a_worker_does_not_name_are_left_alone(
    jobs: Jobs, conn: Connection, worker_id: int
) -> None:
    await jobs.create("note", {})
    await jobs.create("brief_note", {}, queue="other")
    unknown = await claim(conn, worker_id=worker_id, queues=["default"], job_types=["brief_note"], slots=9)
    assert unknown == []
    assert not await any_ready(conn, queues=["default"], job_types=["brief_note"])
    assert await any_ready(conn, queues=["other"], job_types=["brief_note"])


async def test_bulk_create_keeps_the_order_given(jobs: Jobs, claim_all: ClaimAll) -> None:
    created = await jobs.create_many([NewJob("note", {"text": str(number)}) for number in range(500)])
    assert list(created.ids) == sorted(created.ids)
    assert [job.input["text"] for job in await claim_all()] == [str(number) for number in range(500)]


async def test_a_job_created_in_a_transaction_that_rolls_back_never_was(
    jobs: Jobs, database: Database, claim_all: ClaimAll
) -> None:
    with pytest.raises(Undone):
        async with database.transaction() as own:
            await jobs.create("note", {}, conn=own)
            raise Undone
    assert await claim_all() == []


async def test_two_claimers_at_once_never_take_the_same_job(jobs: Jobs, database: Database) -> None:
    await jobs.create_many([NewJob("note", {}) for _ in range(300)])

    async def take_all() -> list[int]:
        async with database.connection() as own:
            worker = await register(own, queues=["default"], job_types=["note"], slots=7, lease_s=60)
            taken = list[int]()
            while await any_ready(own, queues=["default"], job_types=["note"]):
                batch = await claim(own, worker_id=worker, queues=["default"], job_types=["note"], slots=7)
                taken += [job.id for job in batch]
            return taken

    taken = await asyncio.gather(*(take_all() for _ in range(4)))
    everything = [job_id for one in taken for job_id in one]
    assert len(everything) == len(set(everything)) == 300


@pytest.mark.parametrize(
    ("job_type", "values", "field"),
    [
        ("note", {"text": 5}, "input.text"),
        ("note", {"text": "a", "txet": "b"}, "input.txet"),
        ("note", {"text": "\0"}, "input.text"),
        ("note", {"text": "\ud800"}, "input.text"),
        ("note", {"text": "x" * 300_000}, "input"),
    ],
)
async def test_input_that_does_not_fit_is_refused_by_its_field(
    jobs: Jobs, conn: Connection, job_type: str, values: dict[str, object], field: str
) -> None:
    with pytest.raises(InvalidInput) as refused:
        await jobs.create(job_type, values)
    assert refused.value.field == field
    assert await newest(conn) == []


async def test_an_unknown_type_is_refused_with_the_known_ones(jobs: Jobs) -> None:
    with pytest.raises(UnknownJobType, match="'nope'; known: brief_note, chat_turn, lane_note, note"):
        await jobs.create("nope", {})


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("queue", ""),
        ("queue", "a\0"),
        ("queue", "q" * 201),
        ("user_id", ""),
        ("user_id", "\ud800"),
        ("project_id", "\0"),
        ("task_id", 2**63),
        ("task_id", -(2**63) - 1),
        ("priority", 9),
        ("priority", -1),
        ("priority", True),
        ("scheduled_for", datetime(2030, 1, 1)),  # noqa: DTZ001 - the point
        ("scheduled_for", timedelta.max),
        ("scheduled_for", timedelta.min),
    ],
    ids=repr,
)
async def test_an_argument_that_does_not_fit_is_refused_by_its_name(
    jobs: Jobs, conn: Connection, field: str, value: object
) -> None:
    good = NewJob("note", {})
    bad = replace(good, **{field: value})  # type: ignore[arg-type]  # the point
    with pytest.raises(InvalidInput, match=f"^{field}: ") as refused:
        await jobs.create_many([good, bad])
    assert refused.value.field == field
    assert await newest(conn) == []


async def test_the_ends_of_what_postgres_holds_are_taken(jobs: Jobs, claim_all: ClaimAll) -> None:
    await jobs.create("note", {}, task_id=2**63 - 1, scheduled_for=datetime.min.replace(tzinfo=UTC))
    await jobs.create("note", {}, task_id=-(2**63), scheduled_for=datetime.max.replace(tzinfo=UTC))
    assert [job.task_id for job in await claim_all()] == [2**63 - 1]


async def test_creating_no_jobs_is_nothing(jobs: Jobs) -> None:
    assert (await jobs.create_many([])).ids == ()


async def test_a_job_for_the_future_is_not_claimed_and_one_for_the_past_is(jobs: Jobs, claim_all: ClaimAll) -> None:
    await jobs.create("note", {"text": "later"}, scheduled_for=timedelta(hours=1))
    await jobs.create("note", {"text": "now"}, scheduled_for=datetime.now(UTC) - timedelta(hours=1))
    assert [job.input["text"] for job in await claim_all()] == ["now"]


async def create_in_a_and_b_while_a_is_held(database: Database) -> bool:
    """Whether a create on lanes a and B, which waits for a, holds B by then."""
    lanes = [NewJob("lane_note", {"lane": lane}) for lane in ("a", "B")]
    async with Jobs(database, table()) as jobs, database.connection() as looks:
        await jobs.create_many(lanes)
        async with asyncio.TaskGroup() as group, database.transaction() as holds:
            await execute(holds, "SELECT FROM jobs.lanes WHERE lane = 'a' FOR UPDATE")
            group.create_task(jobs.create_many(lanes))
            waits = "wait_event_type = 'Lock' AND datname = current_database()"
            while not await fetch(looks, f"SELECT pid FROM pg_stat_activity WHERE {waits}"):
                await asyncio.sleep(0.01)
            return not await fetch(looks, "SELECT lane FROM jobs.lanes WHERE lane = 'B' FOR UPDATE SKIP LOCKED")


async def test_a_bulk_create_locks_its_lanes_in_the_order_in_which_all_others_do(database: Database) -> None:
    """By their bytes, "B" before "a", whatever the database's collation says; two orders would be a deadlock."""
    assert await create_in_a_and_b_while_a_is_held(database)
    with mutated(('ORDER BY lane COLLATE "C"', "ORDER BY lane DESC")):
        assert not await create_in_a_and_b_while_a_is_held(database)
