"""What a redrive makes of an ended job: what the new one has of it, where it stands, and which jobs are left as they are."""

from typing import Any

import pytest

from jobs_core import Complete, Connection, Jobs, JobType, Limit, execute, fetch
from jobs_core.dead_letters import Left, Letters
from jobs_core.declare import declare_types
from jobs_core.look import find
from jobs_core.settle import Completed, end_many, settle
from jobs_core.wake import Ready
from tests.database.conftest import ClaimAll, Failing
from tests.support.dead_letters import dead, living, redriven
from tests.support.job_types import LANE_NOTE, NOTE, Note


async def test_a_redrive_is_a_new_job_of_what_the_old_one_was_and_the_old_one_stays_ended(
    jobs: Jobs, conn: Connection, failed: Failing
) -> None:
    asked = {"user_id": "ada", "task_id": 7, "project_id": "p", "queue": "slow", "priority": 4}
    old_id = await failed(NOTE, {"text": "x"}, **asked)
    old = await find(conn, old_id)
    done = await redriven(conn, jobs, Letters())
    (new_id,) = done.redriven.values()
    assert (done.redriven, done.left, done.ready) == ({old_id: new_id}, [], {Ready("slow", "note")})
    new, still = await find(conn, new_id), await find(conn, old_id)
    assert old is not None
    assert new is not None
    assert still is not None
    kept = {name: getattr(new, name) for name in ("job_type", "input", *asked)}
    assert kept == {"job_type": "note", "input": {"text": "x", "lane": ""}, **asked}
    assert (new.state, new.retry_count, new.token, new.retry_of, new.redriven_as) == ("pending", 0, None, old_id, None)
    assert (still.state, still.error, still.ended_at) == ("failed", "no", old.ended_at)
    assert (still.retry_of, still.redriven_as) == (None, new_id)


async def test_a_redrive_that_ended_still_says_what_it_was_made_for(
    jobs: Jobs, conn: Connection, failed: Failing, claim_all: ClaimAll
) -> None:
    """Settled alone, and together with others."""
    first, second = await failed(), await failed()
    made = (await redriven(conn, jobs, Letters())).redriven
    alone, together = await claim_all()
    await settle(conn, alone, Complete(), NOTE)
    assert await end_many(conn, [Completed(together, None, "standard")]) == {together.id}
    views = [await find(conn, made[old]) for old in (first, second)]
    assert [(view.state, view.retry_of) for view in views if view] == [("complete", first), ("complete", second)]


async def test_redrives_join_the_tail_of_their_lane_in_the_order_in_which_the_jobs_ended(
    jobs: Jobs, conn: Connection, failed: Failing, claim_all: ClaimAll
) -> None:
    """Not in that of their ids: one that was for the future joined late. The lane is the one that the type names today."""
    old = [await failed(LANE_NOTE, {"lane": "a", "text": text}) for text in ("second", "first")][::-1]
    await execute(
        conn, "UPDATE jobs.history SET lane = 'as it was called then', ended_at = ended_at - id * interval '1 hour'"
    )
    standing = (await jobs.create(LANE_NOTE, {"lane": "a"})).id
    made = (await redriven(conn, jobs, Letters())).redriven
    run = []
    while claimed := await claim_all():
        (job,) = claimed
        run.append(job.id)
        await settle(conn, job, Complete(), LANE_NOTE)
    assert run == [standing, *(made[one] for one in old)]


async def test_a_type_whose_code_is_not_here_keeps_lane_and_input_as_they_were(jobs: Jobs, conn: Connection) -> None:
    given = '[1.10, 123456789012345678901234567890, "\\u00e9"]'
    old = await dead(conn, "gone", given, lane="l")
    made = (await redriven(conn, jobs, Letters())).redriven
    (job,) = await fetch(conn, "SELECT id, job_type, lane, lane_pos, input::text, unique_key FROM jobs.jobs")
    assert job == {
        "id": made[old],
        "job_type": "gone",
        "lane": "l",
        "lane_pos": 1,
        "input": given.replace("\\u00e9", "é"),
        "unique_key": None,
    }


@pytest.mark.parametrize("how", [{"limits": lambda _: [Limit("k", slots=1)]}, {"fair_by": "user_id"}])
async def test_a_type_with_limits_or_turns_whose_code_is_not_here_is_left(
    jobs: Jobs, conn: Connection, how: dict[str, Any]
) -> None:
    elsewhere = JobType("elsewhere", Note, **how)
    await declare_types(conn, [elsewhere])
    old, other = await dead(conn, "elsewhere"), await dead(conn, "gone")
    done = await redriven(conn, jobs, Letters())
    assert (list(done.redriven), done.left) == ([other], [Left(old, "strange", detail="elsewhere")])
    assert str(done.left[0]) == (
        f"job {old} has limits or a turn that only the code of elsewhere knows: redrive it with that"
    )
    jobs.table.declare(elsewhere)
    assert list((await redriven(conn, jobs, Letters())).redriven) == [old]


