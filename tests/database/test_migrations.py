"""Migrations on a real Postgres."""

import asyncio
from collections.abc import Iterator

import pytest

import jobs_core.migrations
from cli.rooms import ROOMS
from jobs_core import Complete, Database, DatabaseUnusable, SchemaMismatch, db, execute, fetch
from jobs_core.claim import claim
from jobs_core.db import check_server
from jobs_core.history import make_partitions
from jobs_core.leases import register
from jobs_core.look import newest
from jobs_core.migrations import Migration, migrate, migrations, pending, require_migrated
from jobs_core.settle import settle
from tests.support.database import fresh_database, until_blocked
from tests.support.job_types import NOTE


@pytest.fixture
def empty_database(server_dsn: str) -> Iterator[str]:
    with fresh_database(server_dsn, template="template1") as dsn:
        yield dsn


async def test_processes_that_migrate_at_once_apply_each_file_once(empty_database: str) -> None:
    async def migrate_once() -> int:
        async with Database(empty_database, name="tests") as database, database.connection() as conn:
            return len(await migrate(conn, ROOMS))

    applied = await asyncio.gather(*(migrate_once() for _ in range(4)))
    assert sum(applied) == len(migrations(ROOMS))
    async with Database(empty_database, name="tests") as database, database.connection() as conn:
        assert await pending(conn, ROOMS) == []
        rows = await fetch(conn, "SELECT FROM jobs.migrations")
    assert len(rows) == len(migrations(ROOMS))


async def test_a_database_that_was_not_migrated_is_refused_with_what_to_do(empty_database: str) -> None:
    async with Database(empty_database, name="tests") as database, database.connection() as conn:
        with pytest.raises(SchemaMismatch, match=r"first jobs_core 0001 queue: run \./jobs migrate"):
            await require_migrated(conn, ROOMS)


async def test_a_schema_newer_than_the_code_is_refused_and_left_alone(database: Database) -> None:
    async with database.connection() as conn:
        await execute(conn, "INSERT INTO jobs.migrations VALUES ('jobs_core', 9999, 'from_the_future')")
        for verb in (migrate, require_migrated):
            with pytest.raises(SchemaMismatch, match=r"newer than this code \(jobs_core 9999"):
                await verb(conn, ROOMS)


async def test_a_server_that_acknowledges_before_it_is_durable_is_refused(database: Database) -> None:
    async with database.connection() as conn:
        await check_server(conn)
        await execute(conn, "SET synchronous_commit = off")
        with pytest.raises(DatabaseUnusable, match="a crash would lose acknowledged jobs"):
            await check_server(conn)


def test_the_numbers_of_a_room_have_no_gap() -> None:
    for room in ROOMS:
        numbers = [migration.number for migration in migrations([room])]
        assert numbers == list(range(1, len(numbers) + 1))


async def test_what_had_ended_before_histories_had_days_lies_in_its_day_and_living_jobs_go_on(
    empty_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From the first schema, with rows in it, to this one."""
    first = [migration for migration in migrations(ROOMS) if migration.number == 1]
    async with Database(empty_database, name="tests") as database, database.connection() as conn:
        with monkeypatch.context() as before:
            before.setattr(jobs_core.migrations, "migrations", lambda _: first)
            await migrate(conn, ROOMS)
        await execute(
            conn,
            "INSERT INTO jobs.jobs (job_type, queue, priority, state, input, ready_seq) "
            "VALUES ('note', 'default', 2, 'pending', '{}', 7)",
        )
        await execute(
            conn,
            "INSERT INTO jobs.history (id, job_type, queue, priority, state, input, retry_count, lost_count, created_at, "
            "ended_at) SELECT 100 + n, 'note', 'default', 2, 'complete', '{}', 0, 0, now(), now() - n * interval '1 day' "
            "FROM generate_series(0, 3) AS n",
        )
        await migrate(conn, ROOMS)
        assert (await make_partitions(conn))[1] == {}
        (strays,) = await fetch(conn, "SELECT count(*) AS n FROM jobs.history_standard_default")
        assert strays["n"] == 0
        worker_id = await register(conn, queues=["default"], job_types=["note"], slots=1, lease_s=600)
        (job,) = await claim(conn, worker_id=worker_id, queues=["default"], job_types=["note"], slots=1)
        await settle(conn, job, Complete(), NOTE)
        assert [view.id for view in await newest(conn)] == [103, 102, 101, 100, job.id]


NEXT = Migration("jobs_core", 9001, "next", "ALTER TABLE jobs.jobs ADD COLUMN next_note text")
CREATE = (
    "INSERT INTO jobs.jobs (job_type, queue, priority, state, input) VALUES ('note', 'default', 2, 'pending', '{}')"
)


@pytest.fixture
def next_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """There is a migration more."""
    known = migrations(ROOMS)
    monkeypatch.setattr(jobs_core.migrations, "migrations", lambda _: [*known, NEXT])


@pytest.mark.usefixtures("next_is_there")
async def test_behind_a_long_reader_a_migration_waits_and_others_work(database: Database) -> None:
    async with database.connection() as reader, database.connection() as conn, database.connection() as other:
        async with reader.transaction():
            await fetch(reader, "SELECT FROM jobs.jobs")
            migrating = asyncio.create_task(migrate(conn, ROOMS))
            for _ in range(2):  # once it may be that the migration had not tried yet
                await until_blocked(other)
                await execute(other, CREATE)
        assert await migrating == [NEXT]


@pytest.mark.usefixtures("next_is_there")
async def test_one_that_waited_for_locks_as_long_as_it_takes_would_stop_them(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The mutant of the test above."""
    monkeypatch.setattr(jobs_core.migrations, "LOCK_MS", 0)
    async with database.connection() as reader, database.connection() as conn, database.connection() as other:
        async with reader.transaction():
            await fetch(reader, "SELECT FROM jobs.jobs")
            migrating = asyncio.create_task(migrate(conn, ROOMS))
            await until_blocked(other)
            await execute(other, "SET lock_timeout = '1s'")
            with pytest.raises(db.LockNotAvailable):
                await execute(other, CREATE)
        assert await migrating == [NEXT]


@pytest.mark.usefixtures("next_is_there")
async def test_a_migration_that_gets_no_lock_says_who_has_it(database: Database) -> None:
    async with database.connection() as reader, database.connection() as conn, reader.transaction():
        (row,) = await fetch(
            reader,
            "SELECT pg_sleep(1.1)::text, pg_backend_pid() AS pid FROM (SELECT FROM jobs.jobs) AS none "
            "RIGHT JOIN (SELECT) AS one ON true",
        )
        with pytest.raises(
            DatabaseUnusable, match=rf"9001 next was not applied: for 0 s .* pid {row['pid']} \(tests, idle in"
        ):
            await migrate(conn, ROOMS, wait_s=0)
    async with database.connection() as conn:
        assert await pending(conn, ROOMS) == [NEXT], "and it has changed nothing"


async def test_an_index_whose_build_was_cut_off_is_built_anew(database: Database) -> None:
    async with database.connection() as conn:
        await execute(conn, "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'jobs.jobs_waiting'::regclass")
        await execute(conn, "DELETE FROM jobs.migrations WHERE name = 'indexes'")
        assert [migration.name for migration in await migrate(conn, ROOMS)] == ["indexes"]
        (index,) = await fetch(conn, "SELECT indisvalid FROM pg_index WHERE indexrelid = 'jobs.jobs_waiting'::regclass")
    assert index["indisvalid"]
