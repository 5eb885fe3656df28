"""Time that a test lets pass, what it can say of what was created, and tables emptied between tests."""

from datetime import timedelta
from typing import Any

import pytest

from assistant.chats import receive
from jobs_core import AnyJob, Complete, Connection, Database, Fail, Jobs, LeaseLost, execute, fence, fetch, fetch_one
from tests.database.test_testing_help import echo, handling, view_of
from tests.support.job_types import BRIEF_NOTE, LANE_NOTE, NOTE, Note
from tests.support.mutants import mutated
from workers.testing import all_created, created, drain, empty, hold, pass_time, run, run_job

TIMES = """
SELECT c.relname AS table, a.attname AS column
FROM pg_class AS c JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0
WHERE c.relnamespace = 'jobs'::regnamespace AND c.relkind = 'r' AND NOT c.relispartition
  AND a.atttypid = 'timestamptz'::regtype
  AND NOT EXISTS (SELECT FROM pg_index AS i WHERE i.indrelid = c.oid AND i.indisunique AND a.attnum = ANY(i.indkey))
"""

YOUNG_POSTGRES = (
    "pg_postmaster_start_time() < clock_timestamp() - make_interval(secs => lease_s)",
    "pg_postmaster_start_time() < clock_timestamp() - interval '100 years'",
)
NO_BURIAL = (
    "SET dead_at = clock_timestamp() WHERE dead_at IS NULL",
    "SET dead_at = clock_timestamp() WHERE false AND dead_at IS NULL",
)


async def fail_twice(job: AnyJob) -> Complete:
    if job.retry_count < 2:
        raise RuntimeError("not yet")
    return Complete()


async def test_a_retry_waits_for_its_backoff_and_no_longer(database: Database) -> None:
    """30 s and 60 s, less a tenth at most."""
    async with handling(database, {NOTE: fail_twice}) as jobs:
        await run(jobs, NOTE, {}, reraise=False)
        for wait_s in (30, 60):
            await pass_time(jobs, timedelta(seconds=wait_s * 0.8))
            assert await drain(jobs, reraise=False) == []
            await pass_time(jobs, timedelta(seconds=wait_s * 0.2))
            assert len(await drain(jobs, reraise=False)) == 1
        assert [view.state for view in await all_created(jobs, NOTE)] == ["complete"]


async def test_a_burst_is_one_run_once_its_quiet_time_has_passed(database: Database) -> None:
    minute = timedelta(minutes=1)
    async with handling(database, {NOTE: echo}) as jobs:
        for text in ("first", "last"):
            await jobs.create(NOTE, Note(text=text), unique_key="k", debounce=minute, debounce_at_most=1.7 * minute)
            await pass_time(jobs, 0.8 * minute)
            assert await drain(jobs) == []
        await pass_time(jobs, 0.1 * minute)  # the longest wait
        assert [run.result for run in await drain(jobs)] == [{"text": "last"}]


async def test_a_lease_that_ran_out_frees_its_job_and_the_first_run_can_write_no_more(database: Database) -> None:
    async with handling(database, {NOTE: echo}) as jobs:
        frozen = await hold(jobs, NOTE, Note(text="frozen"))
        assert (frozen.input, (await view_of(jobs, frozen.id)).state) == (Note(text="frozen"), "running")
        await pass_time(jobs, timedelta(seconds=14))
        with pytest.raises(AssertionError, match="holds it"):
            await run_job(jobs, frozen.id)
        await pass_time(jobs, timedelta(seconds=1))
        again = await run_job(jobs, frozen.id)
        assert (again.result, again.job and again.job.lost_count) == ({"text": "frozen"}, 1)
        with pytest.raises(LeaseLost):
            async with database.transaction() as conn:
                await fence(conn, frozen)


@pytest.mark.parametrize(
    ("changes", "state"), [((YOUNG_POSTGRES,), "pending"), ((YOUNG_POSTGRES, NO_BURIAL), "running")]
)
async def test_a_lease_runs_out_on_a_postgres_that_came_up_just_now(
    database: Database, changes: tuple[tuple[str, str], ...], state: str
) -> None:
    """No test can make a postmaster older: a burial that waited for that would come in some runs and not in others."""
    with mutated(*changes):
        async with handling(database, {NOTE: echo}) as jobs:
            frozen = await hold(jobs, NOTE, Note())
            await pass_time(jobs, timedelta(hours=1))
            assert (await view_of(jobs, frozen.id)).state == state


