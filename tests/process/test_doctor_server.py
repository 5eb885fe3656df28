"""`./jobs doctor` before a Postgres that is set in every way that voids a promise."""

import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from cli.embedded_postgres import EmbeddedPostgres
from jobs_core import Connection, db, execute
from tests.support.doctor import Doctor
from tests.support.pgbouncer import MISSING, pgbouncer, program

BAD = {
    "fsync": "off",
    "full_page_writes": "off",
    "autovacuum": "off",
    "default_transaction_isolation": "repeatable read",
    "idle_session_timeout": "90s",
    "max_connections": "20",
    "max_prepared_transactions": "2",
    "max_notify_queue_pages": "64",
    "wal_level": "logical",
}


@pytest.fixture(scope="module")
def bad_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with EmbeddedPostgres(tmp_path_factory.mktemp("bad"), BAD) as postgres:
        yield postgres.dsn


@pytest.fixture
def doctor(bad_server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Doctor:
    monkeypatch.setenv("DATABASE_URL", bad_server)
    return Doctor(tmp_path)


@pytest.fixture
async def conn(bad_server: str) -> AsyncIterator[Connection]:
    async with await db.connect(bad_server, name="tests") as connection:
        yield connection


@pytest.mark.parametrize(
    ("check", "state", "says"),
    [
        ("postgres", "ok", "answers"),
        ("durability", "fail", "fsync and full_page_writes off: a crash loses"),
        ("isolation", "fail", "transactions are repeatable read by default"),
        ("autovacuum", "fail", "autovacuum off"),
        ("timeouts", "warn", "idle_session_timeout is 90 s"),
        ("connections", "warn", "17 connections are allowed, and 39 may be wanted"),
    ],
)
async def test_a_setting_that_voids_a_promise_is_named(doctor: Doctor, check: str, state: str, says: str) -> None:
    found = await doctor.look(check)
    assert (found.state, says in found.text) == (state, True), found


async def test_what_this_role_is_set_to_counts_too(doctor: Doctor, conn: Connection) -> None:
    await execute(conn, "ALTER ROLE CURRENT_USER SET synchronous_commit = off")
    assert "synchronous_commit" in (await doctor.look("durability")).text
    await execute(conn, "ALTER ROLE CURRENT_USER SET default_transaction_read_only = on")
    assert "nothing can be written" in (await doctor.look("postgres")).text
    assert (await doctor.look("durability")).text == "postgres is not ok"
    await execute(conn, "ALTER ROLE CURRENT_USER RESET ALL")


async def test_a_prepared_transaction_and_a_slot_that_nobody_reads_are_told_and_left_alone(
    doctor: Doctor, conn: Connection
) -> None:
    await execute(conn, "SELECT pg_create_logical_replication_slot('forgotten', 'pgoutput')")
    found = await doctor.look("snapshots")
    assert (found.state, found.mend) == ("warn", None)
    assert found.text.endswith("because of replication slot forgotten, which nobody reads")
    await execute(conn, "SELECT pg_drop_replication_slot('forgotten')")
    await execute(conn, "BEGIN")
    await execute(conn, "CREATE TABLE half (n integer)")
    await execute(conn, "PREPARE TRANSACTION 'in doubt'")
    found = await doctor.look("snapshots", transaction_s=0.0)
    assert ("prepared transaction in doubt, open" in found.text, found.mend) == (True, None)
    await execute(conn, "ROLLBACK PREPARED 'in doubt'")
    assert await doctor.state("snapshots") == "ok"


async def test_an_empty_database_is_migrated_and_a_listener_that_jams_the_queue_of_notifies_is_found(
    doctor: Doctor, bad_server: str, conn: Connection
) -> None:
    assert (await doctor.look("listeners")).text == "schema is not ok"
    assert (await doctor.fix("schema")).state == "ok"
    assert (await doctor.look("listeners")).text == "no worker lives that need hear"
    async with await db.connect(bad_server, name="tests") as listening:
        await execute(listening, "LISTEN jobs_wake")
        await execute(listening, "BEGIN")
        await execute(conn, "SELECT pg_notify('jobs_wake', n || repeat('x', 7900)) FROM generate_series(1, 40) AS n")
        found = await doctor.look("listeners")
        assert (found.state, found.text.startswith("the queue of NOTIFYs is 6")) == ("fail", True), found


@pytest.mark.skipif(not program(), reason=MISSING)
async def test_a_pooler_without_a_way_past_it_is_told_and_one_that_is_none_refused(
    doctor: Doctor, bad_server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert (await doctor.look("pooler")).text == "no pooler stands before the server"
    with pgbouncer(bad_server) as pooled:
        monkeypatch.setenv("DATABASE_URL", pooled)
        found = await doctor.look("pooler")
        assert (found.state, "workers look each second" in found.text) == ("warn", True)
        assert [await doctor.state(name) for name in ("postgres", "connections", "timeouts")] == [
            "ok",
            "skipped",
            "warn",
        ]
        monkeypatch.setenv("DATABASE_DIRECT_URL", pooled)
        assert (await doctor.look("pooler")).state == "fail"
        monkeypatch.setenv("DATABASE_DIRECT_URL", bad_server)
        assert await doctor.state("pooler") == "ok"


async def test_a_host_whose_clock_is_wrong_is_told_by_how_much(doctor: Doctor, monkeypatch: pytest.MonkeyPatch) -> None:
    assert await doctor.state("clock") == "ok"
    real = time.time
    monkeypatch.setattr("cli.doctor.server.time.time", lambda: real() - 3600)
    assert (await doctor.look("clock")).text.startswith("this host's clock is 3600 s behind Postgres'")


async def test_a_server_without_a_free_connection_is_told_and_costs_the_rest_nothing(
    doctor: Doctor, bad_server: str
) -> None:
    """It is asked by a superuser, who has some of their own; others cannot connect at all, which `postgres` tells."""
    async with AsyncExitStack() as stack:
        for _ in range(16):
            await stack.enter_async_context(await db.connect(bad_server, name="tests"))
        found = await doctor.look("connections")
        assert (found.state, "of 17 connections are taken" in found.text) == ("fail", True), found
