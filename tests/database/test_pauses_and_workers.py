"""Pauses and a worker that runs: who idles is woken when one ends, and what stood back is worked off at full speed."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta

import pytest

import workers.upkeep
from jobs_core import AnyJob, Complete, Connection, Database, Jobs, NewJob, Outcome, Snooze, execute, fetch_one
from jobs_core.pauses import pause, resume
from jobs_core.wake import Notifier
from tests.database.test_worker import ended, until, working
from tests.support.job_types import LANE_NOTE, NOTE, Note, table
from workers.claims import Cursor
from workers.upkeep import Upkeep

FOR_A_WHILE = timedelta(seconds=1.5)
"""Longer than a worker that heard of the new job looks around for it: a quarter of a second."""


async def complete(_: AnyJob) -> Complete:
    return Complete()


async def paused_job(jobs: Jobs, conn: Connection, until: timedelta | None = None) -> int:
    """A job of a type that is paused, before an idle worker whose poll is 30 s away."""
    await ended(jobs.database, (await jobs.create(NOTE, Note())).id)
    await pause(conn, job_type="note", until=until, set_by="ada")
    return (await jobs.create(NOTE, Note())).id


async def test_a_resume_elsewhere_wakes_an_idle_worker_at_once(database: Database) -> None:
    async with working(database, {NOTE: complete}) as (jobs, _), database.connection() as conn:
        job_id = await paused_job(jobs, conn)
        await resume(conn, job_type="note")
        async with Notifier(database) as elsewhere:  # of another process: only the NOTIFY reaches the worker
            elsewhere.wake_all()
            assert (await ended(database, job_id)).state == "complete"


async def test_a_pause_whose_time_is_over_wakes_idle_workers(database: Database) -> None:
    async with working(database, {NOTE: complete}) as (jobs, _), database.connection() as conn:
        job_id = await paused_job(jobs, conn, FOR_A_WHILE)
        assert (await ended(database, job_id)).state == "complete"


async def test_upkeep_that_looks_seldom_looks_when_the_pause_ends(database: Database) -> None:
    async with database.connection() as conn, Jobs(database, table()) as jobs:
        await pause(conn, job_type="note", until=timedelta(seconds=2), set_by="ada")
        assert 0 < await Upkeep(jobs, upkeep_s=60).run_once() <= 2


@pytest.mark.direct("polls seldom, as workers do that LISTEN")
async def test_without_the_wake_up_at_a_pauses_end_it_would_wait_for_the_poll(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def see_nothing(_: Connection) -> bool:
        return False

    monkeypatch.setattr(workers.upkeep, "end_due", see_nothing)
    async with working(database, {NOTE: complete}) as (jobs, _), database.connection() as conn:
        job_id = await paused_job(jobs, conn, FOR_A_WHILE)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(3):
                await ended(database, job_id)


async def left_after_a_resume(database: Database, within_s: float) -> int:
    """300 jobs stand back while another type's go on, far ahead in readiness; how many are left so long after the resume."""

    async def left() -> int:
        async with database.connection() as other:
            row = await fetch_one(other, "SELECT count(*) AS n FROM jobs.jobs")
        assert row is not None
        return int(row["n"])

    async def none_left() -> bool:
        return await left() == 0

    async with (
        working(database, {NOTE: complete, LANE_NOTE: complete}, slots=2) as (jobs, _),
        database.connection() as conn,
    ):
        await pause(conn, job_type="note", set_by="ada")
        await jobs.create_many([NewJob(NOTE, Note()) for _ in range(300)])
        await execute(conn, "SELECT setval('jobs.ready_seq', 100000)")
        await ended(database, (await jobs.create(LANE_NOTE, Note(lane="a"))).id)
        await resume(conn, job_type="note")
        jobs.notifier.wake_all()
        try:
            async with asyncio.timeout(within_s):
                await until(none_left)
        except TimeoutError:
            pass
        return await left()


async def test_what_stood_back_is_worked_off_at_full_speed(database: Database) -> None:
    assert await left_after_a_resume(database, 12) == 0


async def test_a_cursor_that_never_goes_back_would_take_a_handful_each_quarter_of_a_second(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    forward_only = Cursor.claimed

    def claimed(self: Cursor, jobs: Sequence[AnyJob], *, from_the_start: bool = False) -> None:
        assert from_the_start in {False, True}
        forward_only(self, jobs)

    monkeypatch.setattr(Cursor, "claimed", claimed)
    assert await left_after_a_resume(database, 4) > 100


async def test_a_run_that_is_told_to_come_back_later_keeps_its_queue_from_asking_again(database: Database) -> None:
    """As where a provider says 429: one run asks, the others wait, nothing is counted."""
    asked = list[str]()

    async def ask(job: AnyJob) -> Outcome:
        asked.append(job.input.text)
        if len(asked) > 1:
            return Complete()
        later = timedelta(seconds=1)
        return Snooze(later, "429", because="rate_limited", pause_queue_until=later)

    async with working(database, {NOTE: ask}, slots=1) as (jobs, _):
        created = await jobs.create_many([NewJob(NOTE, Note(text=f"{number}")) for number in range(5)])
        await until(lambda: _paused(database))
        assert asked == ["0"]
        views = [await ended(database, job_id) for job_id in created.ids]
    assert {(view.state, view.retry_count) for view in views} == {("complete", 0)}


async def _paused(database: Database) -> object:
    async with database.connection() as conn:
        return await fetch_one(conn, "SELECT FROM jobs.pauses") is not None
