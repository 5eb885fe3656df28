"""What the queue's metrics say after something happened: counters where it did, gauges from the tables."""

import asyncio
from datetime import timedelta

import pytest
from pydantic import BaseModel, Field

import schedules
from jobs_core import (
    AnyJob,
    Cancel,
    Complete,
    Connection,
    Database,
    Fail,
    Jobs,
    JobType,
    Retry,
    Snooze,
    Wait,
    execute,
    fetch_one,
)
from jobs_core.claim import claim
from jobs_core.gauges import Value
from jobs_core.leases import register
from jobs_core.metrics import look
from jobs_core.pauses import pause
from jobs_core.ready_times import ReadyTimes
from jobs_core.redrive import redrive_one
from schedules.evaluator import Evaluator
from tests.support.counting import more, seen
from tests.support.job_types import LANE_NOTE, NOTE, table
from tests.support.worker import ended, working
from workers.executor import Executor
from workers.upkeep import Upkeep


def of(values: list[Value], gauge: str) -> dict[tuple[str, ...], float]:
    return {tuple(one.labels): one.value for one in values if one.gauge == gauge}


@pytest.mark.parametrize(
    ("outcome", "name", "labels"),
    [
        (Complete(), "jobs_ended_total", {"state": "complete"}),
        (Complete(also=lambda _: _nothing()), "jobs_ended_total", {"state": "complete"}),
        (Fail("no"), "jobs_ended_total", {"state": "failed"}),
        (Cancel("no"), "jobs_ended_total", {"state": "cancelled"}),
        (Retry("later"), "jobs_put_back_total", {"because": "error"}),
        (Snooze(timedelta(hours=1)), "jobs_put_back_total", {"because": "snoozed"}),
        (Wait("never"), "jobs_waits_total", {}),
    ],
    ids=["complete", "complete alone", "fail", "cancel", "retry", "snooze", "wait"],
)
async def test_what_a_run_comes_to_is_counted_once(
    database: Database, outcome: Complete, name: str, labels: dict[str, str]
) -> None:
    async def handle(_: AnyJob) -> Complete:
        return outcome

    counted = more(name, job_type="note", **labels)
    created, claimed = more("jobs_created_total", job_type="note"), more("jobs_claimed_total", job_type="note")
    runs = more("jobs_run_seconds_count", job_type="note")
    async with working(database, {NOTE: handle}) as (jobs, _):
        await jobs.create(NOTE, {})
        await seen(lambda: counted() == 1 and runs() == 1)
    assert (counted(), created(), claimed()) == (1, 1, 1)


async def _nothing() -> None:
    """What an outcome writes besides."""


async def test_a_create_that_meets_a_job_is_counted_as_such(jobs: Jobs) -> None:
    created, met = more("jobs_created_total", job_type="note"), more("jobs_met_total", job_type="note")
    for _ in range(3):
        await jobs.create(NOTE, {}, unique_key="one")
    assert (created(), met()) == (1, 2)


async def test_a_job_that_is_cancelled_before_any_run_is_counted_as_ended(jobs: Jobs) -> None:
    cancelled = more("jobs_ended_total", job_type="note", state="cancelled")
    await jobs.cancel((await jobs.create(NOTE, {})).id)
    assert cancelled() == 1


async def test_a_run_whose_job_is_anothers_by_now_is_counted_and_ends_nothing(
    database: Database, conn: Connection
) -> None:
    known = table()
    known.register_handler(NOTE, _complete)
    jobs = Jobs(database, known)
    await jobs.create(NOTE, {})
    worker_id = await register(conn, queues=["default"], job_types=["note"], slots=1, lease_s=600)
    (job,) = await claim(conn, worker_id=worker_id, queues=["default"], job_types=["note"], slots=1)
    await execute(conn, "UPDATE jobs.jobs SET token = nextval('jobs.token_seq')")
    refused, completed = (
        more("jobs_stale_writes_total", job_type="note"),
        more("jobs_ended_total", job_type="note", state="complete"),
    )
    assert await Executor(jobs, 1, on_stuck=lambda: None).run(job) is None
    assert (refused(), completed()) == (1, 0)


async def _complete(_: AnyJob) -> Complete:
    return Complete()


