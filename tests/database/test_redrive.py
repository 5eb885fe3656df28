"""Redrives: a new job does again what an ended one was for, once, and the ended one stays as it is."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from jobs_core import Complete, Connection, Database, Fail, Jobs, execute, fetch, fetch_one, redrive
from jobs_core.dead_letters import Left, Letters, Place, pages
from jobs_core.history import keep_house
from jobs_core.look import find
from jobs_core.redrive import Batch
from jobs_core.settings import HistorySettings
from jobs_core.settle import Completed, end_many, settle
from jobs_core.wake import Ready
from tests.database.conftest import ClaimAll
from tests.support.database import until_blocked
from tests.support.job_types import LANE_NOTE, NOTE
from tests.support.mutants import mutated

INSERT_DEAD = """
INSERT INTO jobs.history (id, job_type, queue, priority, state, input, error, lane, retry_count, lost_count, created_at)
VALUES (nextval('jobs.job_id_seq'), %(job_type)s, 'default', 2, %(state)s, %(input)s, 'no', %(lane)s, 0, 0, now())
RETURNING id
"""

Failing = Callable[..., Awaitable[int]]


@pytest.fixture
def failed(jobs: Jobs, conn: Connection, claim_all: ClaimAll) -> Failing:
    """Creates a job as told, runs it, fails it; returns its id."""

    async def fail(job_type: Any = NOTE, given: Any = None, error: str = "no", **how: Any) -> int:
        job_id = (await jobs.create(job_type, given or {}, **how)).id
        for job in await claim_all(queues=("default", "slow")):
            await settle(conn, job, Fail(error), job_type)
        return job_id

    return fail


async def dead(conn: Connection, job_type: str = "note", job_input: str = "{}", **more: Any) -> int:
    """The id of a dead letter written by hand."""
    values = {"job_type": job_type, "input": job_input, "state": "failed", "lane": None, **more}
    row = await fetch_one(conn, INSERT_DEAD, values)
    assert row is not None
    return int(row["id"])


async def redriven(conn: Connection, jobs: Jobs, letters: Letters, **how: Any) -> Batch:
    """All batches of a redrive as one."""
    batches = [batch async for batch in redrive.redrive(conn, jobs.table, letters, **how)]
    made = {old: new for batch in batches for old, new in batch.redriven.items()}
    left = [one for batch in batches for one in batch.left]
    ready = frozenset(one for batch in batches for one in batch.ready)
    return Batch(made, left, None, ready, datetime.now(UTC))


async def living(conn: Connection) -> list[dict[str, Any]]:
    return await fetch(conn, "SELECT * FROM jobs.jobs ORDER BY id")


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


async def test_what_was_redriven_is_told_or_passed_by_unless_it_is_asked_for_again(
    jobs: Jobs, conn: Connection, failed: Failing
) -> None:
    old = await failed()
    (new,) = (await redriven(conn, jobs, Letters())).redriven.values()
    named = await redriven(conn, jobs, Letters(ids=(old,)))
    assert (named.redriven, named.left) == ({}, [Left(old, "redriven", new)])
    assert str(named.left[0]) == f"job {old} was already redriven as job {new}"
    passed_by = await redriven(conn, jobs, Letters())
    assert (passed_by.redriven, passed_by.left) == ({}, [])
    (third,) = (await redriven(conn, jobs, Letters(again=True))).redriven.values()
    view = await find(conn, old)
    assert view is not None
    assert view.redriven_as == third
    assert [job["retry_of"] for job in await living(conn)] == [old, old]


async def test_a_redrive_that_failed_is_a_dead_letter_in_place_of_the_first(
    jobs: Jobs, conn: Connection, failed: Failing, claim_all: ClaimAll
) -> None:
    first = await failed()
    (second,) = (await redriven(conn, jobs, Letters())).redriven.values()
    (job,) = await claim_all()
    await settle(conn, job, Fail("again"), NOTE)
    done = await redriven(conn, jobs, Letters())
    assert list(done.redriven) == [second]
    assert (await redriven(conn, jobs, Letters(ids=(first,)))).left == [Left(first, "redriven", second)]


async def successors_of_two_at_once(jobs: Jobs, database: Database, conn: Connection, old: int) -> int:
    """How many jobs two redrives of one job make, the second of which begins before the first one's commit."""
    (page,) = [page async for page in pages(conn, Letters())]
    async with database.connection() as other:
        async with database.transaction() as first:
            await redrive._redrive(first, jobs.table, page, again=False)
            second = asyncio.create_task(redrive._redrive(other, jobs.table, page, again=False))
            await until_blocked(conn)
        await second
    return len(await fetch(conn, "SELECT FROM jobs.jobs WHERE retry_of = %(old)s", {"old": old}))


async def test_two_redrives_at_once_make_one_job(
    jobs: Jobs, database: Database, conn: Connection, failed: Failing
) -> None:
    assert await successors_of_two_at_once(jobs, database, conn, await failed()) == 1


async def test_two_redrives_that_did_not_lock_the_job_would_make_two(
    jobs: Jobs, database: Database, conn: Connection, failed: Failing
) -> None:
    with mutated(("ORDER BY id\nFOR UPDATE", "ORDER BY id")):
        assert await successors_of_two_at_once(jobs, database, conn, await failed()) == 2


async def test_many_redrives_at_once_make_one_job_of_each(jobs: Jobs, database: Database, conn: Connection) -> None:
    old = {await dead(conn) for _ in range(30)}

    async def go() -> dict[int, int]:
        async with database.connection() as own:
            return (await redriven(own, jobs, Letters())).redriven

    made = [one for done in await asyncio.gather(*(go() for _ in range(6))) for one in done]
    assert (len(made), set(made)) == (30, old)
    assert {job["retry_of"] for job in await living(conn)} == old
    assert len(await living(conn)) == 30


