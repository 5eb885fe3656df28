"""A worker while Postgres, or the way to it, fails: it lives on under its id, and loses and repeats nothing."""

import asyncio
import threading
from datetime import timedelta
from typing import Any

import pytest
from structlog.testing import capture_logs

import workers.claims
from jobs_core import AnyJob, Complete, Connection, Database, Jobs, db, execute, fetch, fetch_one
from jobs_core.claim import claim
from jobs_core.leases import register
from jobs_core.settings import CoreSettings
from jobs_core.wake import Notifier
from tests.support.database import run_sql
from tests.support.job_types import LANE_NOTE, NOTE, Note, table
from tests.support.proxy import proxied
from tests.support.worker import ended, until, view_of, working
from workers.lease import DEADLINE_SHARE, Lease
from workers.process_tree import boottime_s
from workers.settings import WorkerSettings
from workers.worker import open_database

LONG_LEASE_S = 60.0
"""What goes well under it did not need the lease to run out."""


async def complete(_: AnyJob) -> Complete:
    return Complete()


async def count(database: Database, sql: Any) -> int:
    async with database.connection() as conn:
        row = await fetch_one(conn, f"SELECT count(*) AS n FROM {sql}")
    assert row is not None
    return int(row["n"])


async def test_a_claim_whose_answer_is_lost_strands_no_job(database: Database, database_url: str) -> None:
    async with Jobs(database, table()) as creator, proxied(database_url) as proxy:
        created = await creator.create(NOTE, Note())
        proxy.lose_answer_to = b"SET state = 'claimed'"
        async with (
            Database(proxy.dsn, name="proxied") as pool,
            working(pool, {NOTE: complete}, lease_s=LONG_LEASE_S),
        ):
            view = await ended(database, created.id)
    assert proxy.lost == 1
    assert (view.state, view.token, view.lost_count) == ("complete", 2, 0)
    assert await count(database, "jobs.workers") == 1


