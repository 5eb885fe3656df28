"""Ticks: each has one job, whoever evaluates; and what becomes of those that were missed, overlap or fail."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydantic import BaseModel

import schedules
from jobs_core import Complete, Connection, Created, Database, Fail, InvalidInput, Jobs, JobType, NewJob, db, fetch
from jobs_core.claim import claim
from jobs_core.job_types import UniqueWhile
from jobs_core.settle import settle
from schedules import Rule, Schedule, Tick
from schedules.evaluate import Evaluated, evaluate, follow_up
from schedules.evaluator import Evaluator

MINUTE = timedelta(minutes=1)
START = datetime(2031, 5, 1, 12, tzinfo=UTC)
"""Where the simulated time of these tests begins."""


class Ticked(BaseModel):
    text: str = ""
    tick: Tick | None = None


TICKED = JobType("ticked", Ticked)
SHORT = JobType("short", Ticked, retention="none")

Put = Callable[..., Awaitable[Schedule]]
Pass = Callable[..., Awaitable[Evaluated]]
End = Callable[..., Awaitable[None]]


@pytest.fixture
def put(conn: Connection, jobs: Jobs) -> Put:
    """Put a schedule in that begins at START; each minute unless it is said otherwise."""
    jobs.table.declare_all([TICKED, SHORT])

    async def put_one(name: str = "s", job_type: str = "ticked", **rule: Any) -> Schedule:
        timed = Rule(**({"cron": "* * * * *"} | rule))
        await schedules.put(conn, jobs.table, name=name, job_type=job_type, input={}, rule=timed, source="cli")
        at = {"seen_until": START, "next_at": next(iter(timed.upcoming(START, 1)))}
        await db.execute(conn, "UPDATE jobs.schedules SET seen_until = %(seen_until)s, next_at = %(next_at)s", at)
        return await schedules.get(conn, name)

    return put_one


@pytest.fixture
def after(database: Database, jobs: Jobs) -> Pass:
    """One batch, so long after START."""

    async def pass_once(span: timedelta, **how: Any) -> Evaluated:
        async with database.transaction() as conn:
            done = await evaluate(conn, jobs, now=START + span, **how)
        await follow_up(jobs, done)
        return done

    return pass_once


@pytest.fixture
def end(conn: Connection, jobs: Jobs, worker_id: int) -> End:
    """Claim what is ready and end it so."""

    async def end_all(outcome: Any = None) -> None:
        for job in await claim(
            conn, worker_id=worker_id, queues=["default"], job_types=["ticked", "short"], slots=1000
        ):
            job.input = json.loads(job.input)
            await settle(conn, job, outcome or Complete(), jobs.table.job_type(job.job_type))

    return end_all


async def living(conn: Connection) -> list[db.Row]:
    return await fetch(conn, "SELECT id, input, state, lane, user_id, scheduled_for FROM jobs.jobs ORDER BY id")


async def seen(conn: Connection) -> list[tuple[str, str | None]]:
    """The ticks on record, the oldest first: slot and outcome."""
    rows = await fetch(conn, "SELECT slot, outcome FROM jobs.schedule_ticks ORDER BY due_at, slot")
    return [(row["slot"], row["outcome"]) for row in rows]


async def test_a_tick_makes_one_job_which_is_told_of_it_and_the_schedule_moves_on(
    conn: Connection, put: Put, after: Pass
) -> None:
    schedule = await put()
    assert (await after(0.5 * MINUTE)).schedules == 0
    assert (await after(1.2 * MINUTE)).jobs == 1
    assert (await after(1.3 * MINUTE)).schedules == 0
    (job,) = await living(conn)
    told = Tick(schedule_id=schedule.id, name="s", slot="2031-05-01T12:01:00Z", due_at=START + MINUTE)
    assert Tick.model_validate(job["input"]["tick"]) == told
    assert (await schedules.get(conn, "s")).next_at == START + 2 * MINUTE
    (tick,) = await schedules.ticks(conn, "s")
    assert (tick.slot, tick.due_at, tick.job_id, tick.outcome) == (told.slot, told.due_at, job["id"], None)


async def test_a_type_without_the_field_is_told_nothing(conn: Connection, put: Put, after: Pass) -> None:
    await put(job_type="note")
    await after(MINUTE)
    assert [job["input"] for job in await living(conn)] == [{"text": "", "lane": ""}]


async def test_what_another_evaluator_has_in_hand_is_passed_over_and_taken_if_it_dies(
    conn: Connection, other: Connection, put: Put, after: Pass, jobs: Jobs
) -> None:
    await put()
    with pytest.raises(RuntimeError, match="killed"):
        async with other.transaction():
            assert (await evaluate(other, jobs, now=START + MINUTE)).jobs == 1
            assert (await after(MINUTE)).schedules == 0
            raise RuntimeError("killed")
    assert await living(conn) == []
    assert (await after(MINUTE)).jobs == 1


async def test_a_tick_that_is_there_already_makes_no_second_job_when_its_schedule_is_set_back(
    conn: Connection, put: Put, after: Pass
) -> None:
    await put(overlap="queue", missed="all")
    await after(MINUTE)
    await put(overlap="queue", missed="all")
    assert (await after(2 * MINUTE)).jobs == 1
    assert len(await seen(conn)) == len(await living(conn)) == 2


async def test_ticks_of_unknown_types_are_left_to_those_who_know_them(conn: Connection, put: Put, after: Pass) -> None:
    await put()
    await conn.execute("UPDATE jobs.schedules SET job_type = 'newer'")
    assert (await after(MINUTE)).schedules == 0


async def test_a_full_batch_leaves_the_rest_to_the_next(conn: Connection, put: Put, after: Pass) -> None:
    for number in range(5):
        await put(f"s{number}", "note" if number % 2 else "ticked")
    assert [(await after(MINUTE, batch=3)).jobs for _ in range(3)] == [3, 2, 0]
    assert len(await living(conn)) == 5


# --- missed -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "case",
    [
        (40.5, [40], {"missed": "skip"}),
        (40.5, [40], {"missed": "once"}),
        (40.5, [37, 38, 39, 40], {"missed": "all", "missed_max": 3}),
        (40.5, [38, 39, 40], {"missed": "all", "missed_window_s": 150}),
        (40.0, [*range(30, 40), 40], {"missed": "all"}),
        (40.5, [], {"missed": "skip", "cron": "*/15 * * * *"}),
        (40.5, [30], {"missed": "once", "cron": "*/15 * * * *"}),
        (40.5, [], {"missed": "once", "cron": "*/15 * * * *", "missed_window_s": 600}),
        (40.5, [15, 30], {"missed": "all", "cron": "*/15 * * * *"}),
        (30.5, [30], {"missed": "skip", "cron": "*/15 * * * *"}),
        (40.5, [10], {"missed": "once", "cron": None, "at": START + 10 * MINUTE}),
    ],
)
async def test_after_an_outage_missed_ticks_run_as_the_rule_says(
    conn: Connection, put: Put, after: Pass, case: tuple[float, list[int], dict[str, Any]]
) -> None:
    at_minute, minutes, rule = case
    await put(**{"overlap": "queue"} | rule)
    await after(at_minute * MINUTE)
    assert [slot for slot, _ in await seen(conn)] == [f"2031-05-01T12:{minute:02}:00Z" for minute in minutes]


# --- overlap ----------------------------------------------------------------------------------------------------------


async def test_with_skip_a_tick_whose_forerunner_has_not_ended_is_passed_over(
    conn: Connection, put: Put, after: Pass, end: End
) -> None:
    await put(overlap="skip")
    await after(MINUTE)
    assert (await after(2 * MINUTE)).jobs == 0
    await end()
    assert (await after(3 * MINUTE)).jobs == 1
    assert [outcome for _, outcome in await seen(conn)] == ["complete", "overlapped", None]


async def test_with_queue_jobs_follow_on_one_another(conn: Connection, put: Put, after: Pass) -> None:
    schedule = await put(overlap="queue")
    await after(MINUTE)
    await after(2 * MINUTE)
    assert [(job["state"], job["lane"]) for job in await living(conn)] == [
        ("pending", f"schedule:{schedule.id}"),
        ("blocked", f"schedule:{schedule.id}"),
    ]


async def test_with_cancel_the_old_job_ends_and_the_new_one_begins_after_it(
    conn: Connection, put: Put, after: Pass, worker_id: int
) -> None:
    """One that a worker holds is told; the new one waits for it in their lane."""
    await put(overlap="cancel")
    await after(MINUTE)
    await after(2 * MINUTE)
    (second,) = await living(conn)
    assert second["state"] == "pending"
    (held,) = await claim(conn, worker_id=worker_id, queues=["default"], job_types=["ticked"], slots=1)
    await after(3 * MINUTE)
    first, second = await living(conn)
    assert (first["id"], second["state"]) == (held.id, "blocked")
    assert [row["job_id"] for row in await fetch(conn, "SELECT job_id FROM jobs.cancel_requests")] == [held.id]


async def test_with_cancel_a_job_that_is_refused_has_none_give_way(conn: Connection, put: Put, after: Pass) -> None:
    await put(overlap="cancel")
    await after(MINUTE)
    await conn.execute("""UPDATE jobs.schedules SET input = '{"text": []}'""")
    assert (await after(2 * MINUTE)).to_cancel == []
    assert len(await living(conn)) == 1


@pytest.mark.parametrize("held_while", ["unstarted", "unfinished"])
async def test_with_cancel_a_job_that_is_met_by_its_unique_key_does_not_give_way_to_itself(
    conn: Connection, put: Put, after: Pass, jobs: Jobs, held_while: UniqueWhile
) -> None:
    """Else each tick would cancel the one job that it has."""
    one_job = JobType("one_job", Ticked, unique_key=lambda _: "k", unique_while=held_while)
    jobs.table.declare(one_job)
    await put(job_type="one_job", overlap="cancel")
    await after(MINUTE)
    done = await after(2 * MINUTE)
    assert (done.to_cancel, len(await living(conn))) == ([], 1)
    assert await fetch(conn, "SELECT FROM jobs.cancel_requests") == []


async def test_with_a_lane_of_its_own_a_type_keeps_it(conn: Connection, put: Put, after: Pass) -> None:
    await put(job_type="lane_note", overlap="queue")
    await conn.execute("""UPDATE jobs.schedules SET input = '{"lane": "theirs"}'""")
    await after(MINUTE)
    assert [job["lane"] for job in await living(conn)] == ["theirs"]


# --- failures ---------------------------------------------------------------------------------------------------------


async def test_after_ten_failures_in_a_row_it_pauses_itself_and_tells_in_the_same_transaction(
    conn: Connection, put: Put, after: Pass, end: End
) -> None:
    await put()
    told = list[Schedule]()

    async def on_paused(same: Connection, schedule: Schedule) -> None:
        told.append(schedule)
        await same.execute("CREATE TABLE told_of ()")

    for minute in range(1, 11):
        assert (await after(minute * MINUTE)).jobs == 1
        await end(Fail("no"))
    done = await after(11 * MINUTE, on_paused=on_paused)
    (schedule,) = told
    assert (done.jobs, done.paused) == (0, [schedule.id])
    assert schedule == await schedules.get(conn, "s")
    assert (schedule.paused_why, schedule.failures, schedule.next_at) == ("10 failures in a row", 10, None)
    await conn.execute("SELECT FROM told_of")
    assert (await after(12 * MINUTE)).schedules == 0


async def test_one_that_completes_ends_the_row_of_failures(conn: Connection, put: Put, after: Pass, end: End) -> None:
    await put()
    for minute in range(1, 14):
        assert (await after(minute * MINUTE)).jobs == 1
        await end(Complete() if minute == 8 else Fail("no"))
    assert (await schedules.get(conn, "s")).failures == 4


async def test_a_type_that_keeps_no_history_of_what_completed_counts_it_all_the_same(
    conn: Connection, put: Put, after: Pass, end: End
) -> None:
    await put(job_type="short")
    for minute, outcome in enumerate((Fail("no"), Complete(), Fail("no")), 1):
        await after(minute * MINUTE)
        await end(outcome)
    await after(4 * MINUTE)
    assert [outcome for _, outcome in await seen(conn)] == ["failed", "complete", "failed", None]
    assert (await schedules.get(conn, "s")).failures == 1


@pytest.mark.parametrize("outcome", ["failed", "gone"])
async def test_an_end_is_found_however_long_ago_if_history_has_it(
    conn: Connection, put: Put, after: Pass, end: End, outcome: str
) -> None:
    await put()
    await after(MINUTE)
    await end(Fail("no"))
    await conn.execute("UPDATE jobs.schedule_ticks SET made_at = now() - interval '11 days'")
    await conn.execute("UPDATE jobs.history SET ended_at = now() - interval '10 days'")
    if outcome == "gone":
        await conn.execute("DELETE FROM jobs.history")
    await after(2 * MINUTE)
    assert [said for _, said in await seen(conn)] == [outcome, None]


async def test_an_input_is_no_longer_than_a_thousand_of_it_can_be_created_at_once(
    conn: Connection, put: Put, jobs: Jobs
) -> None:
    with pytest.raises(InvalidInput, match="at most 65536"):
        await schedules.put(
            conn,
            jobs.table,
            name="s",
            job_type="ticked",
            input={"text": "x" * 70_000},
            rule=Rule(every_s=1),
            source="cli",
        )


async def test_long_inputs_are_created_a_part_at_a_time_so_that_their_transaction_never_lies_idle_for_long(
    conn: Connection, put: Put, after: Pass, jobs: Jobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A scheduler's is cut off after 5 s: checked in one go, a thousand inputs of 64 KiB never came through."""
    parts, create_many = list[int](), jobs.create_many

    async def noted(wanted: Sequence[NewJob], **how: Any) -> Created:
        parts.append(sum(len(str(job.input)) for job in wanted))
        return await create_many(wanted, **how)

    monkeypatch.setattr(jobs, "create_many", noted)
    await put("long", missed="all", missed_max=40, overlap="queue")
    await conn.execute("UPDATE jobs.schedules SET input = jsonb_build_object('text', repeat('x', 60000))")
    await put("short")
    assert (await after(60 * MINUTE)).jobs == 42
    assert len(parts) == 3
    assert max(parts) < 1.1 * 2**20
    ticks = await fetch(conn, "SELECT job_id FROM jobs.schedule_ticks WHERE schedule_id = 1 ORDER BY due_at")
    assert [tick["job_id"] for tick in ticks] == sorted(tick["job_id"] for tick in ticks)


