"""Behind a PgBouncer in transaction mode: what a session keeps is not asked for, and what that costs is said."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from psycopg import AsyncConnection
from structlog.testing import capture_logs

from cli.database import check_way_of_workers
from cli.rooms import ROOMS
from jobs_core import AnyJob, Complete, ConfigurationError, Database, DatabaseUnusable, Jobs, db, execute, fetch_one
from jobs_core.connections import ServerConnection
from jobs_core.migrations import migrate, pending
from jobs_core.settings import CoreSettings
from tests.support.database import by_way_of, fresh_database
from tests.support.job_types import NOTE, Note, table
from tests.support.pgbouncer import MISSING, pgbouncer, program
from tests.support.worker import ended, until, working

SERVER_CONNECTIONS = 2
IDLE = "SELECT current_setting('idle_in_transaction_session_timeout') AS setting"

pytestmark = pytest.mark.skipif(not program(), reason=MISSING)


@pytest.fixture(scope="module")
def bouncer(server_dsn: str) -> Iterator[str]:
    """A PgBouncer with few server connections."""
    with pgbouncer(server_dsn, pool_size=SERVER_CONNECTIONS) as dsn:
        yield dsn


@pytest.fixture
def pooled_url(direct_url: str, bouncer: str) -> str:
    """The fresh database through it."""
    return by_way_of(bouncer, direct_url)


@pytest.fixture
def empty_url(server_dsn: str, bouncer: str) -> Iterator[str]:
    """A database that was never migrated, through it."""
    with fresh_database(server_dsn, template="template1") as dsn:
        yield by_way_of(bouncer, dsn)


@pytest.fixture
async def pooled(pooled_url: str) -> AsyncIterator[Database]:
    """A pool of more connections than the PgBouncer has."""
    async with Database(pooled_url, name="tests", idle_in_transaction_s=12.0) as database:
        yield database


async def complete(_: AnyJob) -> Complete:
    return Complete()


async def same_statement_on_all(dsn: str, clients: int = 4, times: int = 8) -> None:
    """More clients than server connections run one statement so often that psycopg would prepare it."""

    async def client() -> None:
        async with await db.connect(dsn, name="client") as conn:
            for n in range(times):
                async with conn.transaction():
                    await execute(conn, "SELECT %(n)s::int", {"n": n})

    await asyncio.gather(*(client() for _ in range(clients)))


async def test_a_pooler_is_noticed_and_nothing_is_prepared_there(pooled_url: str, direct_url: str) -> None:
    async with await db.connect(pooled_url, name="tests") as conn:
        assert (conn.pooled, conn.prepare_threshold) == (True, None)
    async with await db.connect(direct_url, name="tests") as conn:
        assert (conn.pooled, conn.prepare_threshold) == (False, 5)
    await same_statement_on_all(pooled_url)


async def test_prepared_statements_would_break_behind_it(pooled_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    set_up = ServerConnection.set_up

    async def set_up_as_for_a_server(conn: ServerConnection, idle_in_transaction_s: float) -> None:
        await set_up(conn, idle_in_transaction_s)
        conn.prepare_threshold = 5

    monkeypatch.setattr(ServerConnection, "set_up", set_up_as_for_a_server)
    with pytest.raises(db.psycopg.Error, match="prepared statement"):
        await same_statement_on_all(pooled_url)


async def test_each_transaction_behind_it_brings_its_bound_and_leaves_none(pooled: Database, pooled_url: str) -> None:
    async with pooled.transaction() as conn:
        await execute(conn, "SET TRANSACTION ISOLATION LEVEL SERIALIZABLE")  # refused after a query
        assert await fetch_one(conn, IDLE) == {"setting": "12s"}
        async with conn.transaction():
            assert await fetch_one(conn, IDLE) == {"setting": "12s"}
    async with await AsyncConnection.connect(pooled_url, autocommit=True) as stranger:
        for _ in range(2 * SERVER_CONNECTIONS):
            assert await fetch_one(stranger, IDLE) == {"setting": "0"}


async def test_times_come_in_utc_behind_it_and_in_their_own_zone_to_others(pooled_url: str, direct_url: str) -> None:
    zone = "SELECT current_setting('timezone') AS zone"
    async with await db.connect(direct_url, name="tests") as conn:
        await execute(conn, f"ALTER DATABASE {conn.info.dbname} SET timezone = 'Asia/Tokyo'")
    async with (
        await db.connect(pooled_url, name="tests") as ours,
        await AsyncConnection.connect(pooled_url, autocommit=True) as stranger,
    ):
        for _ in range(2 * SERVER_CONNECTIONS):
            assert await fetch_one(stranger, zone) == {"zone": "Asia/Tokyo"}
            assert await fetch_one(ours, zone) == {"zone": "UTC"}


async def test_a_process_frozen_inside_a_transaction_behind_it_lets_go(pooled_url: str) -> None:
    async with Database(pooled_url, name="frozen", idle_in_transaction_s=0.2) as frozen:
        with pytest.raises(db.Retryable):
            async with frozen.transaction() as conn:
                await asyncio.sleep(0.6)
                await execute(conn, "SELECT 1")


async def test_an_empty_database_is_migrated_through_it(empty_url: str) -> None:
    async with await db.connect(empty_url, name="tests") as conn:
        assert await migrate(conn, ROOMS)
        assert await pending(conn, ROOMS) == []


async def test_a_worker_behind_it_polls_each_second_and_says_so_once(pooled: Database) -> None:
    """Its own poll is half a minute away, and no hint comes of what others create."""
    with capture_logs() as logs:
        async with working(pooled, {NOTE: complete}, poll_s=30.0) as (_, worker), Jobs(pooled, table()) as others:
            for _ in range(2):
                job_id = (await others.create(NOTE, Note())).id
                assert (await ended(pooled, job_id)).state == "complete"
            assert worker._poll_s() == 1.0
    assert [log["event"] for log in logs if log["event"].startswith("listen")] == ["listen.off"]


async def test_with_a_way_past_it_a_worker_listens_and_keeps_its_lease_while_the_pooler_is_full(
    pooled_url: str, direct_url: str
) -> None:
    """All server connections are taken for two leases."""
    async with Database(pooled_url, name="tests", direct_dsn=direct_url) as database:
        with capture_logs() as logs:
            async with working(database, {NOTE: complete}, lease_s=4.0, renew_s=0.2) as (jobs, worker):
                await until(lambda: _is(worker._listener.listening))
                await fill(pooled_url, for_s=8.0)
                job_id = (await jobs.create(NOTE, Note())).id
                assert (await ended(database, job_id)).state == "complete"
    assert "lease.lost" not in {log["event"] for log in logs}


async def fill(dsn: str, *, for_s: float) -> None:
    async def hold() -> None:
        async with await AsyncConnection.connect(dsn) as conn:
            await conn.execute("SELECT pg_sleep(%s)", (for_s,))

    await asyncio.gather(*(hold() for _ in range(SERVER_CONNECTIONS)))


async def _is(value: object) -> object:
    return value


async def test_who_is_cancelled_twice_does_not_cut_a_cancel_request_off_at_a_pooler(
    pooled_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """PgBouncer 1.18 and 1.19 end themselves then (its issue 801), and with them everybody's connections."""
    asked, through = asyncio.Event(), asyncio.Event()
    request = AsyncConnection.cancel_safe

    async def slow_request(conn: AsyncConnection[Any], *, timeout: float) -> None:
        asked.set()
        await asyncio.sleep(0.1)
        await request(conn, timeout=timeout)
        through.set()

    monkeypatch.setattr(AsyncConnection, "cancel_safe", slow_request)
    async with await db.connect(pooled_url, name="cancelled") as conn:
        running = asyncio.create_task(conn.execute("SELECT pg_sleep(60)"))
        await asyncio.sleep(0.05)
        running.cancel()
        await asked.wait()
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
    async with asyncio.timeout(10):
        await through.wait()


