"""Ageing: a ready job goes up a class for each span that it waits, and never before."""

import asyncio
from datetime import timedelta
from typing import LiteralString

import pytest

from jobs_core import AnyJob, Complete, Connection, Database, Fail, HandlerTable, Jobs, JobType, Retry, execute, fetch
from jobs_core.ageing import age, forget_ready_times, step_s
from jobs_core.claim import claim, start
from jobs_core.look import find
from jobs_core.pauses import pause, resume
from jobs_core.settle import settle
from jobs_core.upkeep import rescue
from tests.database.conftest import ClaimAll
from tests.support.database import Undone
from tests.support.job_types import BRIEF_NOTE, LANE_NOTE, NOTE, Note
from tests.support.turns import create as create_errands
from tests.support.turns import in_turn
from tests.support.turns import table as turns_table
from tests.support.worker import until, working
from workers.upkeep import Upkeep

MINUTE = timedelta(minutes=1)
AGEING = {"note": MINUTE, "lane_note": MINUTE, "errand": MINUTE}
PASS: LiteralString = "UPDATE jobs.ready_times SET at = at - make_interval(secs => %(s)s)"


async def look(conn: Connection, *, after_s: float = 0.0, batch: int = 1_000) -> bool:
    """One look of upkeep, so long after the last one."""
    await execute(conn, PASS, {"s": after_s})
    return await age(conn, AGEING, queues=["default"], batch=batch)


async def classes(conn: Connection) -> list[int]:
    """Of all jobs, in the order of their ids."""
    return [row["priority"] for row in await fetch(conn, "SELECT priority FROM jobs.jobs ORDER BY id")]


async def test_a_job_goes_up_a_class_for_each_span_that_it_is_ready_and_not_before(
    jobs: Jobs, conn: Connection
) -> None:
    await jobs.create(NOTE, {}, priority=3)
    await look(conn)
    seen = []
    for after_s in (50, 11, 50, 11, 61, 61):
        await look(conn, after_s=after_s)
        seen += await classes(conn)
    assert seen == [3, 2, 2, 1, 0, 0]


async def test_time_before_a_job_was_ready_does_not_count(jobs: Jobs, conn: Connection) -> None:
    later = await jobs.create(NOTE, {}, priority=3, scheduled_for=timedelta(hours=1))
    await look(conn)
    await look(conn, after_s=90)
    await execute(
        conn, "UPDATE jobs.jobs SET ready_seq = nextval('jobs.ready_seq') WHERE id = %(id)s", {"id": later.id}
    )
    await look(conn, after_s=50)
    assert await classes(conn) == [3]
    await look(conn, after_s=61)
    assert await classes(conn) == [2]


async def test_a_stream_of_urgent_jobs_starves_nobody(jobs: Jobs, conn: Connection, claim_all: ClaimAll) -> None:
    """Each round as many urgent ones come as are claimed."""
    low = (await jobs.create(NOTE, {}, priority=4)).id
    await jobs.create(NOTE, {}, priority=0)
    claimed, rounds = set[int](), 0
    while low not in claimed:
        rounds += 1
        await jobs.create(NOTE, {}, priority=0)
        await look(conn, after_s=30)
        (job,) = await claim_all(slots=1)
        claimed.add(job.id)
        assert rounds < 30
    assert rounds > 8, "a class takes a minute"


async def test_without_ageing_it_would_starve(jobs: Jobs, conn: Connection, claim_all: ClaimAll) -> None:
    """The mutant of the test above."""
    low = (await jobs.create(NOTE, {}, priority=4)).id
    await jobs.create(NOTE, {}, priority=0)
    for _ in range(60):
        await jobs.create(NOTE, {}, priority=0)
        await execute(conn, PASS, {"s": 30})
        (job,) = await claim_all(slots=1)
        assert job.id != low


async def test_those_that_go_up_stand_behind_who_is_there_and_keep_their_order(
    jobs: Jobs, conn: Connection, claim_all: ClaimAll
) -> None:
    ids = [(await jobs.create(NOTE, {}, priority=priority)).id for priority in (3, 2, 3)]
    await look(conn)
    late = (await jobs.create(NOTE, {}, priority=1)).id
    await look(conn, after_s=61)
    assert await classes(conn) == [2, 1, 2, 1]
    assert [job.id for job in await claim_all()] == [late, ids[1], ids[0], ids[2]]


