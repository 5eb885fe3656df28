"""The intake beside what goes wrong: an event that cannot be taken in, or not now, keeps no other."""

import asyncio
from collections.abc import Sequence

import pytest

from gateways.webhooks import intake
from gateways.webhooks.intake import Intake, _Waiting
from gateways.webhooks.taking import Arrived, Taken
from jobs_core import Connection, Database, HandlerTable, Jobs, JobType, NewJob, db, execute, fetch_one
from tests.support.job_types import Note


def arrived(key: str, job: NewJob | None = None) -> Arrived:
    return Arrived("shop", key, b"", b"", {}, job)


def in_lane(lane: str, text: str = "") -> NewJob:
    return NewJob("lane_note", {"text": text, "lane": lane})


async def test_what_comes_as_both_flights_end_begins_another(jobs: Jobs, monkeypatch: pytest.MonkeyPatch) -> None:
    """In one step of the loop: both find nothing waiting, then it is submitted, then the loop says that they are done."""
    over = asyncio.Event()

    async def answer(_: Intake, batch: Sequence[_Waiting]) -> None:
        if batch[0].arrived.key != "late":
            await over.wait()
        for one in batch:
            one.tell(Taken(1, "ignored", None))

    monkeypatch.setattr(Intake, "_take", answer)
    taking = Intake(jobs)
    for key in "ab":
        asyncio.create_task(taking.submit(arrived(key), None))  # noqa: RUF006 - its flight keeps it
        await asyncio.sleep(0)
    await asyncio.sleep(0)

    async def submit_late() -> object:
        await over.wait()
        return await taking.submit(arrived("late"), None)

    late = asyncio.create_task(submit_late())
    await asyncio.sleep(0)
    over.set()
    assert await asyncio.wait_for(late, 10)


async def test_lanes_that_are_held_keep_no_other_event_however_many_wait_for_them(
    jobs: Jobs, conn: Connection, other: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(intake, "_LOCK_WAIT_ASIDE_S", 60.0)
    await jobs.create_many([in_lane("held"), in_lane("free")])
    taking = Intake(jobs)
    waiting = []
    async with other.transaction():
        await execute(other, "SELECT FROM jobs.lanes WHERE lane = 'held' FOR UPDATE")
        for n in range(3 * intake._FLIGHTS):
            held = (taking.submit(arrived(f"{n}.{m}", in_lane("held")), None) for m in range(3))
            waiting += [asyncio.create_task(one) for one in held]
            free = await asyncio.wait_for(taking.submit(arrived(f"{n}", in_lane("free")), None), 20)
            assert isinstance(free, Taken)
        assert not any(task.done() for task in waiting)
    taken = await asyncio.gather(*waiting)
    assert all(isinstance(one, Taken) and one.result == "created" for one in taken)


async def test_while_nothing_is_taken_in_what_waits_is_bounded_in_bytes(
    jobs: Jobs, conn: Connection, other: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Five thousand events of 70 kB held 2.4 GB while the database was slow."""
    monkeypatch.setattr(intake, "_MOST_WAITING_BYTES", 2_500)
    taking = Intake(jobs)

    def submit(key: str) -> "asyncio.Task[object]":
        return asyncio.create_task(taking.submit(Arrived("shop", key, b"", b"x" * 1_000, {}, None), None))

    async with other.transaction():
        await execute(other, "LOCK TABLE jobs.webhook_events")
        waiting = [submit("a"), submit("b")]
        with pytest.raises(db.SerializationFailure, match="too many"):
            await submit("c")
        assert not any(task.done() for task in waiting)
    await asyncio.gather(*waiting)
    assert isinstance(await submit("c"), Taken)


async def test_what_a_type_breaks_on_fails_its_own_event_alone(database: Database, conn: Connection) -> None:
    """Its own code is asked twice: for the event, and as the job is created."""
    table = HandlerTable()
    table.declare(JobType("odd", Note, lane=_lane_of))
    async with Jobs(database, table) as jobs:
        taking = Intake(jobs)
        texts = ["good", "odd", "fine"]
        submitted = (taking.submit(arrived(text, NewJob("odd", {"text": text})), None) for text in texts)
        good, odd, fine = await asyncio.gather(*submitted, return_exceptions=True)
    assert isinstance(good, Taken)
    assert isinstance(fine, Taken)
    assert (good.result, fine.result) == ("created", "created")
    assert isinstance(odd, RuntimeError)
    row = await fetch_one(conn, "SELECT count(*) AS n FROM jobs.webhook_events")
    assert row == {"n": 2}


def _lane_of(note: Note) -> str:
    if note.text == "odd":
        raise RuntimeError("an odd one")
    return "a"
