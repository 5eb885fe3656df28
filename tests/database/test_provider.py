"""The provider's health: who may ask it, what pauses it, and that one run at a time tries whether it answers again."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta

import pytest
from structlog.testing import capture_logs

from jobs_core import AnyJob, Connection, Database, Jobs, LeaseLost, Snooze, execute, fetch
from jobs_core.explain import explain
from jobs_core.pauses import pauses, resume
from jobs_core.settle import settle
from sessions import provider
from sessions.provider import Trouble, admit, answered, leave, look, report
from tests.database.conftest import ClaimAll
from tests.support.job_types import NOTE
from tests.support.mutants import mutated

NewRuns = Callable[[int], Awaitable[list[AnyJob]]]
NOT_LOCKED = ("FROM {schema}.provider FOR UPDATE", "FROM {schema}.provider, pg_sleep(0.5)")
"""And a moment between the look and what follows from it, so that two meet there on any machine."""


@pytest.fixture
def runs(jobs: Jobs, claim_all: ClaimAll) -> NewRuns:
    """So many claimed jobs."""

    async def claimed(n: int) -> list[AnyJob]:
        for _ in range(n):
            await jobs.create(NOTE, {})
        return await claim_all()

    return claimed


async def pause_over(conn: Connection, by_s: float = 0.0) -> None:
    """The time of the pause is over, for so long."""
    values = {"by_s": by_s}
    await execute(conn, "UPDATE jobs.provider SET until = clock_timestamp() - make_interval(secs => %(by_s)s)", values)
    await execute(conn, "DELETE FROM jobs.pauses")


async def pause_s(conn: Connection) -> float:
    return (await look(conn)).waits_s


async def put_back(conn: Connection, *jobs: AnyJob) -> None:
    for job in jobs:
        await settle(conn, job, Snooze(timedelta(0), because="rate_limited"), NOTE)


async def test_while_it_does_well_every_run_may_ask(conn: Connection, runs: NewRuns) -> None:
    (job,) = await runs(1)
    assert (await admit(conn, job, interactive=False)).admitted
    assert not await answered(conn, job, probes=False)
    assert (await look(conn)).state == "open"


@pytest.mark.parametrize(
    ("trouble", "retry_after_s", "expected"),
    [
        ("limited", None, ("paused", 1.0)),
        ("limited", 7.5, ("paused", 7.5)),
        ("limited", 1e9, ("paused", provider.LONGEST_TOLD_S)),
        ("limited", -5.0, ("paused", provider.SHORTEST_PAUSE_S)),
        ("refused", None, ("stopped", provider.PROBE_STOPPED_EVERY_S)),
    ],
)
async def test_a_limit_pauses_for_as_long_as_it_was_told_and_a_refusal_stops(
    conn: Connection, runs: NewRuns, trouble: Trouble, retry_after_s: float | None, expected: tuple[str, float]
) -> None:
    (job,) = await runs(1)
    now = await report(conn, job, trouble, "it said so", retry_after_s=retry_after_s)
    state, waits_s = expected
    assert (now.state, now.reason) == (state, "it said so")
    assert now.waits_s == pytest.approx(waits_s, abs=0.5)


async def test_a_failure_is_the_provider_s_only_after_others_in_a_row(conn: Connection, runs: NewRuns) -> None:
    jobs = await runs(provider.FAILURES + 1)
    assert (await report(conn, jobs[0], "failed", "529")).state == "open"
    await answered(conn, jobs[1], probes=False)
    states = [(await report(conn, job, "failed", "529")).state for job in jobs[: provider.FAILURES]]
    assert states == [*["open"] * (provider.FAILURES - 1), "paused"]


async def test_pauses_that_follow_each_other_grow_and_an_answer_ends_that(conn: Connection, runs: NewRuns) -> None:
    job, *_ = await runs(1)
    seen = list[float]()
    for _ in range(8):
        await report(conn, job, "limited", "429")
        seen.append(await pause_s(conn))
        await pause_over(conn)
        assert (await admit(conn, job, interactive=True)).probes
    assert seen == pytest.approx([1, 2, 4, 8, 16, 32, 60, 60], abs=0.5)
    assert await answered(conn, job, probes=True)
    assert await pauses(conn) == []
    await report(conn, job, "limited", "429")
    assert await pause_s(conn) == pytest.approx(1, abs=0.5)


async def test_many_that_are_refused_at_once_make_one_pause(conn: Connection, runs: NewRuns) -> None:
    first, second, third = await runs(3)
    await report(conn, first, "limited", "429")
    assert (await report(conn, second, "limited", "429")).pauses == 1
    assert await pause_s(conn) <= 1
    assert (await report(conn, third, "limited", "429", retry_after_s=30)).pauses == 1
    assert await pause_s(conn) == pytest.approx(30, abs=0.5)


async def test_who_comes_while_it_is_paused_goes_back_and_no_other_of_its_type_is_claimed(
    conn: Connection, jobs: Jobs, runs: NewRuns, claim_all: ClaimAll
) -> None:
    first, second = await runs(2)
    await report(conn, first, "limited", "429 slow down", retry_after_s=30)
    await execute(conn, "DELETE FROM jobs.pauses")  # that of another queue, say
    assert await admit(conn, second, interactive=True) == provider.Admission(admitted=False, reason="429 slow down")
    await put_back(conn, first, second)
    await jobs.create(NOTE, {})
    assert await claim_all() == []
    (pause,) = await pauses(conn)
    assert (pause.queue, pause.job_type, pause.because) == ("default", "note", "provider")
    why = await explain(conn, second.id)
    assert why
    assert any("429 slow down" in one.text for one in why)


async def test_at_a_pause_s_end_one_run_tries_and_all_go_on_when_it_is_answered(
    conn: Connection, runs: NewRuns, claim_all: ClaimAll
) -> None:
    jobs = await runs(4)
    await report(conn, jobs[0], "limited", "429")
    await pause_over(conn)
    admitted = [await admit(conn, job, interactive=True) for job in jobs]
    assert [one.probes for one in admitted] == [True, False, False, False]
    assert [one.admitted for one in admitted] == [True, False, False, False]
    await put_back(conn, *jobs[1:])
    assert await claim_all() == []
    assert await answered(conn, jobs[0], probes=True)
    assert not await answered(conn, jobs[0], probes=True)
    again = await claim_all()
    assert [job.id for job in again] == [job.id for job in jobs[1:]]
    assert all([(await admit(conn, job, interactive=True)).admitted for job in again])


@pytest.mark.parametrize("locked", [True, False])
async def test_however_many_come_at_once_one_tries(
    database_url: str,
    conn: Connection,
    runs: NewRuns,
    locked: bool,  # noqa: FBT001 - the mutant
) -> None:
    """Without the lock several do."""
    jobs = await runs(8)
    await report(conn, jobs[0], "limited", "429")
    await pause_over(conn)

    async def come(pool: Database, job: AnyJob) -> bool:
        async with pool.connection() as own:
            return (await admit(own, job, interactive=True)).probes

    async with Database(database_url, name="tests", max_connections=8) as pool:

        async def all_come() -> int:
            return sum(await asyncio.gather(*(come(pool, job) for job in jobs)))

        if locked:
            assert await all_come() == 1
            return
        with mutated(NOT_LOCKED):
            for _ in range(50):  # whether they meet is the machine's affair
                if await all_come() > 1:
                    return
                await execute(conn, "UPDATE jobs.provider SET prober_job = NULL, prober_token = NULL")
            pytest.fail("one tried at a time")


async def test_a_run_that_nobody_waits_for_lets_those_of_people_try_first(
    conn: Connection, runs: NewRuns, claim_all: ClaimAll
) -> None:
    scheduled, chat = await runs(2)
    await report(conn, chat, "limited", "429")
    await pause_over(conn)
    turned_away = await admit(conn, scheduled, interactive=False)
    assert not turned_away.admitted
    assert 0 < turned_away.again_in_s <= provider.FIRST_FOR_PEOPLE_S
    assert await pauses(conn) == [], "that would keep people's back as well"
    assert (await admit(conn, chat, interactive=True)).probes
    await report(conn, chat, "limited", "429")
    await pause_over(conn, by_s=provider.FIRST_FOR_PEOPLE_S)
    assert (await admit(conn, scheduled, interactive=False)).probes


@pytest.mark.parametrize("how", ["died", "left"])
async def test_a_probe_whose_run_is_gone_is_taken_over(conn: Connection, runs: NewRuns, how: str) -> None:
    prober, other = await runs(2)
    await report(conn, other, "refused", "401")
    await pause_over(conn)
    assert (await admit(conn, prober, interactive=True)).probes
    if how == "died":  # or ended without a word
        await put_back(conn, prober)
    else:
        assert await leave(conn, prober)
        assert await pauses(conn) == []
    assert (await admit(conn, other, interactive=True)).probes
    assert not await answered(conn, prober, probes=True), "it speaks for itself no more"


async def test_what_began_before_a_pause_and_is_answered_does_not_end_it(conn: Connection, runs: NewRuns) -> None:
    before, refused = await runs(2)
    await report(conn, refused, "limited", "429", retry_after_s=30)
    assert not await answered(conn, before, probes=False)
    assert (await look(conn)).state == "paused"


async def test_a_refusal_from_before_the_key_was_mended_does_not_stop_the_run_that_tries_the_new_one(
    conn: Connection, runs: NewRuns
) -> None:
    first, late, prober = await runs(3)
    await report(conn, first, "refused", "401")
    await provider.resume(conn)
    assert (await admit(conn, prober, interactive=True)).probes
    assert (await report(conn, late, "refused", "401")).prober_job == prober.id
    assert await answered(conn, prober, probes=True)
    assert (await look(conn)).state == "open"


async def test_a_run_that_lost_its_job_tells_and_tries_nothing(conn: Connection, runs: NewRuns) -> None:
    lost, other = await runs(2)
    await put_back(conn, lost)
    with pytest.raises(LeaseLost):
        await report(conn, lost, "refused", "401")
    await report(conn, other, "limited", "429")
    await pause_over(conn)
    with pytest.raises(LeaseLost):
        await admit(conn, lost, interactive=True)


async def test_a_stop_is_told_to_an_operator_once_and_tried_by_itself(conn: Connection, runs: NewRuns) -> None:
    jobs = await runs(4)
    with capture_logs() as logs:
        for job in jobs:
            await report(conn, job, "refused", "401 invalid x-api-key")
        await pause_over(conn)
        assert (await admit(conn, jobs[0], interactive=True)).probes
        assert (await report(conn, jobs[0], "failed", "529")).state == "stopped"
        await pause_over(conn)
        assert (await admit(conn, jobs[0], interactive=True)).probes
        assert (await report(conn, jobs[0], "limited", "429")).state == "paused", "the key does again"
    assert [entry["event"] for entry in logs if entry["log_level"] == "error"] == ["provider.stopped"]


async def test_a_person_may_have_it_tried_at_once(conn: Connection, runs: NewRuns, claim_all: ClaimAll) -> None:
    (job,) = await runs(1)
    assert await provider.resume(conn) is None
    await report(conn, job, "refused", "401")
    await put_back(conn, job)
    assert await claim_all() == []
    was = await provider.resume(conn)
    assert was
    assert was.state == "stopped"
    (again,) = await claim_all()
    assert (await admit(conn, again, interactive=True)).probes


async def test_resuming_the_queue_alone_does_not_let_them_at_it(
    conn: Connection, runs: NewRuns, claim_all: ClaimAll
) -> None:
    (job,) = await runs(1)
    await report(conn, job, "limited", "429", retry_after_s=30)
    await put_back(conn, job)
    assert await resume(conn, queue="default", job_type="note")
    (again,) = await claim_all()
    assert not (await admit(conn, again, interactive=True)).admitted


async def test_what_it_says_may_hold_anything(conn: Connection, runs: NewRuns) -> None:
    (job,) = await runs(1)
    now = await report(conn, job, "limited", "a\0b\ud800" + "x" * 10_000)
    assert now.reason
    assert len(now.reason) <= 4_000
    assert len(await fetch(conn, "SELECT FROM jobs.pauses")) == 1
