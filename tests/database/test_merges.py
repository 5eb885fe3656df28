"""Merges on a real Postgres: a type says what the input of an unclaimed job becomes when a create meets it."""

import json
from typing import Any

import pytest

from jobs_core import (
    AnyJob,
    Connection,
    InvalidInput,
    Jobs,
    JobType,
    KeyReused,
    NewJob,
    execute,
    fetch,
    gate,
    sql_create,
)
from tests.support.debounce import AT_MOST, BASKET, QUIET, Basket, claimed, minutes_left, pass_minutes, state_of
from tests.support.job_types import Note


@pytest.fixture(autouse=True)
def declared(jobs: Jobs) -> None:
    jobs.table.declare(BASKET)


def put(*items: int, key: str = "k", **more: Any) -> NewJob:
    return NewJob(BASKET, {"items": list(items)}, unique_key=key, **more)


async def items_of(conn: Connection, job_id: int) -> list[int]:
    items: list[int] = (await state_of(conn, job_id))["input"]["items"]
    return items


async def test_a_met_jobs_input_becomes_the_merge_of_both_and_its_time_stays(jobs: Jobs, conn: Connection) -> None:
    first = await jobs.create_many([put(1)])
    before = await state_of(conn, first.id)
    second = await jobs.create_many([put(2, 3)])
    assert (second.id, second.met, second.merged, second.due) == (first.id, {first.id}, {first.id}, {})
    assert await state_of(conn, first.id) == {**before, "input": {"items": [1, 2, 3], "text": ""}}


async def test_with_a_debounce_all_of_a_burst_is_in_the_one_run(jobs: Jobs, conn: Connection) -> None:
    for n in range(4):
        created = await jobs.create_many([put(n, debounce=QUIET, debounce_at_most=AT_MOST)])
        assert await minutes_left(conn, created.id) == 10
        await pass_minutes(conn, 4)
    await pass_minutes(conn, 6)
    (job,) = await claimed(conn)
    assert json.loads(job.input)["items"] == [0, 1, 2, 3]


async def test_a_blocked_or_deferred_job_takes_inputs_in_and_a_claimed_one_does_not(
    jobs: Jobs, conn: Connection
) -> None:
    lane = JobType("lane_note", Basket, lane=lambda _: "a", unique_while="unstarted", merge=BASKET.merge)
    head, behind = [(await jobs.create(lane, {"items": [n]}, unique_key=f"k{n}", unchecked=True)).id for n in range(2)]
    assert [job.id for job in await claimed(conn)] == [head]
    again = await jobs.create(lane, {"items": [5]}, unique_key="k1", unchecked=True)
    assert (again.merged, await items_of(conn, behind)) == ({behind}, [1, 5])
    new = await jobs.create(lane, {"items": [6]}, unique_key="k0", unchecked=True)
    assert (new.met, await items_of(conn, head), await items_of(conn, new.id)) == (frozenset(), [0], [6])


async def test_creates_of_one_call_are_merged_in_their_order(jobs: Jobs, conn: Connection) -> None:
    there = await jobs.create_many([put(0, key="there")])
    many = [put(1), put(2, key="there"), put(3), put(4, key="there"), put(5, key="alone")]
    created = await jobs.create_many(many)
    assert created.merged == {there.id}
    rows = await fetch(conn, "SELECT input -> 'items' AS items FROM jobs.jobs ORDER BY id")
    assert [row["items"] for row in rows] == [[0, 2, 4], [1, 3], [5]]


async def test_a_merge_sees_no_input_of_another_user_and_moves_no_job_to_another_lane(
    jobs: Jobs, conn: Connection
) -> None:
    seen = list[str]()

    def last(old: Note, new: Note) -> Note:
        seen.append(old.text)
        return Note(text=new.text, lane=new.text)

    odd = JobType("odd", Note, lane=lambda note: note.lane, unique_while="unstarted", merge=last)

    async def create(text: str, lane: str, user: str) -> None:
        await jobs.create(odd, {"text": text, "lane": lane}, user_id=user, unique_key="k", unchecked=True)

    await create("a", "a", "ada")
    for text, lane, user, says in (("a", "a", "eve", "user_id"), ("a", "b", "ada", "lane"), ("b", "a", "ada", "lane")):
        with pytest.raises(InvalidInput, match=f"holds it with another {says}: they cannot be one job"):
            await create(text, lane, user)
    assert seen == ["a"], "the merge was called before it was known whose jobs these are"
    assert await fetch(conn, "SELECT lane, input ->> 'text' AS text FROM jobs.jobs") == [{"lane": "a", "text": "a"}]


async def test_a_spawn_that_meets_a_job_is_refused_and_merges_nothing(
    jobs: Jobs, conn: Connection, job: AnyJob
) -> None:
    first = await jobs.create_many([put(1)])
    with pytest.raises(InvalidInput, match=f"job {first.id} holds its key and is nobody's child"):
        await job.spawn("child", put(2))
    assert await items_of(conn, first.id) == [1]


