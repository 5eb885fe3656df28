"""Settles collected into one statement: fenced one by one, repeated while Postgres is away, refused one by one."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import timedelta

import pytest

import workers.collectors
from jobs_core import AnyJob, Connection, Database, Jobs, LeaseLost, NewJob, Snooze, execute, fetch
from jobs_core.settle import Completed, end_many, settle
from tests.database.conftest import ClaimAll
from tests.support.job_types import NOTE, Note
from tests.support.mutants import mutated
from tests.support.proxy import proxied
from workers.collectors import Collectors


@asynccontextmanager
async def collecting(
    database: Database, on_refused: Callable[[Completed, Exception], object] = pytest.fail
) -> AsyncIterator[Collectors]:
    collectors = Collectors(database, on_refused=on_refused)
    running = asyncio.create_task(collectors.run())
    try:
        yield collectors
    finally:
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running


async def claimed(jobs: Jobs, claim_all: ClaimAll, n: int) -> list[AnyJob]:
    await jobs.create_many([NewJob(NOTE, Note(text=str(number))) for number in range(n)])
    return await claim_all()


def completed(job: AnyJob, result: str | None = None) -> Completed:
    return Completed(job, result, "standard")


async def histories(conn: Connection) -> set[int]:
    return {row["id"] for row in await fetch(conn, "SELECT id FROM jobs.history")}


async def test_a_stale_run_among_others_writes_nothing_and_learns_that_it_lost(
    database: Database, conn: Connection, jobs: Jobs, claim_all: ClaimAll
) -> None:
    held = await claimed(jobs, claim_all, 3)
    async with database.connection() as other:
        await settle(other, held[1], Snooze(timedelta(0)), NOTE)
        (taken_over,) = await claim_all()
    async with collecting(database) as collectors:
        ends = [collectors.settle(completed(job), wait=True) for job in held]
        outcomes = await asyncio.gather(*ends, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [type(None), LeaseLost, type(None)]
    assert await histories(conn) == {held[0].id, held[2].id}
    assert taken_over.token > held[1].token


async def test_without_the_fence_the_stale_run_would_end_the_job_of_another(
    database: Database, conn: Connection, jobs: Jobs, claim_all: ClaimAll
) -> None:
    """The mutant of the test above."""
    held = await claimed(jobs, claim_all, 1)
    await settle(conn, held[0], Snooze(timedelta(0)), NOTE)
    await claim_all()
    with mutated(("j.token = given.token\n      AND j.state NOT IN ('pending', 'blocked', 'waiting')", "true")):
        assert await end_many(conn, [completed(held[0])]) == {held[0].id}


async def test_a_run_whose_lease_was_lost_cannot_start_among_others(
    database: Database, conn: Connection, jobs: Jobs, claim_all: ClaimAll
) -> None:
    held = await claimed(jobs, claim_all, 2)
    await execute(conn, "UPDATE jobs.jobs SET token = token + 100 WHERE id = %(id)s", {"id": held[0].id})
    async with collecting(database) as collectors:
        outcomes = await asyncio.gather(*(collectors.start(job) for job in held), return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [LeaseLost, type(None)]
    running = await fetch(conn, "SELECT id FROM jobs.jobs WHERE state = 'running'")
    assert [row["id"] for row in running] == [held[1].id]


@pytest.mark.parametrize("retention", ["standard", "none"])
async def test_a_commit_whose_answer_is_lost_is_no_lost_lease(
    database: Database, database_url: str, jobs: Jobs, claim_all: ClaimAll, retention: str
) -> None:
    held = await claimed(jobs, claim_all, 20)
    async with proxied(database_url) as proxy:
        proxy.lose_answer_to = b"DELETE FROM"
        async with Database(proxy.dsn, name="proxied") as pool, collecting(pool) as collectors:
            runs = [Completed(job, None, retention) for job in held]
            await asyncio.gather(*(collectors.settle(run, wait=True) for run in runs))
    assert proxy.lost == 1
    async with database.connection() as conn:
        assert await fetch(conn, "SELECT FROM jobs.jobs") == []


async def test_what_postgres_refuses_keeps_nobody_else(
    database: Database, conn: Connection, jobs: Jobs, claim_all: ClaimAll
) -> None:
    held = await claimed(jobs, claim_all, 40)
    refused = list[int]()

    def note(run: Completed, error: Exception) -> None:
        refused.append(run.job.id)
        assert "json" in str(error)

    async with collecting(database, note) as collectors:
        for job in held[:-1]:
            await collectors.settle(completed(job, "{no json" if job is held[7] else None), wait=False)
        await collectors.settle(completed(held[-1]), wait=True)
        await collectors.are_empty()
    assert refused == [held[7].id]
    assert await histories(conn) == {job.id for job in held} - {held[7].id}


async def test_who_waits_hears_what_postgres_says(database: Database, jobs: Jobs, claim_all: ClaimAll) -> None:
    (job,) = await claimed(jobs, claim_all, 1)
    async with collecting(database) as collectors:
        with pytest.raises(Exception, match="invalid input syntax for type json"):
            await collectors.settle(completed(job, "{no json"), wait=True)


async def test_who_holds_open_a_transaction_that_met_a_running_job_stops_no_settle(
    database: Database, jobs: Jobs, claim_all: ClaimAll
) -> None:
    """A create locks only those it meets that no worker holds: all that are settled together would wait for it."""
    await jobs.create(NOTE, Note(), unique_key="met")
    held = [*await claim_all(), *await claimed(jobs, claim_all, 5)]
    async with collecting(database) as collectors, database.transaction() as slow:
        assert (await jobs.create(NOTE, Note(), unique_key="met", conn=slow)).met == {held[0].id}
        await asyncio.wait_for(asyncio.gather(*(collectors.settle(completed(job), wait=True) for job in held)), 10)


async def test_one_statement_takes_no_more_bytes_than_it_should(
    database: Database, jobs: Jobs, claim_all: ClaimAll, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes = list[int]()

    async def end_and_note(conn: Connection, runs: Sequence[Completed]) -> set[int]:
        sizes.append(sum(len(run.result or "") for run in runs))
        return await end_many(conn, runs)

    monkeypatch.setattr(workers.collectors, "end_many", end_and_note)
    held = await claimed(jobs, claim_all, 30)
    megabyte = f'"{"x" * (1024 * 1024 - 100)}"'
    async with collecting(database) as collectors:
        await asyncio.gather(*(collectors.settle(completed(job, megabyte), wait=True) for job in held))
    assert max(sizes) <= 8 * 1024 * 1024
    assert len(sizes) == 4
