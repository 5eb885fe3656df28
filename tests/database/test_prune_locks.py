"""Pruning while others settle, read or redrive: who waits for whom, and for how long."""

import asyncio
from collections.abc import AsyncIterator
from datetime import date, timedelta

import pytest

from jobs_core import Connection, Database, Jobs, NotRedriven, execute, fetch, history, prune, redrive
from jobs_core.dead_letters import Left, Letters, pages
from jobs_core.history import Day, make_partitions, midnight
from jobs_core.lanes import hold, release
from jobs_core.prune import Chosen, Part, Pruned
from tests.database.conftest import Settle
from tests.database.test_history import INSERT
from tests.support.database import reading_history, until_blocked
from tests.support.dead_letters import dead, redriven

DROP = "-- Takes partition (its name filled in). Locks it"


@pytest.fixture
async def pruner(database: Database) -> AsyncIterator[Connection]:
    """A connection of whoever prunes."""
    async with await database.connect("pruner") as connection:
        yield connection


@pytest.fixture
async def old(conn: Connection, today: date) -> Day:
    """A day of forty days ago, with three jobs in it."""
    day = Day("history_standard", today - timedelta(days=40))
    await make_partitions(conn)
    await history._make(conn, day)
    await execute(conn, INSERT, {"retention": "standard", "days": 40, "n": 3})
    return day


async def pruned(conn: Connection, chosen: Chosen) -> list[Pruned]:
    return [step async for step in prune.prune(conn, chosen)]


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A drop is tried twice, with hardly a pause."""
    monkeypatch.setattr(prune, "_TRIES", 2)
    monkeypatch.setattr(prune, "_PAUSE_S", 0.01)


@pytest.fixture
def unbounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """DDL waits as long as it has to."""
    monkeypatch.setattr(history, "LOCK_MS", 0)
    monkeypatch.setattr(history, "STATEMENT_MS", 0)


@pytest.mark.usefixtures("impatient")
async def test_a_day_that_a_reader_holds_is_left_settles_go_on_and_the_next_prune_drops_it(
    pruner: Connection, other: Connection, settle_one: Settle, today: date, old: Day
) -> None:
    chosen = Chosen(midnight(today))
    async with reading_history(other):
        settling = asyncio.create_task(settle_one())
        last = (await pruned(pruner, chosen))[-1]
        assert (last.part, last.rows, last.dropped) == (Part(old.table, old.day, whole=True), 0, False)
        assert last.why_not == "others held the lock: tried again in the next round"
        await settling
        await settle_one()
    steps = await pruned(pruner, chosen)
    assert [(step.part and step.part.name, step.rows) for step in steps if step.dropped] == [(old.name, 3)]


@pytest.mark.usefixtures("unbounded")
async def test_a_prune_without_the_bound_would_stop_settles(
    pruner: Connection, other: Connection, database: Database, settle_one: Settle, old: Day
) -> None:
    """The mutant: its drop waits as long as the reader reads, and settles wait behind it."""
    async with reading_history(other):
        pruning = asyncio.create_task(pruned(pruner, Chosen(midnight(old.day + timedelta(days=1)))))
        async with database.connection() as watching:
            await until_blocked(watching, DROP)
            settling = asyncio.create_task(settle_one())
            await until_blocked(watching, "-- Takes id, token, state")
            assert not settling.done()
    assert [step.dropped for step in await pruning if step.dropped] == [True]
    await settling


async def test_rows_that_are_being_deleted_stop_no_settle(pruner: Connection, settle_one: Settle, today: date) -> None:
    """Of today's partition, which they write to."""
    await make_partitions(pruner)
    await settle_one()
    part = Part("history_standard", today, whole=False)
    tomorrow = Chosen(midnight(today + timedelta(days=1)))
    async with pruner.transaction():
        step, _ = await prune._delete(pruner, tomorrow, part, 0)
        assert step.rows == 1
        await settle_one()
    assert len(await fetch(pruner, "SELECT FROM jobs.history")) == 1


async def test_a_job_is_redriven_or_pruned_first_and_the_other_finds_that(
    jobs: Jobs, pruner: Connection, other: Connection, conn: Connection, today: date
) -> None:
    chosen, part = Chosen(midnight(today + timedelta(days=1))), Part("history_standard", None, whole=False)
    await dead(conn)
    (page,) = [page async for page in pages(conn, Letters())]
    async with other.transaction():
        made, _, _ = await redrive._redrive(other, jobs.table, page, again=False)
        assert len(made) == 1
        pruning = asyncio.create_task(prune._delete(pruner, chosen, part, 0))
        await until_blocked(conn)
    assert (await pruning)[0].rows == 1

    await dead(conn)
    (page,) = [page async for page in pages(conn, Letters())]
    async with pruner.transaction():
        assert (await prune._delete(pruner, chosen, part, 0))[0].rows == 1
        redriving = asyncio.create_task(redrive._redrive(other, jobs.table, page, again=False))
        await until_blocked(conn)
    assert await redriving == ({}, [], frozenset())


async def test_a_job_that_is_pruned_while_its_redrive_waits_is_told_to_be_gone(
    jobs: Jobs, pruner: Connection, other: Connection, conn: Connection, today: date
) -> None:
    """Named by its id; and by a release of the lane that it held, which stays held."""
    chosen, part = Chosen(midnight(today + timedelta(days=1))), Part("history_standard", None, whole=False)
    old = await dead(conn)
    async with pruner.transaction():
        await prune._delete(pruner, chosen, part, 0)
        redriving = asyncio.create_task(redriven(other, jobs, Letters(ids=(old,))))
        await until_blocked(conn)
    assert (await redriving).left == [Left(old, "unknown")]

    old = await dead(conn, lane="turn:7")
    await hold(conn, "turn:7", held_by="ada")
    await execute(conn, "UPDATE jobs.lanes SET held_job = %(id)s", {"id": old})
    async with pruner.transaction():
        await prune._delete(pruner, chosen, part, 0)
        releasing = asyncio.create_task(release(other, "turn:7", redrive=jobs.table))
        await until_blocked(conn)
    with pytest.raises(
        NotRedriven, match=f"there is no job {old}, or history keeps it no longer: lane turn:7 stays held"
    ):
        await releasing