def core(**urls: str) -> CoreSettings:
    return CoreSettings.model_validate({name.upper(): value for name, value in urls.items()})


async def test_what_a_pooler_costs_is_said_unless_there_is_a_way_past_it(
    pooled_url: str, direct_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for settings, is_said in (
        (core(database_url=direct_url), False),
        (core(database_url=pooled_url, database_direct_url=direct_url), False),
        (core(database_url=pooled_url), True),
    ):
        await check_way_of_workers(settings, settings.database_url)
        assert ("leads through a pooler" in capsys.readouterr().err) == is_said


async def test_a_way_past_it_that_is_none_is_refused(pooled_url: str, direct_url: str, server_dsn: str) -> None:
    refused: dict[str, Any] = {
        pooled_url: "leads through a pooler, too",
        server_dsn: "lead to different databases",
        "postgresql://user:hidden@127.0.0.1:1/db": "see that it runs and that DATABASE_DIRECT_URL is right",
    }
    for way, why in refused.items():
        with pytest.raises(DatabaseUnusable, match=why) as said:
            await check_way_of_workers(core(database_url=pooled_url, database_direct_url=way), pooled_url)
        assert "hidden" not in str(said.value)


def test_a_way_past_a_pooler_without_one_is_refused(monkeypatch: pytest.MonkeyPatch, direct_url: str) -> None:
    monkeypatch.delenv("DATABASE_URL", raising=False)
    monkeypatch.setenv("DATABASE_DIRECT_URL", direct_url)
    with pytest.raises(ConfigurationError, match="set DATABASE_URL, too, or neither"):
        CoreSettings.read()
