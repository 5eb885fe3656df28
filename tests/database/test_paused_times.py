"""give_up_at moves on by the time in operators' pauses: at a job's next claim, and when a run puts it back."""

import random
from datetime import timedelta
from typing import Any

import pytest

from jobs_core import AnyJob, Connection, Database, Jobs, Retry, Snooze, Wait, execute, fetch, fetch_one
from jobs_core.leases import register
from jobs_core.pauses import end_due, forget_paused_times, pause, resume
from jobs_core.settle import put_back, settle
from jobs_core.suspects import claim_alone
from tests.database.conftest import ClaimAll
from tests.support.job_types import NOTE
from tests.support.limits import claim_all as claim_all_limited
from tests.support.limits import create, slots_of, table
from tests.support.mutants import NO_PAUSED_TIME, mutated

NOW = timedelta(0)
NOT_AT_THE_PUT_BACK = (
    "give_up_at + make_interval(secs => {schema}.paused_s(queue, job_type, claimed_at)) <= clock_timestamp()",
    "true",
)


async def claimed_hours_ago(conn: Connection, jobs: Jobs, claim_all: ClaimAll, hours: int = 3) -> AnyJob:
    """A job that was first claimed then, runs now, and is to be given up 24 hours after."""
    await jobs.create(NOTE, {})
    (job,) = await claim_all()
    ago = {"ago": timedelta(hours=hours)}
    await execute(
        conn, "UPDATE jobs.jobs SET claimed_at = claimed_at - %(ago)s, give_up_at = give_up_at - %(ago)s", ago
    )
    return job


async def began_an_hour_ago(conn: Connection) -> None:
    await execute(
        conn, "UPDATE jobs.pauses SET started_at = started_at - interval '1 h', until = until - interval '1 h'"
    )


async def paused_for_an_hour(conn: Connection, jobs: Jobs, claim_all: ClaimAll) -> AnyJob:
    """A job that was claimed three hours ago, whose queue an operator paused an hour ago."""
    job = await claimed_hours_ago(conn, jobs, claim_all)
    await pause(conn, queue="default", set_by="ada")
    await began_an_hour_ago(conn)
    return job


async def give_up_at(conn: Connection) -> Any:
    row = await fetch_one(conn, "SELECT give_up_at FROM jobs.jobs")
    assert row is not None
    return row["give_up_at"]


async def moved_on(conn: Connection, claim_all: ClaimAll) -> timedelta:
    """By how much the next claim moves the only job's give_up_at."""
    before = await give_up_at(conn)
    (job,) = await claim_all()
    moved: timedelta = job.give_up_at - before
    return moved


async def taken_by_pauses(conn: Connection) -> timedelta:
    row = await fetch_one(conn, "SELECT coalesce(sum(ended_at - started_at), '0') AS took FROM jobs.paused_times")
    assert row is not None
    took: timedelta = row["took"]
    return took


def about(span: timedelta, other: timedelta) -> bool:
    """The same but for what lies between two statements."""
    return abs(span - other) < timedelta(seconds=1)


async def test_a_pause_that_was_lifted_moves_it_on_by_just_its_time(
    jobs: Jobs, conn: Connection, claim_all: ClaimAll
) -> None:
    job = await claimed_hours_ago(conn, jobs, claim_all)
    await put_back(conn, job, NOW, because="drained")
    await pause(conn, queue="default", set_by="ada")
    await began_an_hour_ago(conn)
    await resume(conn, queue="default")
    moved = await moved_on(conn, claim_all)
    assert about(moved, await taken_by_pauses(conn))
    assert timedelta(hours=1) < moved < timedelta(hours=1, minutes=1)


@pytest.mark.parametrize("put_away", [False, True])
async def test_a_pause_that_ended_at_its_time_moves_it_on_until_then(
    jobs: Jobs, conn: Connection, claim_all: ClaimAll, *, put_away: bool
) -> None:
    """Whether or not upkeep has seen it by the claim."""
    job = await claimed_hours_ago(conn, jobs, claim_all)
    await put_back(conn, job, NOW, because="drained")
    await pause(conn, job_type="note", until=timedelta(minutes=20), set_by="ada")
    await began_an_hour_ago(conn)
    if put_away:
        assert await end_due(conn)
    assert about(await moved_on(conn, claim_all), timedelta(minutes=20))


async def test_it_is_counted_once_however_often_the_job_is_claimed(
    jobs: Jobs, conn: Connection, claim_all: ClaimAll
) -> None:
    job = await claimed_hours_ago(conn, jobs, claim_all)
    await put_back(conn, job, NOW, because="drained")
    await pause(conn, queue="default", until=timedelta(minutes=20), set_by="ada")
    await began_an_hour_ago(conn)
    assert await moved_on(conn, claim_all) > NOW
    await execute(conn, "UPDATE jobs.jobs SET state = 'pending', worker_id = NULL, ready_seq = 1")
    assert await moved_on(conn, claim_all) == NOW