async def test_a_claim_that_goes_on_from_its_cursor_finds_what_went_up(
    jobs: Jobs, conn: Connection, worker_id: int
) -> None:
    await jobs.create(NOTE, {}, priority=3)
    await look(conn)
    await execute(conn, "SELECT setval('jobs.ready_seq', 100000)")
    await look(conn, after_s=61)
    floors = [99_000] * 5
    found = await claim(conn, worker_id=worker_id, queues=["default"], job_types=["note"], slots=1, floors=floors)
    assert [job.priority for job in found] == [2]


async def test_only_named_types_age_in_named_queues(jobs: Jobs, conn: Connection) -> None:
    await jobs.create(BRIEF_NOTE, {}, priority=3)
    await jobs.create(NOTE, {}, priority=3, queue="other")
    await jobs.create(NOTE, {}, priority=3)
    await look(conn)
    await look(conn, after_s=61)
    assert await classes(conn) == [3, 3, 2]


async def test_what_is_blocked_held_or_paused_stays(jobs: Jobs, conn: Connection, claim_all: ClaimAll) -> None:
    for lane in "aa":
        await jobs.create(LANE_NOTE, Note(lane=lane), priority=3)
    await jobs.create(NOTE, {}, priority=3)
    await look(conn)
    await pause(conn, job_type="note", set_by="ann")
    await look(conn, after_s=61)
    assert await classes(conn) == [2, 3, 3]
    await resume(conn, job_type="note")
    await claim_all(slots=1)
    await look(conn, after_s=61)
    assert await classes(conn) == [2, 3, 2]


async def test_a_job_that_takes_turns_ages_and_then_takes_them_in_its_new_class(
    database: Database, conn: Connection, worker_id: int
) -> None:
    async with Jobs(database, turns_table()) as jobs:
        await create_errands(jobs, *"AAB", priority=3)
        await look(conn)
        await look(conn, after_s=61)
        assert await classes(conn) == [2, 2, 2]
        await create_errands(jobs, "C", priority=2)
        assert await in_turn(conn, worker_id, 4) == "ABCA"


async def test_more_than_a_batch_is_left_for_the_next_look(jobs: Jobs, conn: Connection) -> None:
    for _ in range(5):
        await jobs.create(NOTE, {}, priority=3)
    await look(conn)
    assert await look(conn, after_s=61, batch=2)
    assert await classes(conn) == [2, 2, 3, 3, 3]
    assert await look(conn, batch=2)
    assert not await look(conn, batch=2)
    assert await classes(conn) == [2] * 5


async def test_a_batch_is_no_larger_for_many_users_and_types(database: Database, conn: Connection) -> None:
    """What it has locked no claim takes: 300 users' 500 jobs each, at once, were claimed by nobody for 3 s."""
    async with Jobs(database, turns_table()) as jobs:
        await create_errands(jobs, *"ABCAB", priority=3)
        await jobs.create(NOTE, {}, priority=4)
    await look(conn)
    assert await look(conn, after_s=61, batch=2)
    assert sorted(await classes(conn)) == [2, 3, 3, 3, 3, 3]
    assert await look(conn, batch=2)
    assert await look(conn, batch=2)
    assert not await look(conn, batch=2)
    assert sorted(await classes(conn)) == [2, 2, 2, 2, 2, 3]


async def test_of_two_looks_at_once_each_job_goes_up_once(jobs: Jobs, conn: Connection, database: Database) -> None:
    for _ in range(50):
        await jobs.create(NOTE, {}, priority=4)
    await look(conn)
    await execute(conn, PASS, {"s": 61.0})

    async def one() -> None:
        async with database.connection() as own:
            await age(own, AGEING, queues=["default"])

    await asyncio.gather(*(one() for _ in range(6)))
    assert set(await classes(conn)) == {3}


async def test_what_another_has_locked_is_passed_over(jobs: Jobs, conn: Connection, database: Database) -> None:
    locked = (await jobs.create(NOTE, {}, priority=3)).id
    await jobs.create(NOTE, {}, priority=3)
    await look(conn)
    with pytest.raises(Undone):
        async with database.transaction() as other:
            await execute(other, "SELECT FROM jobs.jobs WHERE id = %(id)s FOR UPDATE", {"id": locked})
            async with asyncio.timeout(10):
                await look(conn, after_s=61)
            raise Undone
    assert await classes(conn) == [3, 2]


async def test_a_job_says_which_class_it_was_created_in(jobs: Jobs, conn: Connection) -> None:
    job_id = (await jobs.create(NOTE, {}, priority=4)).id
    await look(conn)
    for _ in range(2):
        await look(conn, after_s=61)
    view = await find(conn, job_id)
    assert view is not None
    assert (view.priority, view.first_priority) == (2, 4)