async def redrive_what_fails_again(
    jobs: Jobs, conn: Connection, claim_all: ClaimAll, monkeypatch: pytest.MonkeyPatch
) -> int:
    """How many jobs a redrive of two makes, where all that it makes fail at once; it is stopped at ten."""
    monkeypatch.setattr(redrive, "BATCH", 1)
    made = 0
    async for batch in redrive.redrive(conn, jobs.table, Letters(), limit=10):
        made += len(batch.redriven)
        for job in await claim_all():
            await settle(conn, job, Fail("again"), NOTE)
    return made


async def test_what_fails_again_meanwhile_is_not_redriven_once_more(
    jobs: Jobs, conn: Connection, failed: Failing, claim_all: ClaimAll, monkeypatch: pytest.MonkeyPatch
) -> None:
    await failed()
    await failed()
    assert await redrive_what_fails_again(jobs, conn, claim_all, monkeypatch) == 2


async def test_without_its_bound_a_redrive_of_what_fails_would_never_end(
    jobs: Jobs, conn: Connection, failed: Failing, claim_all: ClaimAll, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The mutant: it looks at whatever has ended by now."""

    async def unbounded(_conn: Connection, _letters: Letters) -> datetime:
        return datetime.now(UTC) + timedelta(days=1)

    monkeypatch.setattr(redrive, "_until", unbounded)
    await failed()
    await failed()
    assert await redrive_what_fails_again(jobs, conn, claim_all, monkeypatch) == 10


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


async def test_an_input_that_no_longer_fits_its_type_is_left_and_stops_no_other(jobs: Jobs, conn: Connection) -> None:
    unfit, fit = await dead(conn, job_input='{"gone": 1}'), await dead(conn)
    done = await redriven(conn, jobs, Letters())
    assert list(done.redriven) == [fit]
    (left,) = done.left
    assert (left.id, left.why) == (unfit, "unfit")
    assert str(left) == f"job {unfit} does not fit its type any more: input.gone: Extra inputs are not permitted"


@pytest.mark.parametrize("held_while", ["unstarted", "unfinished"])
async def test_a_redrive_takes_the_unique_key_as_it_was(
    jobs: Jobs, conn: Connection, failed: Failing, held_while: Any
) -> None:
    await failed(unique_key="k", unique_while=held_while)
    await redriven(conn, jobs, Letters())
    (job,) = await living(conn)
    assert (job["unique_key"], job["unique_while"]) == ("k", held_while)


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


async def test_no_more_are_redriven_than_the_limit_and_the_next_call_goes_on(
    jobs: Jobs, conn: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redrive, "BATCH", 2)
    old = [await dead(conn) for _ in range(7)]
    for expected in (old[:3], old[3:6], old[6:], []):
        assert list((await redriven(conn, jobs, Letters(), limit=3)).redriven) == expected


async def test_a_redrive_goes_on_behind_a_letter(jobs: Jobs, conn: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    """Which a caller needs who stops early where much is left as it is."""
    monkeypatch.setattr(redrive, "BATCH", 2)
    unfit, fit = [await dead(conn, job_input='{"gone": 1}') for _ in range(2)], await dead(conn)
    first = await anext(redrive.redrive(conn, jobs.table, Letters()))
    assert ([one.id for one in first.left], first.last and first.last.id) == (unfit, unfit[1])
    assert list((await redriven(conn, jobs, Letters(until=first.until), after=first.last)).redriven) == [fit]


async def test_a_rate_is_kept_by_small_batches_with_pauses_between(
    jobs: Jobs, conn: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(5):
        await dead(conn)
    pauses = list[float]()

    async def pause(seconds: float) -> None:
        pauses.append(seconds)

    monkeypatch.setattr(redrive.asyncio, "sleep", pause)
    monkeypatch.setattr(redrive.time, "monotonic", lambda: 100.0)
    batches = [batch async for batch in redrive.redrive(conn, jobs.table, Letters(), rate_per_s=2.5)]
    assert [len(batch.redriven) for batch in batches] == [2, 2, 1]
    assert pauses == pytest.approx([0.0, 0.8, 1.6])


async def test_a_job_that_is_pruned_meanwhile_is_not_redriven(jobs: Jobs, conn: Connection) -> None:
    kept = await dead(conn)
    gone = Place(datetime.now(UTC), 10**6)
    (page,) = [page async for page in pages(conn, Letters())]
    made, left, _ = await redrive._redrive(conn, jobs.table, [*page, gone], again=False)
    assert (list(made), left) == ([kept], [])


async def test_a_redrive_is_forgotten_when_no_history_can_hold_the_job_any_more(
    jobs: Jobs, conn: Connection, failed: Failing
) -> None:
    settings = HistorySettings(history_short_days=2, history_standard_days=4, history_long_days=6)
    for _ in range(2):
        await failed()
    await redriven(conn, jobs, Letters())
    moved = "UPDATE jobs.redrives SET redriven_at = date_trunc('day', now(), 'UTC') - %(days)s * interval '1 day'"
    await execute(conn, moved, {"days": 6})
    await keep_house(conn, settings)
    assert len(await fetch(conn, "SELECT FROM jobs.redrives")) == 2
    await execute(
        conn, f"{moved} - interval '1 second' WHERE job_id = (SELECT min(job_id) FROM jobs.redrives)", {"days": 6}
    )
    await keep_house(conn, settings)
    assert len(await fetch(conn, "SELECT FROM jobs.redrives")) == 1