async def test_without_a_key_nothing_is_merged(jobs: Jobs) -> None:
    created = await jobs.create_many([NewJob(BASKET, {"items": []}) for _ in range(2)])
    assert (len({*created.ids}), created.merged) == (2, frozenset())


async def test_an_event_that_is_repeated_is_known_by_its_own_input_not_by_the_merged_one(
    jobs: Jobs, conn: Connection
) -> None:
    await jobs.create_many([put(1, idempotency_key="one")])
    two = put(2, idempotency_key="two")
    job_id = (await jobs.create_many([two])).id
    assert (await jobs.create_many([two, put(3), two])).merged == {job_id}
    assert await items_of(conn, job_id) == [1, 2, 3]
    for text in ("one", "two"):
        with pytest.raises(KeyReused):
            await jobs.create_many([put(1, 2, 3, idempotency_key=text)])


def raising(_: Basket, new: Basket) -> Basket:
    if new.text == "refused":
        raise InvalidInput("input.text: is refused", field="input.text")
    raise LookupError(f"the secret of {new.text}")


async def test_a_raise_in_a_merge_refuses_that_create_and_changes_nothing(jobs: Jobs, conn: Connection) -> None:
    odd = JobType("odd", Basket, unique_while="unstarted", merge=raising)
    first = await jobs.create(odd, {"items": [1]}, unique_key="k", unchecked=True)
    before = await state_of(conn, first.id)
    with pytest.raises(InvalidInput) as refused:
        await jobs.create_many(
            [NewJob(odd, {"items": []}), NewJob(odd, {"items": [], "text": "ada"}, unique_key="k")], unchecked=True
        )
    assert str(refused.value) == f"input: the merge of odd raised LookupError (merged with the input of job {first.id})"
    with pytest.raises(InvalidInput, match=r"^input\.text: is refused") as refused:
        await jobs.create(odd, {"items": [], "text": "refused"}, unique_key="k", unchecked=True)
    assert refused.value.field == "input.text"
    assert await fetch(conn, "SELECT id FROM jobs.jobs") == [{"id": first.id}]
    assert await state_of(conn, first.id) == before


@pytest.mark.parametrize(
    ("made", "says"),
    [
        ({"items": ["x"]}, r"^input\.items\.0: "),
        ({"items": [0] * 1001}, r"^input\.items: List should have at most 1000 items"),
        ({"items": [], "text": "é" * gate.MAX_INPUT_BYTES}, r"^input: 524\d+ bytes, at most 262144 are allowed"),
        ({"items": [], "text": "\0"}, r"^input\.text: contains a NUL"),
        (None, "^input: "),
    ],
    ids=["type", "bound", "size", "NUL", "None"],
)
async def test_what_a_merge_makes_passes_the_model_and_the_gate(
    jobs: Jobs, conn: Connection, made: Any, says: str
) -> None:
    odd = JobType("odd", Basket, unique_while="unstarted", merge=lambda _, __: made)
    first = await jobs.create(odd, {"items": [1]}, unique_key="k", unchecked=True)
    before = await state_of(conn, first.id)
    with pytest.raises(InvalidInput, match=rf"{says}.*merged with the input of job {first.id}\)$"):
        await jobs.create(odd, {"items": [2]}, unique_key="k", unchecked=True)
    assert await state_of(conn, first.id) == before
    both = [NewJob(odd, {"items": [n]}, unique_key="new") for n in range(2)]
    with pytest.raises(InvalidInput, match=rf"{says}.*merged with the input of another job of this call\)$"):
        await jobs.create_many(both, unchecked=True)


async def test_an_input_that_its_type_does_not_take_any_more_is_named_as_the_met_jobs(
    jobs: Jobs, conn: Connection
) -> None:
    first = await jobs.create_many([put(1)])
    await execute(conn, """UPDATE jobs.jobs SET input = '{"items": "old"}'""")
    with pytest.raises(InvalidInput, match=f"job {first.id} holds it, and its input does not fit basket") as refused:
        await jobs.create_many([put(2)])
    assert refused.value.field == "unique_key"


def test_a_merge_is_for_keys_that_are_held_while_unstarted() -> None:
    with pytest.raises(ValueError, match="'odd' has a merge: give it unique_while='unstarted' as well"):
        JobType("odd", Note, merge=lambda old, _: old)


async def test_such_a_key_cannot_be_held_while_unfinished(jobs: Jobs) -> None:
    with pytest.raises(
        InvalidInput, match=r"^unique_while: a job that is merged or debounced holds its key while unstarted"
    ):
        await jobs.create_many([put(1, unique_while="unfinished")])


async def test_a_statement_for_another_driver_is_refused_where_python_would_have_to_merge() -> None:
    with pytest.raises(InvalidInput, match=r"^unique_key: inputs of jobs of type basket are merged in Python"):
        sql_create(put(1))
    assert sql_create(NewJob(BASKET, {"items": []})).job