@pytest.mark.parametrize(("outcome", "kept_as"), [(Fail("no"), 4), (Complete(), 3)], ids=["failed", "complete"])
async def test_history_has_the_class_of_the_claim_or_where_a_redrive_begins(
    jobs: Jobs, conn: Connection, claim_all: ClaimAll, outcome: Fail | Complete, kept_as: int
) -> None:
    job_id = (await jobs.create(NOTE, {}, priority=4)).id
    await look(conn)
    await look(conn, after_s=61)
    (job,) = await claim_all()
    await settle(conn, job, outcome, NOTE)
    view = await find(conn, job_id)
    assert view is not None
    assert (view.priority, view.first_priority) == (kept_as, None)


async def test_a_job_that_is_cancelled_before_its_claim_is_kept_with_its_first_class(
    jobs: Jobs, conn: Connection
) -> None:
    job_id = (await jobs.create(NOTE, {}, priority=4)).id
    await look(conn)
    await look(conn, after_s=61)
    await jobs.cancel(job_id)
    view = await find(conn, job_id)
    assert view is not None
    assert (view.state, view.priority) == ("cancelled", 4)


async def test_a_job_that_is_tried_again_keeps_its_class_and_waits_anew(
    jobs: Jobs, conn: Connection, claim_all: ClaimAll
) -> None:
    await jobs.create(NOTE, {}, priority=4)
    await look(conn)
    await look(conn, after_s=61)
    (job,) = await claim_all()
    await settle(conn, job, Retry("no", after=timedelta(0)), NOTE)
    await look(conn, after_s=50)
    assert await classes(conn) == [3]


async def test_suspects_stay(jobs: Jobs, conn: Connection, claim_all: ClaimAll) -> None:
    await jobs.create(NOTE, {}, priority=4)
    (job,) = await claim_all()
    await start(conn, job)
    await execute(conn, "UPDATE jobs.workers SET dead_at = now()")
    await rescue(conn)
    await look(conn)
    await look(conn, after_s=61)
    assert await classes(conn) == [4]


async def test_what_was_noted_is_noted_once_a_step_and_forgotten(conn: Connection) -> None:
    for _ in range(3):
        await look(conn)
    assert len(await fetch(conn, "SELECT FROM jobs.ready_times")) == 1
    await look(conn, after_s=7)
    assert len(await fetch(conn, "SELECT FROM jobs.ready_times")) == 2
    await forget_ready_times(conn)
    await execute(conn, PASS, {"s": 2 * 86_400.0})
    await forget_ready_times(conn)
    assert await fetch(conn, "SELECT FROM jobs.ready_times") == []


async def test_a_clock_that_was_set_back_keeps_nobody_from_ageing(jobs: Jobs, conn: Connection) -> None:
    await look(conn)
    await execute(conn, PASS, {"s": -10_800.0})
    await jobs.create(NOTE, {}, priority=3)
    await look(conn)
    await look(conn, after_s=61)
    assert await classes(conn) == [2]


def test_upkeep_looks_ten_times_in_a_span() -> None:
    assert step_s({"a": MINUTE, "b": timedelta(hours=1)}) == 6
    assert step_s({"a": timedelta(seconds=1)}) == 1
    assert step_s({"a": timedelta(days=1)}) == 60


@pytest.mark.parametrize("ageing", [timedelta(0), timedelta(days=2), -MINUTE])
def test_an_ageing_that_nobody_could_keep_to_is_refused(ageing: timedelta) -> None:
    with pytest.raises(ValueError, match="ageing"):
        HandlerTable().declare(JobType("old", Note, ageing=ageing))


async def test_a_worker_ages_the_types_that_say_so(database: Database) -> None:
    """Its only runner is busy with urgent ones, of which there is always one more."""
    ageing = JobType("ageing", Note, ageing=timedelta(seconds=1), priority=2)
    done = asyncio.Event()

    async def handle(job: AnyJob) -> Complete:
        if job.input.text == "low":
            done.set()
        elif not done.is_set():
            await running.create(ageing, Note(), priority=0)
        await asyncio.sleep(0.05)
        return Complete()

    async with working(database, {ageing: handle}, slots=1) as (running, _):
        await running.create(ageing, Note(), priority=0)
        await running.create(ageing, Note(text="low"), priority=1)

        async def is_done() -> bool:
            return done.is_set()

        await until(is_done)


async def test_upkeep_asks_nothing_where_no_type_ages(database: Database, jobs: Jobs) -> None:
    await Upkeep(jobs, 1.0, queues=["default"]).run_once()
    async with database.connection() as conn:
        assert await fetch(conn, "SELECT FROM jobs.ready_times") == []