async def test_a_job_gives_up_when_its_time_has_come(database: Database) -> None:
    async with handling(database, {NOTE: fail_twice}) as jobs:
        first = await run(jobs, NOTE, {}, reraise=False)
        await pass_time(jobs, timedelta(hours=24))
        last = await run_job(jobs, first.job_id, reraise=False)
        assert (last.state, isinstance(last.outcome, Fail)) == ("failed", False)
        assert last.job
        assert last.job.error is not None
        assert last.job.error.startswith("gave up")


async def test_an_idempotency_key_stands_for_its_week(database: Database) -> None:
    async with handling(database, {NOTE: echo}) as jobs:
        first = await jobs.create(NOTE, {}, idempotency_key="event 1")
        await pass_time(jobs, timedelta(days=7, seconds=-10))
        assert (await jobs.create(NOTE, {}, idempotency_key="event 1")).met == {first.id}
        await pass_time(jobs, timedelta(seconds=10))
        assert not (await jobs.create(NOTE, {}, idempotency_key="event 1")).met


async def test_every_time_in_the_queues_rows_moves_and_none_twice(database: Database, conn: Connection) -> None:
    async def times() -> dict[str, list[Any]]:
        """Of each column its values, in order, in seconds."""
        found = {}
        for table, column in [(row["table"], row["column"]) for row in await fetch(conn, TIMES)]:
            rows = await fetch(conn, f"SELECT extract(epoch FROM {column}) AS at FROM jobs.{table} ORDER BY 1")
            found[f"{table}.{column}"] = [row["at"] for row in rows if row["at"] is not None]
        return found

    async with handling(database, {NOTE: echo}) as jobs:
        await hold(jobs, NOTE, {}, idempotency_key="event 1")
        await jobs.create(NOTE, {}, scheduled_for=timedelta(days=2))
        before = await times()
        assert {"jobs.scheduled_for", "jobs.give_up_at", "workers.expires_at", "job_keys.expires_at"} <= before.keys()
        await pass_time(jobs, timedelta(seconds=10))
        after = await times()
    assert {name: [at + 10 for at in values] for name, values in after.items()} == before


async def test_a_time_that_names_its_row_stays(database: Database, conn: Connection) -> None:
    """Two of them ten seconds apart would also meet on the way."""
    await conn.execute("CREATE TABLE jobs.ticks (at timestamptz PRIMARY KEY, seen_at timestamptz)")
    await conn.execute("INSERT INTO jobs.ticks VALUES ('2026-01-01 00:00:10Z', now()), ('2026-01-01 00:00:00Z', now())")
    before = await fetch(conn, "SELECT at, seen_at - interval '10 s' AS seen_at FROM jobs.ticks ORDER BY at")
    async with handling(database, {NOTE: echo}) as jobs:
        await pass_time(jobs, timedelta(seconds=10))
    assert await fetch(conn, "SELECT at, seen_at FROM jobs.ticks ORDER BY at") == before


@pytest.mark.parametrize("start", ["run_job", "drain"])
async def test_what_fell_due_by_itself_is_ready(database: Database, conn: Connection, start: str) -> None:
    """No worker is there whose upkeep would have seen it; and what waits to join its lane is seen to first."""
    async with handling(database, {NOTE: echo, LANE_NOTE: echo}) as jobs:
        due = await jobs.create(NOTE, {}, scheduled_for=timedelta(hours=1))
        await jobs.create(LANE_NOTE, Note(lane="lane:1"), scheduled_for=timedelta(hours=1))
        await execute(conn, "UPDATE jobs.jobs SET scheduled_for = now()")
        runs = [await run_job(jobs, due.id)] if start == "run_job" else await drain(jobs)
        assert due.id in {done.job_id for done in runs}


async def test_time_does_not_go_back(database: Database) -> None:
    async with handling(database, {NOTE: echo}) as jobs:
        with pytest.raises(ValueError, match="time does not go back"):
            await pass_time(jobs, timedelta(seconds=-1))