async def test_an_input_that_no_longer_fits_its_type_is_left_and_stops_no_other(jobs: Jobs, conn: Connection) -> None:
    unfit, fit = await dead(conn, job_input='{"gone": 1}'), await dead(conn)
    done = await redriven(conn, jobs, Letters())
    assert list(done.redriven) == [fit]
    (left,) = done.left
    assert (left.id, left.why) == (unfit, "unfit")
    assert str(left) == f"job {unfit} does not fit its type any more: input.gone: Extra inputs are not permitted"


async def test_an_input_that_its_types_code_chokes_on_is_left_and_stops_no_other(jobs: Jobs, conn: Connection) -> None:
    jobs.table.declare(JobType("first_letter", Note, lane=lambda note: note.text[0]))
    choking, fit = await dead(conn, "first_letter"), await dead(conn)
    done = await redriven(conn, jobs, Letters())
    assert list(done.redriven) == [fit]
    (left,) = done.left
    why = f"job {choking} does not fit its type any more: what it computes of the input raised IndexError"
    assert (left.why, str(left)) == ("unfit", why)


@pytest.mark.parametrize("held_while", ["unstarted", "unfinished"])
async def test_a_redrive_takes_the_unique_key_as_it_was(
    jobs: Jobs, conn: Connection, failed: Failing, held_while: Any
) -> None:
    await failed(unique_key="k", unique_while=held_while)
    await redriven(conn, jobs, Letters())
    (job,) = await living(conn)
    assert (job["unique_key"], job["unique_while"]) == ("k", held_while)


async def test_a_redrive_of_a_job_that_held_no_unique_key_takes_none(jobs: Jobs, conn: Connection) -> None:
    """As SQL creates one, with `unique_while => 'none'`; or its type has had keys for less long."""
    jobs.table.declare(JobType("keyed", Note, unique_key=lambda _: "k"))
    living_one = await jobs.create("keyed", {})
    old = await dead(conn, "keyed")
    done = await redriven(conn, jobs, Letters())
    assert (list(done.redriven), done.left) == ([old], [])
    assert [(job["id"], job["unique_key"]) for job in await living(conn)] == [
        (living_one.id, "k"),
        (done.redriven[old], None),
    ]


async def test_a_job_whose_unique_key_is_held_is_met_and_not_redriven(
    jobs: Jobs, conn: Connection, failed: Failing
) -> None:
    """By a living job, and by the redrive of another dead letter."""
    first, second, held = [await failed(unique_key=key) for key in ("k", "k", "held")]
    holder = (await jobs.create(NOTE, {}, unique_key="held")).id
    done = await redriven(conn, jobs, Letters())
    assert list(done.redriven) == [first]
    assert done.left == [Left(second, "met", done.redriven[first]), Left(held, "met", holder)]
    assert {job["id"]: job["retry_of"] for job in await living(conn)} == {holder: None, done.redriven[first]: first}
    again = await redriven(conn, jobs, Letters())
    assert ([one.id for one in again.left], again.redriven) == ([second, held], {})


async def test_an_idempotency_key_stays_with_the_job_that_it_was_given_to(
    jobs: Jobs, conn: Connection, failed: Failing
) -> None:
    old = await failed(idempotency_key="event 7")
    await redriven(conn, jobs, Letters())
    assert (await jobs.create(NOTE, {}, idempotency_key="event 7")).met == {old}


async def test_ids_that_are_no_such_dead_letters_are_told_for_what_they_are(
    jobs: Jobs, conn: Connection, failed: Failing
) -> None:
    old = await failed()
    cancelled, complete = [await dead(conn, state=state) for state in ("cancelled", "complete")]
    pending = (await jobs.create(NOTE, {})).id
    letters = Letters(ids=(old, cancelled, complete, pending, 10**6))
    done = await redriven(conn, jobs, letters)
    assert list(done.redriven) == [old]
    assert [(one.id, one.why) for one in done.left] == [
        (cancelled, "cancelled"),
        (complete, "complete"),
        (pending, "pending"),
        (10**6, "unknown"),
    ]
    asked = await redriven(conn, jobs, Letters(("failed", "cancelled"), ids=(cancelled, complete)))
    assert (list(asked.redriven), [one.why for one in asked.left]) == ([cancelled], ["complete"])