async def test_a_batch_has_no_more_ticks_than_it_says_unless_one_schedule_has(
    conn: Connection, put: Put, after: Pass, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("schedules.evaluate.MOST_TICKS", 25)
    for name in ("a", "b", "c"):
        await put(name, missed="all", missed_max=19, overlap="queue")
    done = [await after(40 * MINUTE) for _ in range(4)]
    assert [(one.schedules, one.jobs, one.more) for one in done] == [
        (1, 20, True),
        (1, 20, True),
        (1, 20, False),
        (0, 0, False),
    ]


async def test_how_late_schedules_are_is_told(conn: Connection, put: Put) -> None:
    assert await schedules.late(conn) == (0, 0.0)
    await put()
    await conn.execute("UPDATE jobs.schedules SET next_at = now() - interval '5 s'")
    n, oldest_s = await schedules.late(conn)
    assert n == 1
    assert 5 <= oldest_s < 60


async def test_telling_that_fails_keeps_nobody_from_their_ticks(conn: Connection, put: Put, after: Pass) -> None:
    await put("failing")
    await conn.execute("UPDATE jobs.schedules SET failures = 10")
    await put("other")

    async def on_paused(same: Connection, _: Schedule) -> None:
        await same.execute("SELECT nobody_to_tell")

    assert (await after(MINUTE, on_paused=on_paused)).jobs == 1
    assert (await schedules.get(conn, "failing")).paused_at


async def test_an_input_that_fits_no_more_fails_its_own_ticks_alone(
    conn: Connection, put: Put, after: Pass, end: End
) -> None:
    await put("bad")
    await conn.execute("""UPDATE jobs.schedules SET input = '{"text": []}'""")
    await put("good")
    for minute in range(1, 11):
        assert (await after(minute * MINUTE)).jobs == 1
        await end()
    assert (await after(11 * MINUTE)).paused == [(await schedules.get(conn, "bad")).id]
    ticks = await schedules.ticks(conn, "bad")
    assert {(tick.outcome, tick.job_id) for tick in ticks} == {("refused", None)}
    assert "text" in str(ticks[0].error)


async def test_a_types_own_code_that_raises_fails_its_own_ticks_alone(
    conn: Connection, put: Put, after: Pass, jobs: Jobs
) -> None:
    jobs.table.declare(JobType("broken", Ticked, lane=lambda given: str(1 / len(given.text))))
    await put("bad", "broken")
    await put("good")
    assert (await after(MINUTE)).jobs == 1
    assert [(slot[-4:], outcome) for slot, outcome in await seen(conn)] == [(":00Z", "refused"), (":00Z", None)]


async def test_a_zone_that_has_gone_pauses_its_own_schedule_alone(conn: Connection, put: Put, after: Pass) -> None:
    await put("bad")
    await conn.execute("UPDATE jobs.schedules SET zone = 'Mars/Olympus'")
    await put("good")
    assert (await after(MINUTE)).jobs == 1
    assert "Mars/Olympus" in str((await schedules.get(conn, "bad")).paused_why)


# --- by hand ----------------------------------------------------------------------------------------------------------


async def test_a_paused_schedule_makes_nothing_and_goes_on_from_when_it_is_resumed(
    conn: Connection, put: Put, jobs: Jobs, database: Database
) -> None:
    await put(every_s=3600, cron=None)
    await conn.execute("UPDATE jobs.schedules SET failures = 9")
    paused = await schedules.pause(conn, "s", why="holiday")
    assert (paused.paused_why, paused.next_at) == ("holiday", None)
    await schedules.pause(conn, "s", why="longer")
    resumed = await schedules.resume(conn, "s")
    assert (resumed.paused_at, resumed.failures) == (None, 0)
    assert [resumed.next_at] == resumed.rule.upcoming(resumed.seen_until, 1)
    assert await schedules.resume(conn, "s") == resumed


async def test_run_now_makes_a_job_besides_the_ticks_and_the_same_one_for_the_same_key(
    conn: Connection, put: Put, jobs: Jobs
) -> None:
    schedule = await put()
    first = await schedules.run_now(conn, jobs, "s", key="click")
    again = await schedules.run_now(conn, jobs, "s", key="click")
    assert (first.job_id, again.created) == (again.job_id, None)
    assert (await schedules.run_now(conn, jobs, "s")).job_id > first.job_id
    assert (await schedules.get(conn, "s")).next_at == schedule.next_at
    job, _ = await living(conn)
    assert job["input"]["tick"]["slot"] == "now click"


async def test_run_now_says_why_a_job_is_refused(conn: Connection, put: Put, jobs: Jobs) -> None:
    await put()
    await conn.execute("""UPDATE jobs.schedules SET input = '{"text": []}'""")
    with pytest.raises(InvalidInput, match=r"input\.text"):
        await schedules.run_now(conn, jobs, "s")
    assert await seen(conn) == []


# --- the rest ---------------------------------------------------------------------------------------------------------


async def test_jitter_starts_each_job_a_little_later_and_the_same_tick_always_by_as_much(
    conn: Connection, put: Put, after: Pass
) -> None:
    for name in ("a", "b"):
        await put(name, jitter_s=600)
    await after(MINUTE)
    first, second = [job["scheduled_for"] - START - MINUTE for job in await living(conn)]
    assert first != second
    for late in (first, second):
        assert timedelta(0) <= late < timedelta(seconds=600)


async def test_old_ticks_are_forgotten_and_those_that_are_open_much_later(
    conn: Connection, put: Put, database: Database, jobs: Jobs
) -> None:
    await put()
    await conn.execute(
        "INSERT INTO jobs.schedule_ticks (schedule_id, slot, due_at, made_at, job_id, outcome) "
        "SELECT s.id, t.*  FROM jobs.schedules AS s, (VALUES "
        "('old', now(), now() - interval '31 days', 1, 'complete'), ('new', now(), now(), 2, 'complete'), "
        "('open', now(), now() - interval '31 days', 3, NULL), ('lost', now(), now() - interval '401 days', 4, NULL)) AS t"
    )
    await Evaluator(database, jobs).forget_ticks()
    assert sorted(slot for slot, _ in await seen(conn)) == ["new", "open"]


async def test_an_evaluator_looks_until_all_is_made_and_then_waits_for_the_next(
    conn: Connection, put: Put, database: Database, jobs: Jobs
) -> None:
    evaluator = Evaluator(database, jobs, batch=2)
    assert await evaluator.run_once() == 1.0
    for number in range(5):
        await put(f"s{number}", cron=None, every_s=1)
    await conn.execute("UPDATE jobs.schedules SET next_at = now(), seen_until = now() - interval '1 s', anchor = now()")
    await evaluator.run_once()
    assert len(await living(conn)) == 5
    assert 0 < await evaluator.run_once() <= 1.0


async def test_an_evaluator_goes_on_when_the_database_was_away(
    conn: Connection, put: Put, jobs: Jobs, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("schedules.evaluator.LOOK_S", 0.02)
    async with Database(database_url, name="evaluator") as its_own, Jobs(its_own, jobs.table) as its_jobs:
        evaluator = Evaluator(its_own, its_jobs)
        running = asyncio.create_task(evaluator.run())
        async with asyncio.timeout(60):
            while not await _cut(conn):  # it is connected by now
                await asyncio.sleep(0.01)
            await put(cron=None, every_s=60)
            await conn.execute(
                "UPDATE jobs.schedules SET next_at = now(), anchor = now(), seen_until = now() - interval '1 s'"
            )
            while not await living(conn):
                await asyncio.sleep(0.01)
        evaluator.drain()
        await running


async def _cut(conn: Connection) -> list[db.Row]:
    """Cut the connections of the evaluator that there are."""
    return await fetch(
        conn, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'evaluator%'"
    )


async def test_a_drained_evaluator_ends(put: Put, database: Database, jobs: Jobs) -> None:
    evaluator = Evaluator(database, jobs)
    evaluator.drain()
    await evaluator.run()