async def test_created_finds_the_one_job_by_its_input_and_its_columns(jobs: Jobs) -> None:
    await jobs.create(NOTE, Note(text="Ada"))
    mine = await jobs.create(NOTE, Note(text="Bob"), queue="mail", user_id="u1")
    assert (await created(jobs, NOTE, where={"text": "Bob"})).id == mine.id
    assert (await created(jobs, NOTE, where=lambda note: note.text > "B")).id == mine.id
    assert (await created(jobs, NOTE, queue="mail", user_id="u1", state="pending")).id == mine.id
    assert [view.input["text"] for view in await all_created(jobs, NOTE)] == ["Ada", "Bob"]
    assert not await all_created(jobs, BRIEF_NOTE)


async def test_a_job_that_ran_was_created_too(database: Database) -> None:
    async with handling(database, {NOTE: echo}) as jobs:
        done = await run(jobs, NOTE, Note(text="Ada"))
        view = await created(jobs, NOTE, where={"text": "Ada"})
        assert (view.id, view.state) == (done.job_id, "complete")


async def test_created_looks_inside_an_open_transaction_when_it_is_given(jobs: Jobs, database: Database) -> None:
    async with database.transaction() as conn:
        await jobs.create(NOTE, Note(), conn=conn)
        await created(jobs, NOTE, conn=conn)
        with pytest.raises(AssertionError, match="no 'note' job was created; there is no job at all, or none that is"):
            await created(jobs, NOTE)


async def test_what_was_created_instead_is_shown(jobs: Jobs) -> None:
    with pytest.raises(AssertionError, match="no 'note' job was created; there is no job at all"):
        await created(jobs, NOTE)
    await jobs.create(LANE_NOTE, Note(lane="lane:1"))
    with pytest.raises(AssertionError, match="created were: lane_note × 1"):
        await created(jobs, NOTE)
    first = await jobs.create(NOTE, Note(text="Ada"))
    with pytest.raises(AssertionError) as none:
        await created(jobs, NOTE, where={"text": "Bob"}, queue="mail")
    assert str(none.value) == (
        "no 'note' job with input.text='Bob', queue='mail' was created, but:\n"
        f'  job {first.id} (note, pending, queue default): {{"lane": "", "text": "Ada"}}'
    )
    await jobs.create(NOTE, Note(text="Ada"))
    with pytest.raises(AssertionError, match=r"2 times a 'note' job with input.text='Ada' was created, not once:"):
        await created(jobs, NOTE, where={"text": "Ada"})


async def test_of_many_jobs_the_newest_are_shown(jobs: Jobs) -> None:
    for n in range(12):
        await jobs.create(NOTE, Note(text=f"number {n}"))
    with pytest.raises(AssertionError, match=r"(?s)12 times.*number 2\".*number 11\".*and 2 older ones"):
        await created(jobs, NOTE)


async def test_a_name_that_no_job_and_no_input_has_is_a_mistake_of_the_test(jobs: Jobs) -> None:
    """Asked for what there may be none of, it would never fail."""
    with pytest.raises(TypeError, match=r"a job has no quue; it has .*queue"):
        await all_created(jobs, NOTE, quue="mail")
    with pytest.raises(TypeError, match="Note has no field txt"):
        await all_created(jobs, NOTE, where={"txt": "Ada"})


async def test_empty_leaves_no_row_in_any_room_and_the_migrations(
    jobs: Jobs, database: Database, conn: Connection
) -> None:
    async with database.transaction() as own:
        await receive(own, jobs, session_id=None, channel="web", message="hello", user_id=None)
    async with handling(database, {NOTE: fail_twice, BRIEF_NOTE: echo}) as others:
        await run(others, NOTE, {}, reraise=False, idempotency_key="event 1")
        await run(others, BRIEF_NOTE, {})
    await empty(conn)
    tables = await fetch(
        conn,
        "SELECT relname FROM pg_class WHERE relnamespace = 'jobs'::regnamespace AND relkind = 'r' AND relname <> 'migrations'",
    )
    assert len(tables) > 10
    left = [row["relname"] for row in tables if await fetch_one(conn, f"SELECT FROM jobs.{row['relname']}") is not None]
    assert left == []
    assert await fetch_one(conn, "SELECT FROM jobs.migrations") is not None