async def test_an_operator_who_speaks_again_leaves_no_gap(jobs: Jobs, conn: Connection, claim_all: ClaimAll) -> None:
    job = await claimed_hours_ago(conn, jobs, claim_all)
    await put_back(conn, job, NOW, because="drained")
    await pause(conn, queue="default", set_by="ada")
    await began_an_hour_ago(conn)
    await pause(conn, queue="default", until=timedelta(days=1), set_by="bob")
    await resume(conn, queue="default")
    first, second = await fetch(conn, "SELECT started_at, ended_at FROM jobs.paused_times ORDER BY started_at")
    assert first["ended_at"] == second["started_at"]
    assert about(await moved_on(conn, claim_all), second["ended_at"] - first["started_at"])


async def test_a_suspects_claim_moves_it_on_too(jobs: Jobs, conn: Connection, claim_all: ClaimAll) -> None:
    job = await claimed_hours_ago(conn, jobs, claim_all)
    await put_back(conn, job, NOW, because="drained")
    await execute(conn, "UPDATE jobs.jobs SET alone = true")
    await pause(conn, queue="default", until=timedelta(minutes=20), set_by="ada")
    await began_an_hour_ago(conn)
    before = await give_up_at(conn)
    names: dict[str, Any] = {"queues": ["default"], "job_types": ["note"]}
    worker_id = await register(conn, slots=1, lease_s=600, **names)
    again = await claim_alone(conn, worker_id=worker_id, **names)
    assert again is not None
    assert about(again.give_up_at - before, timedelta(minutes=20))


async def test_a_claim_with_limits_moves_it_on_too(database: Database, conn: Connection) -> None:
    names: dict[str, Any] = {"queues": ["default"], "job_types": ["bound"]}
    async with Jobs(database, table()) as bounded:
        await create(bounded, slots_of("a"))
    worker_id = await register(conn, slots=1, lease_s=600, **names)
    (job,) = await claim_all_limited(conn, worker_id)
    await put_back(conn, job, NOW, because="drained")
    await execute(conn, "UPDATE jobs.jobs SET claimed_at = claimed_at - interval '3 h'")
    await pause(conn, queue="default", until=timedelta(minutes=20), set_by="ada")
    await began_an_hour_ago(conn)
    before = await give_up_at(conn)
    (again,) = await claim_all_limited(conn, worker_id)
    assert about(again.give_up_at - before, timedelta(minutes=20))


async def test_what_came_before_the_first_claim_or_concerns_others_or_was_no_operators_does_not_count(
    jobs: Jobs, conn: Connection, claim_all: ClaimAll
) -> None:
    await execute(
        conn,
        "INSERT INTO jobs.paused_times (queue, started_at, ended_at) "
        "VALUES ('default', now() - interval '8 h', now() - interval '4 h')",
    )
    job = await claimed_hours_ago(conn, jobs, claim_all)
    limited = Snooze(NOW, because="rate_limited", pause_queue_until=timedelta(minutes=20))
    await settle(conn, job, limited, NOTE)
    await pause(conn, queue="other", until=timedelta(minutes=20), set_by="ada")
    await pause(conn, queue="default", job_type="other", until=timedelta(minutes=20), set_by="ada")
    await began_an_hour_ago(conn)
    assert await end_due(conn)
    assert await moved_on(conn, claim_all) == NOW


async def test_a_run_that_ends_in_a_pause_which_outlasted_its_time_is_not_given_up(
    jobs: Jobs, conn: Connection, claim_all: ClaimAll
) -> None:
    job = await paused_for_an_hour(conn, jobs, claim_all)
    await execute(conn, "UPDATE jobs.jobs SET give_up_at = clock_timestamp() - interval '59 min'")
    assert (await settle(conn, job, Retry("flaky", after=NOW), NOTE)).state == "pending"
    await resume(conn, queue="default")
    (again,) = await claim_all()
    assert (await settle(conn, again, Retry("flaky", after=NOW), NOTE)).state == "pending"


async def test_but_one_that_has_spent_its_time_outside_of_pauses_is(
    jobs: Jobs, conn: Connection, claim_all: ClaimAll
) -> None:
    job = await paused_for_an_hour(conn, jobs, claim_all)
    await execute(conn, "UPDATE jobs.jobs SET give_up_at = clock_timestamp() - interval '61 min'")
    assert (await settle(conn, job, Retry("flaky", after=NOW), NOTE)).state == "failed"