async def test_the_pickup_of_a_job_that_was_created_long_ago_counts_from_when_it_was_ready(
    database: Database, conn: Connection
) -> None:
    """Without what upkeep notes it would be the hour since its creation."""
    took, picked_up = (
        more("jobs_pickup_seconds_sum", job_type="note"),
        more("jobs_pickup_seconds_count", job_type="note"),
    )
    async with working(database, {NOTE: _complete}) as (jobs, worker):
        await seen(lambda: worker._shift is not None)
        job = await jobs.create(NOTE, {}, scheduled_for=timedelta(hours=1))
        await execute(conn, "UPDATE jobs.jobs SET created_at = now() - interval '1 hour', scheduled_for = now()")
        await ended(database, job.id)
    assert picked_up() == 1
    assert 0 <= took() < 60


async def test_living_jobs_are_told_by_their_state(jobs: Jobs, conn: Connection) -> None:
    for _ in range(3):
        await jobs.create(NOTE, {})
    for _ in range(2):
        await jobs.create(LANE_NOTE, {"lane": "a"})
    await jobs.create(NOTE, {}, scheduled_for=timedelta(hours=1))
    await jobs.create(NOTE, {}, queue="held")
    worker_id = await register(conn, queues=["held"], job_types=["note"], slots=4, lease_s=600)
    await claim(conn, worker_id=worker_id, queues=["held"], job_types=["note"], slots=1)
    values = await look(conn, ReadyTimes())
    assert of(values, "jobs_living") == {
        ("default", "note", "ready"): 3,
        ("default", "note", "scheduled"): 1,
        ("default", "lane_note", "ready"): 1,
        ("default", "lane_note", "blocked"): 1,
        ("held", "note", "claimed"): 1,
    }
    assert (of(values, "jobs_workers"), of(values, "jobs_worker_slots")) == ({(): 1}, {(): 4})
    assert of(values, "jobs_due_late_seconds") == {(): 0}


async def test_the_oldest_ready_job_is_that_of_any_class_and_none_that_is_paused(jobs: Jobs, conn: Connection) -> None:
    for priority, hours in ((0, 1), (4, 3), (2, 2)):
        job = await jobs.create(NOTE, {}, priority=priority)
        made = {"id": job.id, "hours": hours}
        sql = "UPDATE jobs.jobs SET created_at = now() - make_interval(hours => %(hours)s::int) WHERE id = %(id)s"
        await execute(conn, sql, made)
    first = of(await look(conn, ReadyTimes()), "jobs_oldest_ready_seconds")
    assert first.keys() == {("default", "note")}
    assert 3500 < first["default", "note"] < 3700  # by readiness: the class says nothing of it
    await pause(conn, queue="default", set_by="ada")
    assert of(await look(conn, ReadyTimes()), "jobs_oldest_ready_seconds") == {}


async def test_a_job_that_became_ready_since_the_last_look_is_no_older_than_that(jobs: Jobs, conn: Connection) -> None:
    times = ReadyTimes()
    await look(conn, times)
    await jobs.create(NOTE, {})
    await execute(conn, "UPDATE jobs.jobs SET created_at = now() - interval '1 hour'")
    assert of(await look(conn, times), "jobs_oldest_ready_seconds")["default", "note"] < 60
    assert of(await look(conn, ReadyTimes()), "jobs_oldest_ready_seconds")["default", "note"] > 3500


async def test_a_job_that_is_due_and_not_ready_is_late(jobs: Jobs, conn: Connection) -> None:
    await jobs.create(NOTE, {}, scheduled_for=timedelta(hours=1))
    await execute(conn, "UPDATE jobs.jobs SET scheduled_for = now() - interval '90 seconds'")
    assert 90 <= of(await look(conn, ReadyTimes()), "jobs_due_late_seconds")[()] < 200


async def test_a_look_writes_nothing(jobs: Jobs, conn: Connection) -> None:
    await jobs.create(NOTE, {})
    async with conn.transaction():
        await look(conn, ReadyTimes())
        row = await fetch_one(conn, "SELECT pg_current_xact_id_if_assigned() IS NULL AS none")
    assert row == {"none": True}


class Ticked(BaseModel):
    text: str = Field(max_length=1)


