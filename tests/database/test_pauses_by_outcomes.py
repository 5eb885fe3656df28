"""A pause of its queue that a run asks for: written with its outcome, and only so."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from jobs_core import AnyJob, Connection, Database, InvalidInput, Jobs, LeaseLost, NewJob, Snooze, execute
from jobs_core.pauses import Pause, pause, pauses, resume
from jobs_core.settle import settle
from tests.database.conftest import ClaimAll
from tests.support.database import until_blocked
from tests.support.job_types import NOTE
from tests.support.mutants import mutated

SOON, LATE, LATER = (datetime.now(UTC) + timedelta(hours=hours) for hours in (1, 2, 3))
ANY_WINS = ("WHERE p.until < excluded.until", "WHERE true")


def limited(until: datetime | timedelta, said: str = "429") -> Snooze:
    return Snooze(SOON, said, because="rate_limited", pause_queue_until=until)


async def held(jobs: Jobs, claim_all: ClaimAll, how_many: int = 1) -> list[AnyJob]:
    await jobs.create_many([NewJob(NOTE, {}) for _ in range(how_many)])
    return await claim_all(slots=how_many)


async def only(conn: Connection) -> Pause:
    (found,) = await pauses(conn)
    return found


async def test_an_outcome_pauses_the_queue_of_its_job_and_says_why(
    jobs: Jobs, conn: Connection, claim_all: ClaimAll
) -> None:
    (job,) = await held(jobs, claim_all)
    await jobs.create(NOTE, {})
    await settle(conn, job, limited(LATE, "429: try again at two"), NOTE)
    found = await only(conn)
    assert (found.queue, found.job_type, found.because, found.until) == ("default", None, "rate_limited", LATE)
    assert (found.reason, found.set_by) == ("429: try again at two", f"job {job.id}")
    assert await claim_all() == []
    await resume(conn, queue="default")
    assert len(await claim_all()) == 1


async def test_a_later_end_wins_over_an_earlier_one_and_not_the_other_way(
    jobs: Jobs, conn: Connection, claim_all: ClaimAll
) -> None:
    first, second, third = await held(jobs, claim_all, 3)
    await settle(conn, first, limited(LATE), NOTE)
    began = (await only(conn)).started_at
    await settle(conn, second, limited(LATER, "429 again"), NOTE)
    prolonged = await only(conn)
    assert (prolonged.until, prolonged.reason, prolonged.started_at) == (LATER, "429 again", began)
    await settle(conn, third, limited(SOON), NOTE)
    assert await only(conn) == prolonged


async def test_without_the_comparison_the_last_one_would_win(jobs: Jobs, conn: Connection, claim_all: ClaimAll) -> None:
    first, second = await held(jobs, claim_all, 2)
    with mutated(ANY_WINS):
        await settle(conn, first, limited(LATER), NOTE)
        await settle(conn, second, limited(SOON), NOTE)
    assert (await only(conn)).until == SOON


async def test_of_two_that_settle_at_once_the_later_end_wins(
    jobs: Jobs, database: Database, conn: Connection, claim_all: ClaimAll
) -> None:
    first, second = await held(jobs, claim_all, 2)
    async with database.connection() as other:
        async with conn.transaction():
            await settle(conn, first, limited(LATER), NOTE)
            settling = asyncio.create_task(settle(other, second, limited(LATE), NOTE))
            await until_blocked(conn)
        await settling
        assert (await only(other)).until == LATER


async def test_a_pause_that_was_over_begins_anew(jobs: Jobs, conn: Connection, claim_all: ClaimAll) -> None:
    first, second = await held(jobs, claim_all, 2)
    await settle(conn, first, limited(SOON), NOTE)
    await execute(
        conn, "UPDATE jobs.pauses SET started_at = started_at - interval '2 h', until = until - interval '2 h'"
    )
    await settle(conn, second, limited(SOON), NOTE)
    found = await only(conn)
    assert (found.until, found.set_by) == (SOON, f"job {second.id}")
    assert found.started_at > datetime.now(UTC) - timedelta(hours=1)


async def test_an_outcome_that_is_not_written_pauses_nothing(jobs: Jobs, conn: Connection, claim_all: ClaimAll) -> None:
    (job,) = await held(jobs, claim_all)

    async def break_off(_: Connection) -> None:
        raise RuntimeError

    with pytest.raises(RuntimeError):
        await settle(conn, job, Snooze(SOON, also=break_off, pause_queue_until=LATE), NOTE)
    with pytest.raises(InvalidInput, match="pause_queue_until: "):
        await settle(conn, job, Snooze(SOON, pause_queue_until=datetime(2130, 1, 1)), NOTE)  # noqa: DTZ001 - the case
    await settle(conn, job, Snooze(SOON), NOTE)
    with pytest.raises(LeaseLost):
        await settle(conn, job, limited(LATE), NOTE)
    assert await pauses(conn) == []


async def test_what_else_the_outcome_writes_is_written_too(jobs: Jobs, conn: Connection, claim_all: ClaimAll) -> None:
    (job,) = await held(jobs, claim_all)
    written = list[bool]()

    async def write(settling: Connection) -> None:
        written.append(await pauses(settling) == [])

    await settle(conn, job, Snooze(SOON, also=write, pause_queue_until=LATE), NOTE)
    assert written == [True], "before the pause, whose row others wait for"
    assert (await only(conn)).because == "snoozed"


async def test_a_job_that_is_given_up_pauses_its_queue_all_the_same(
    jobs: Jobs, conn: Connection, claim_all: ClaimAll
) -> None:
    (job,) = await held(jobs, claim_all)
    await execute(conn, "UPDATE jobs.jobs SET give_up_at = clock_timestamp() - interval '1 s'")
    assert (await settle(conn, job, limited(LATE), NOTE)).state == "failed"
    assert (await only(conn)).until == LATE


async def test_an_end_that_has_passed_pauses_nothing(jobs: Jobs, conn: Connection, claim_all: ClaimAll) -> None:
    (job,) = await held(jobs, claim_all)
    await settle(conn, job, limited(timedelta(0)), NOTE)
    assert await pauses(conn) == []


async def test_an_operators_pause_and_an_outcomes_stand_side_by_side_and_a_resume_lifts_both(
    jobs: Jobs, conn: Connection, claim_all: ClaimAll
) -> None:
    (job,) = await held(jobs, claim_all)
    await settle(conn, job, limited(LATE), NOTE)
    await pause(conn, queue="default", until=SOON, set_by="ada")
    assert {(one.because, one.until) for one in await pauses(conn)} == {("rate_limited", LATE), ("operator", SOON)}
    assert {one.because for one in await resume(conn, queue="default")} == {"rate_limited", "operator"}
    assert await pauses(conn) == []