async def test_a_run_that_need_not_wait_is_not_given_up_for_a_pause_which_outlasted_its_time(
    jobs: Jobs, conn: Connection, claim_all: ClaimAll
) -> None:
    job = await claimed_hours_ago(conn, jobs, claim_all)
    await pause(conn, queue="default", set_by="ada")
    await began_an_hour_ago(conn)
    await jobs.emit("happened")
    await execute(conn, "UPDATE jobs.jobs SET give_up_at = clock_timestamp() - interval '59 min'")
    assert (await settle(conn, job, Wait("happened"), NOTE)).state == "pending"
    await resume(conn, queue="default")
    (again,) = await claim_all()
    await execute(conn, "UPDATE jobs.jobs SET give_up_at = clock_timestamp() - interval '61 min'")
    assert (await settle(conn, again, Wait("happened"), NOTE)).state == "failed"


async def test_without_the_look_at_the_put_back_it_would_be_given_up_within_the_pause(
    jobs: Jobs, conn: Connection, claim_all: ClaimAll
) -> None:
    job = await paused_for_an_hour(conn, jobs, claim_all)
    await execute(conn, "UPDATE jobs.jobs SET give_up_at = clock_timestamp() - interval '59 min'")
    with mutated(NOT_AT_THE_PUT_BACK):
        assert (await settle(conn, job, Retry("flaky", after=NOW), NOTE)).state == "failed"


async def test_without_the_move_at_the_claim_it_would_be_given_up_after_the_pause(
    jobs: Jobs, conn: Connection, claim_all: ClaimAll
) -> None:
    job = await claimed_hours_ago(conn, jobs, claim_all)
    await put_back(conn, job, NOW, because="drained")
    await pause(conn, queue="default", set_by="ada")
    await began_an_hour_ago(conn)
    await resume(conn, queue="default")
    await execute(conn, "UPDATE jobs.jobs SET give_up_at = clock_timestamp() - interval '59 min'")
    with mutated(NO_PAUSED_TIME):
        (again,) = await claim_all()
    assert (await settle(conn, again, Retry("flaky"), NOTE)).state == "failed"


Span = tuple[str | None, str | None, int, int]
"""Queue, type, first and last minute of an operator's pause."""


def some_spans(chance: random.Random) -> list[Span]:
    targets = [("q", None), (None, "t"), ("q", "t"), ("other", None), ("q", "other")]
    begins = [chance.randint(0, 90) for _ in range(chance.randint(0, 6))]
    return [(*chance.choice(targets), begin, begin + chance.randint(0, 30)) for begin in begins]


async def test_time_under_several_pauses_counts_once(conn: Connection) -> None:
    """Against an oracle that walks minute by minute."""
    chance = random.Random(7)
    for _ in range(50):
        spans, since = some_spans(chance), chance.randint(0, 110)
        minutes = {
            minute
            for queue, job_type, begin, end in spans
            if queue != "other" and job_type != "other"
            for minute in range(max(begin, since), end)
        }
        async with conn.transaction(force_rollback=True):  # so that now() is one moment
            for queue, job_type, begin, end in spans:
                await execute(
                    conn,
                    "INSERT INTO jobs.paused_times VALUES (%(queue)s, %(job_type)s, "
                    "now() - make_interval(mins => 120 - %(begin)s), now() - make_interval(mins => 120 - %(end)s))",
                    {"queue": queue, "job_type": job_type, "begin": begin, "end": end},
                )
            row = await fetch_one(
                conn,
                "SELECT jobs.paused_s('q', 't', now() - make_interval(mins => 120 - %(since)s)) AS counted_s",
                {"since": since},
            )
        assert row is not None
        assert abs(row["counted_s"] - 60 * len(minutes)) < 0.001, (spans, since)


async def test_times_are_forgotten_once_every_living_job_was_claimed_after_them(
    jobs: Jobs, conn: Connection, claim_all: ClaimAll
) -> None:
    job = await claimed_hours_ago(conn, jobs, claim_all)
    await put_back(conn, job, NOW, because="drained")
    for hours in (4, 2):
        await execute(
            conn,
            "INSERT INTO jobs.paused_times (queue, started_at, ended_at) VALUES "
            "('default', now() - make_interval(hours => %(hours)s), now() - make_interval(hours => %(hours)s))",
            {"hours": hours},
        )
    await forget_paused_times(conn)
    assert len(await fetch(conn, "SELECT FROM jobs.paused_times")) == 1
    await claim_all()
    await forget_paused_times(conn)
    assert await fetch(conn, "SELECT FROM jobs.paused_times") == []
