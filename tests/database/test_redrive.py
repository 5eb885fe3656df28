"""Redrives: an ended job is done again by one new job, whoever asks, how often, and whatever fails meanwhile."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from jobs_core import Connection, Database, Fail, Jobs, execute, fetch, redrive
from jobs_core.dead_letters import Left, Letters, Place, pages
from jobs_core.history import keep_house
from jobs_core.look import find
from jobs_core.settings import HistorySettings
from jobs_core.settle import settle
from tests.database.conftest import ClaimAll, Failing
from tests.support.database import until_blocked
from tests.support.dead_letters import dead, living, redriven
from tests.support.job_types import NOTE
from tests.support.mutants import LETTER_NOT_LOCKED, mutated


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
    with mutated(LETTER_NOT_LOCKED):
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