async def test_ticks_are_counted_by_what_became_of_them(database: Database, jobs: Jobs, conn: Connection) -> None:
    jobs.table.declare_all([NOTE, JobType("ticked", Ticked)])
    for name, job_type, made in (("a", "note", {}), ("b", "ticked", {"text": "x"})):
        rule = schedules.Rule(cron="* * * * *")
        await schedules.put(conn, jobs.table, name=name, job_type=job_type, input=made, rule=rule, source="cli")
    evaluator = Evaluator(database, jobs)
    results = [more("jobs_ticks_total", result=result) for result in ("created", "overlapped", "refused")]

    async def after_a_minute() -> list[float]:
        await execute(conn, "UPDATE jobs.schedules SET seen_until = now() - interval '1 minute', next_at = now()")
        await execute(conn, "DELETE FROM jobs.schedule_ticks WHERE job_id IS NULL")
        await evaluator.run_once()
        return [result() for result in results]

    assert await after_a_minute() == [2, 0, 0]
    await execute(conn, "UPDATE jobs.schedule_ticks SET slot = slot || ' before'")
    assert await after_a_minute() == [2, 2, 0]
    await execute(conn, "DELETE FROM jobs.jobs")
    await execute(conn, "UPDATE jobs.schedules SET input = '{\"text\": \"long\"}' WHERE name = 'b'")
    await execute(conn, "UPDATE jobs.schedule_ticks SET outcome = 'complete'")
    assert await after_a_minute() == [3, 2, 1]


async def test_a_dead_worker_and_what_becomes_of_its_jobs_are_counted(jobs: Jobs, conn: Connection) -> None:
    for _ in range(3):
        await jobs.create(NOTE, {})
    dead = await register(conn, queues=["default"], job_types=["note"], slots=3, lease_s=0.01)
    await execute(conn, "UPDATE jobs.workers SET expires_at = now() + interval '1 minute'")
    held = await claim(conn, worker_id=dead, queues=["default"], job_types=["note"], slots=3)
    poison = {"id": held[0].id}
    await execute(conn, "UPDATE jobs.jobs SET state = 'running' WHERE id = %(id)s", poison)
    await execute(conn, "UPDATE jobs.jobs SET alone = true, alone_lost_count = 2 WHERE id = %(id)s", poison)
    await execute(conn, "UPDATE jobs.workers SET expires_at = now() - interval '1 minute'")
    names = ("jobs_workers_buried_total", "jobs_rescued_total")
    buried, rescued = (more(name) for name in names)
    failed = more("jobs_ended_total", job_type="note", state="failed")
    assert of(await look(conn, ReadyTimes()), "jobs_workers_expired") == {(): 1}
    await Upkeep(jobs, 1.0).run_once()
    assert (buried(), rescued(), failed()) == (1, 2, 1)
    assert of(await look(conn, ReadyTimes()), "jobs_workers_expired") == {(): 0}


async def test_a_lease_that_is_lost_and_rounds_of_upkeep_are_counted(database: Database, conn: Connection) -> None:
    lost, rounds = more("jobs_leases_lost_total", because="starved"), more("jobs_upkeep_rounds_total")
    async with working(database, {NOTE: _complete}) as (_, worker):
        await seen(lambda: rounds() > 0)
        await execute(conn, "UPDATE jobs.workers SET dead_at = now()")
        await seen(lambda: lost() == 1)
        await seen(lambda: worker._shift is not None and not worker._shift.dropped)


async def test_a_worker_that_drains_is_counted_until_it_has(database: Database) -> None:
    may_end = asyncio.Event()

    async def wait(_: AnyJob) -> Complete:
        await may_end.wait()
        return Complete()

    draining, claimed = more("jobs_workers_draining"), more("jobs_claimed_total", job_type="note")
    async with working(database, {NOTE: wait}) as (jobs, worker):
        await jobs.create(NOTE, {})
        await seen(lambda: claimed() == 1)
        worker.drain()
        await seen(lambda: draining() == 1)
        may_end.set()
    assert draining() == 0


async def test_a_dead_letter_that_is_done_again_is_counted(jobs: Jobs, conn: Connection) -> None:
    job = await jobs.create(NOTE, {})
    await jobs.cancel(job.id)
    await execute(conn, "UPDATE jobs.history SET state = 'failed'")
    redriven = more("jobs_redriven_total")
    assert isinstance(await redrive_one(conn, jobs.table, job.id), int)
    assert redriven() == 1