async def test_what_a_claim_took_that_a_drain_cut_off_is_put_back_at_once(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not only when the drain, which another run holds up, has ended."""
    started, go_on, taken = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def claim_and_say_nothing(conn: Connection, **values: Any) -> list[AnyJob]:
        jobs = await claim(conn, **values)
        if started.is_set() and jobs:
            taken.set()
            await asyncio.Event().wait()
        return jobs

    async def wait(_: AnyJob) -> None:
        started.set()
        await go_on.wait()

    monkeypatch.setattr(workers.claims, "claim", claim_and_say_nothing)
    async with working(database, {NOTE: wait}, lease_s=LONG_LEASE_S, drain_s=600) as (jobs, worker):
        running = await jobs.create(NOTE, Note())
        await started.wait()
        cut_off = await jobs.create(NOTE, Note())
        await taken.wait()
        assert (await view_of(database, cut_off.id)).state == "claimed"
        worker.drain()

        async def put_back() -> bool:
            return (await view_of(database, cut_off.id)).state == "pending"

        await until(put_back)
        assert (await view_of(database, running.id)).state == "running"
        go_on.set()
    view = await view_of(database, cut_off.id)
    assert (view.state, view.retry_count, view.lost_count) == ("pending", 0, 0)


async def make_read_only(database: Database, server_dsn: str, setting: str) -> None:
    """As in a failover: from now on all transactions are read-only (on), or not (off), and everybody is cut off once."""
    name = database.dsn.rpartition("/")[2]
    await asyncio.to_thread(
        run_sql,
        server_dsn,
        f"ALTER DATABASE {name} SET default_transaction_read_only = {setting}",
        f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'",
    )


@pytest.mark.direct("needs LISTEN")
async def test_a_database_that_is_read_only_for_a_while_costs_nothing(
    database: Database, database_url: str, server_dsn: str
) -> None:
    started, go_on = asyncio.Event(), asyncio.Event()

    async def wait_for_first(job: AnyJob) -> Complete:
        if job.input.text == "first":
            started.set()
            await go_on.wait()
        return Complete({"token": job.token})

    async with Database(database_url, name="looks") as looks:

        async def listens() -> int:
            idle = "state = 'idle' AND query LIKE 'LISTEN%' AND datname = current_database()"
            return await count(looks, f"pg_stat_activity WHERE {idle}")

        with capture_logs() as logs:

            async def all_met_it() -> bool:
                refused = {log["event"] for log in logs if "25006" in log.get("error", "")}
                return refused >= {"lease.not_renewed", "upkeep.failed", "database.away"}

            async with working(database, {NOTE: wait_for_first}, lease_s=30.0) as (jobs, _):
                first = await jobs.create(NOTE, Note(text="first"))
                await started.wait()
                due = await jobs.create(NOTE, Note(), scheduled_for=timedelta(seconds=0.3))
                await make_read_only(database, server_dsn, "on")
                go_on.set()
                await until(all_met_it)
                await make_read_only(database, server_dsn, "off")
                view = await ended(looks, first.id)
                assert (view.state, view.retry_count, view.result) == ("complete", 0, {"token": view.token})
                assert (await ended(looks, due.id)).retry_count == 0
                await until(listens)
                woken = await jobs.create(NOTE, Note())  # the poll is 30 s away
                assert (await ended(looks, woken.id)).state == "complete"
        assert await count(looks, "jobs.workers") == 1
    assert "lease.lost" not in {log["event"] for log in logs}


async def test_a_lease_whose_connection_stalls_is_lost_at_its_deadline(database: Database, database_url: str) -> None:
    """A cancelled statement on a connection that stalls comes back only 10 s later."""
    settings = WorkerSettings.read(lease_s=1.0, renew_s=0.1)
    lost_at_s = list[float]()
    lost = threading.Event()
    async with proxied(database_url) as proxy, database.connection() as conn:
        sent_at = boottime_s()
        worker_id = await register(conn, queues=[], job_types=[], slots=1, lease_s=settings.lease_s)

        def on_lost() -> None:
            lost_at_s.append(boottime_s())
            lease.stop()
            lost.set()

        pool = Database(proxy.dsn, name="tests")
        lease = Lease(pool, worker_id, settings, sent_at=sent_at, on_lost=on_lost, link=None)
        lease.start()

        async def renewed() -> object:
            return await fetch_one(
                conn, "SELECT id FROM jobs.workers WHERE expires_at > started_at + interval '1.05 s'"
            )

        await until(renewed)
        stalled_at_s = boottime_s()
        proxy.stalled = True
        assert await asyncio.to_thread(lost.wait, 15)
    (at_s,) = lost_at_s
    assert at_s - stalled_at_s < 3 * DEADLINE_SHARE * settings.lease_s


async def test_a_worker_that_starts_while_postgres_is_away_registers_once(
    database: Database, database_url: str
) -> None:
    """Its lease counts from when it was asked for, not from when the asking began."""
    async with Jobs(database, table()) as creator, proxied(database_url) as proxy:
        created = await creator.create(NOTE, Note())
        proxy.refusing = True
        began_s = boottime_s()
        with capture_logs() as logs:
            async with (
                Database(proxy.dsn, name="proxied") as pool,
                working(pool, {NOTE: complete}, lease_s=1.0, renew_s=0.1),
            ):

                async def away_for_a_lease() -> bool:
                    return proxy.refused > 0 and boottime_s() > began_s + 1

                await until(away_for_a_lease)
                proxy.refusing = False
                await ended(database, created.id)
    assert "lease.lost" not in {log["event"] for log in logs}
    assert await count(database, "jobs.workers") == 1


async def test_a_worker_frozen_inside_a_transaction_holds_its_rows_no_longer_than_its_lease(
    database: Database, database_url: str
) -> None:
    settings = WorkerSettings.read(lease_s=0.6, renew_s=0.1)
    core = CoreSettings.model_validate({"DATABASE_URL": database_url})
    async with open_database(core, settings) as workers_pool, Jobs(database, table()) as jobs:
        await jobs.create(NOTE, Note())
        with pytest.raises(db.Retryable):
            async with workers_pool.transaction() as frozen:
                await execute(frozen, "UPDATE jobs.jobs SET priority = 4")
                async with database.transaction() as conn:
                    await execute(conn, "SET LOCAL lock_timeout = '1800ms'")  # thrice the lease
                    assert await fetch(conn, "SELECT priority FROM jobs.jobs FOR UPDATE") == [{"priority": 2}]
                await execute(frozen, "SELECT 1")


async def test_an_outage_longer_than_the_lease_makes_nobody_a_suspect(database: Database, database_url: str) -> None:
    """Its worker stopped the run itself and lives: nothing died, and the next run need not be alone."""
    started = asyncio.Event()

    async def wait_at_first(job: AnyJob) -> Complete:
        if not job.lost_count:
            started.set()
            await asyncio.sleep(600)
        return Complete({"token": job.token})

    async with (
        proxied(database_url) as proxy,
        Database(proxy.dsn, name="proxied") as pool,
        working(pool, {NOTE: wait_at_first}, lease_s=1.0, renew_s=0.1),
    ):
        async with Jobs(database, table()) as creator:
            created = await creator.create(NOTE, Note())
        await started.wait()
        proxy.refusing = True
        proxy.cut()
        with capture_logs() as logs:

            async def lost() -> bool:
                return "lease.lost" in {log["event"] for log in logs}

            await until(lost)
        proxy.refusing = False
        view = await ended(database, created.id)
    assert (view.state, view.lost_count) == ("complete", 1)
    assert await count(database, "jobs.attempts WHERE reason = 'lost' AND NOT alone") == 1


async def test_a_jammed_notify_slows_no_lane_of_a_workers_own(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who ends a lane's head wakes itself, without Postgres; the poll is 30 s away."""
    monkeypatch.setattr(Notifier, "_send", _send_nothing)

    async def handle(_: AnyJob) -> Complete:
        return Complete()

    async with working(database, {LANE_NOTE: handle}) as (jobs, _):
        created = [await jobs.create(LANE_NOTE, Note(lane="a")) for _ in range(20)]
        await ended(database, created[-1].id)


async def _send_nothing(notifier: Notifier) -> None:
    notifier._something.clear()
