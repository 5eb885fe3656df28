"""`./jobs doctor` on a queue: each fault is made to happen, and is found; where nothing is wrong nothing is told."""

import asyncio
import io
import json
import os
import signal
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from assistant.arrivals import queue_of
from cli.app import main
from cli.folder import Running
from cli.rooms import ROOMS
from gateways.telegram.accounts import Key, Login, log_in, put_out_of_use
from gateways.telegram.errors import KeyRefused
from jobs_core import Connection, Database, Jobs, execute, fetch, fetch_one
from jobs_core.history import days_ahead, make_partitions
from jobs_core.lanes import hold
from jobs_core.leases import register, retire
from jobs_core.migrations import pending
from jobs_core.tasks import cancel
from jobs_core.wake import Listener
from schedules.book import pause, put
from schedules.rules import Rule
from tests.database.conftest import ClaimAll
from tests.support.doctor import Doctor
from tests.support.job_types import LANE_NOTE, NOTE
from tests.support.worker import until
from workers.guard_link import VARIABLE

pytestmark = pytest.mark.direct("it looks at sessions by what they were set to, and at those that listen")

QUEUES, TYPES = ["default"], ["note", "lane_note"]


@pytest.fixture
def doctor(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Doctor:
    """A doctor before a fresh database."""
    monkeypatch.setenv("DATABASE_URL", database_url)
    return Doctor(tmp_path)


@pytest.fixture
async def worker(conn: Connection) -> int:
    """A live worker, as far as its row says."""
    return await register(conn, queues=QUEUES, job_types=TYPES, slots=1, lease_s=600)


async def test_a_lane_that_was_stranded_is_found_and_goes_on_again(
    doctor: Doctor, jobs: Jobs, conn: Connection, claim_all: ClaimAll
) -> None:
    for text in "ab":
        await jobs.create(LANE_NOTE, {"lane": "l", "text": text})
    assert await doctor.state("lanes") == "ok"
    await execute(conn, "DELETE FROM jobs.jobs WHERE state = 'pending'")  # as a defect would: nobody is promoted
    found = await doctor.look("lanes")
    assert (found.state, found.text) == ("fail", "no job begins in these lanes, though nobody holds them: l")
    assert (await doctor.fix("lanes")).state == "ok"
    assert doctor.said == ["lanes: 1 of 1 lane going on again"]
    assert [job.input["text"] for job in await claim_all()] == ["b"]


async def test_a_lane_that_is_held_is_told_with_its_reason_and_left_alone(
    doctor: Doctor, jobs: Jobs, conn: Connection
) -> None:
    await jobs.create(LANE_NOTE, {"lane": "l"})
    await hold(conn, "l", held_by="ada", reason="she looks into it")
    found = await doctor.fix("lanes")
    assert (found.state, found.text) == ("warn", "these lanes are held: l (by ada: she looks into it)")
    assert doctor.said == []


@pytest.mark.usefixtures("worker")
async def test_jobs_that_no_worker_serves_are_counted_by_queue_and_type(doctor: Doctor, jobs: Jobs) -> None:
    await jobs.create(NOTE, {})
    await jobs.create(NOTE, {}, queue="slow")
    await jobs.create(LANE_NOTE, {"lane": "l"}, queue="slow")
    await jobs.create(NOTE, {}, queue="slow", scheduled_for=timedelta(hours=1))
    assert await doctor.state("unserved") == "ok", "they have not stood for long"
    found = await doctor.look("unserved", ready_s=0.0)
    assert found.state == "fail"
    for told in ("1 note on queue slow", "1 lane_note on queue slow (keeping 1 lane waiting)"):
        assert told in found.text


async def test_workers_that_died_froze_or_were_never_there_are_told_apart(doctor: Doctor, conn: Connection) -> None:
    assert "no worker lives" in (await doctor.look("workers")).text
    one, two, three = [await register(conn, queues=QUEUES, job_types=TYPES, slots=1, lease_s=9) for _ in range(3)]
    await retire(conn, one)
    assert (await doctor.look("workers")).text == "2 workers at work"
    await execute(conn, f"UPDATE jobs.workers SET expires_at = expires_at - interval '1 day' WHERE id = {two}")
    await execute(conn, f"UPDATE jobs.workers SET dead_at = clock_timestamp() WHERE id = {two}")
    found = await doctor.look("workers")
    assert (found.state, f"worker {two} (" in found.text, f"worker {one}" in found.text) == ("warn", True, False)
    await execute(conn, f"UPDATE jobs.workers SET expires_at = expires_at - interval '1 day' WHERE id = {three}")
    found = await doctor.look("workers")
    up_for = await fetch_one(conn, "SELECT clock_timestamp() - pg_postmaster_start_time() AS it")
    assert up_for
    if up_for["it"] > timedelta(seconds=18):  # before, everybody looks silent
        assert f"nobody takes over from worker {three}" in found.text
    else:
        assert "no worker lives" in found.text


async def test_a_worker_without_a_supervisor_is_told_where_it_runs_agents(doctor: Doctor, conn: Connection) -> None:
    """This process is one; a supervised one is a child with the variable of its supervisor."""
    await register(conn, queues=["default"], job_types=["note"], slots=1, lease_s=600)
    assert await doctor.state("guard") == "skipped"
    await register(conn, queues=["chat"], job_types=["chat_turn"], slots=1, lease_s=600)
    found = await doctor.look("guard")
    assert (found.state, found.text.split()[1]) == ("warn", str(os.getpid()))
    guarded = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", "input()"), stdin=asyncio.subprocess.PIPE, env={**os.environ, VARIABLE: "3,4"}
    )
    await execute(conn, "UPDATE jobs.workers SET pid = %(pid)s", {"pid": guarded.pid})
    assert await doctor.state("guard") == "ok"
    await guarded.communicate(b"\n")


async def test_a_supervisor_that_is_stopped_guards_nobody(doctor: Doctor, conn: Connection) -> None:
    """As after Ctrl-Z: its workers are in sessions of their own and go on."""
    under = "import subprocess as s, sys; w = s.Popen([sys.executable, '-c', 'input()']); print(w.pid, flush=True); w.wait()"
    supervisor = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", under),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, VARIABLE: "3,4"},
    )
    assert supervisor.stdout
    await register(conn, queues=["chat"], job_types=["chat_turn"], slots=1, lease_s=600)
    await execute(conn, "UPDATE jobs.workers SET pid = %(pid)s", {"pid": int(await supervisor.stdout.readline())})
    assert await doctor.state("guard") == "ok"

    async def is_told() -> bool:
        found = await doctor.look("guard")
        return found.state == "fail" and "is stopped, as by Ctrl-Z" in found.text

    supervisor.send_signal(signal.SIGSTOP)
    try:
        await until(is_told)
    finally:
        supervisor.send_signal(signal.SIGCONT)
        await supervisor.communicate(b"\n")


async def test_a_worker_whose_listening_session_was_ended_is_missed(
    doctor: Doctor, database: Database, conn: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jobs_core.wake._RECONNECT_S", 600.0)
    assert await doctor.state("listeners") == "skipped"
    for slots in (10, 1):  # the second runs a job alone
        await register(conn, queues=QUEUES, job_types=TYPES, slots=slots, lease_s=600)

    async def state(wanted: str) -> bool:
        return await doctor.state("listeners") == wanted

    async with Database(database.dsn, name="jobs worker") as own:
        listening = asyncio.create_task(Listener(own, lambda _: None).run())
        await until(lambda: state("ok"))
        await execute(conn, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name ~ 'listen$'")
        await until(lambda: state("warn"))
        await cancel([listening])


async def test_workers_that_were_asked_for_by_scale_want_connections_too(doctor: Doctor) -> None:
    folder = doctor.place().folder
    assert " 39 may be wanted" in (await doctor.look("connections")).text
    with folder.taken():
        folder.announce(Running("http://127.0.0.1:1", os.getpid(), "simulator"), {})
        folder.scale(25)
        assert " 269 may be wanted" in (await doctor.look("connections")).text
    assert " 39 may be wanted" in (await doctor.look("connections")).text, "it runs no more"


async def test_history_without_a_partition_for_tomorrow_is_found_and_mended(doctor: Doctor, conn: Connection) -> None:
    assert (await doctor.look("upkeep")).text == "history has no partition for today"
    await make_partitions(conn)
    assert await doctor.state("upkeep") == "ok"
    days = await fetch(
        conn, "SELECT relname FROM pg_class WHERE relkind = 'r' AND relname ~ '^history_short_2' ORDER BY 1"
    )
    await conn.execute(
        f"DROP TABLE jobs.{days[-1]['relname']}, jobs.{days[-2]['relname']}, jobs.{days[-3]['relname']}".encode()
    )
    assert await doctor.state("upkeep") == "warn"
    await conn.execute(f"DROP TABLE jobs.{days[1]['relname']}".encode())
    assert "tomorrow" in (await doctor.look("upkeep")).text
    assert (await doctor.fix("upkeep")).state == "ok"
    assert doctor.said == ["upkeep: made 4 partitions"]
    assert await days_ahead(conn) == 7


async def test_a_job_that_is_due_and_that_nobody_makes_ready_is_found(
    doctor: Doctor, jobs: Jobs, conn: Connection
) -> None:
    await make_partitions(conn)
    await jobs.create(NOTE, {}, scheduled_for=timedelta(hours=1))
    assert await doctor.state("upkeep") == "ok"
    await execute(conn, "UPDATE jobs.jobs SET scheduled_for = now() - interval '30 s'")
    assert await doctor.state("upkeep") == "ok", "upkeep has that long"
    await execute(conn, "UPDATE jobs.jobs SET scheduled_for = now() - interval '90 s'")
    found = await doctor.look("upkeep")
    assert (found.state, found.text.startswith("nobody makes jobs ready that are due: one is so for 9")) == (
        "fail",
        True,
    )


async def test_a_tick_that_is_due_and_that_nobody_sees_to_is_found(
    doctor: Doctor, jobs: Jobs, conn: Connection
) -> None:
    assert await doctor.state("schedules") == "skipped"
    for name in "ab":
        rule = Rule(every_s=3600)
        await put(conn, jobs.table, name=name, job_type=NOTE.name, input={}, rule=rule, source="cli")
    assert await doctor.state("schedules") == "ok"
    await execute(conn, "UPDATE jobs.schedules SET next_at = now() - interval '30 s' WHERE name = 'a'")
    assert await doctor.state("schedules") == "ok", "an evaluator has that long"
    await execute(conn, "UPDATE jobs.schedules SET next_at = now() - interval '90 s' WHERE name = 'a'")
    found = await doctor.look("schedules")
    assert (found.state, "of job type note (9" in found.text) == ("fail", True)
    await pause(conn, "a", why="she looks into it")
    assert await doctor.state("schedules") == "ok", "it is paused"


async def test_a_schema_that_lacks_a_migration_is_migrated_and_one_that_is_newer_is_not(
    doctor: Doctor, conn: Connection
) -> None:
    await execute(conn, "DROP VIEW jobs.limit_members")
    await execute(conn, "DELETE FROM jobs.migrations WHERE room = 'jobs_core' AND number = 13")
    assert "the schema lacks 1 migration, first jobs_core 0013" in (await doctor.look("schema")).text
    assert (await doctor.fix("schema")).state == "ok"
    assert await pending(conn, ROOMS) == []
    await execute(conn, "INSERT INTO jobs.migrations (room, number, name) VALUES ('gateways', 9999, 'later')")
    found = await doctor.fix("schema")
    assert (found.state, found.todo) == ("fail", "update the program, or name another database")
    assert "newer than this code (gateways 9999" in found.text
    assert doctor.said == ["schema: applied 1 migration"]


async def test_a_session_that_keeps_a_snapshot_is_ended_only_at_a_persons_word(
    doctor: Doctor, database: Database
) -> None:
    assert await doctor.state("snapshots", transaction_s=0.0) == "ok"
    other = await database.connect("other")
    await execute(other, "BEGIN ISOLATION LEVEL REPEATABLE READ")
    await execute(other, "SELECT FROM jobs.jobs")
    assert await doctor.state("snapshots") == "ok", "it has not been open for long"
    found = await doctor.fix("snapshots", transaction_s=0.0)
    assert (found.state, f"session {other.info.backend_pid} (tests other, " in found.text) == ("warn", True)
    assert "left alone" in doctor.said[0]
    assert (await doctor.fix("snapshots", transaction_s=0.0, word=True)).state == "ok"
    assert doctor.said[1].startswith("snapshots: ended 1 of 1 session")
    await other.close()


async def test_a_table_that_vacuum_leaves_behind_is_named(doctor: Doctor, conn: Connection) -> None:
    assert await doctor.state("autovacuum") == "ok"
    await execute(conn, "INSERT INTO jobs.lanes (lane) SELECT 'l' || n FROM generate_series(1, 3000) AS n")
    await execute(conn, "UPDATE jobs.lanes SET next_pos = 2")
    await execute(conn, "SELECT pg_stat_force_next_flush()")
    found = await doctor.look("autovacuum", dead_rows=1000)
    assert (found.state, found.text) == ("warn", "vacuum is behind, dead rows pile up in lanes (3,000)")
    await execute(conn, "ALTER TABLE jobs.lanes SET (autovacuum_enabled = off)")
    assert (await doctor.look("autovacuum")).text == "autovacuum is switched off for lanes"


async def test_an_account_at_telegram_that_is_refused_unheld_or_not_connected_is_told(
    doctor: Doctor, conn: Connection
) -> None:
    assert await doctor.state("telegram") == "skipped"
    key = Key(2, "127.0.0.1", 1, b"key")
    await log_in(conn, "bot", Login("bot", 7, "a_bot", 1, "hash", None, key))
    assert (await doctor.look("telegram")).text == "no process holds bot: what people write there waits"
    await execute(conn, "UPDATE jobs.telegram_accounts SET holder = 'host:1', lease_until = 'infinity'")
    found = await doctor.look("telegram")
    assert (found.state, found.text) == ("warn", "host:1 holds bot, and is not connected to Telegram")
    await register(conn, queues=[queue_of("bot")], job_types=[], slots=1, lease_s=600)
    assert await doctor.state("telegram") == "ok"
    await put_out_of_use(conn, "bot", 1, KeyRefused("burnt", "AUTH_KEY_DUPLICATED"))
    assert (await doctor.look("telegram")).todo == "./jobs telegram login --account bot"


async def test_a_role_with_too_few_rights_is_told_what_it_lacks(
    doctor: Doctor, database_url: str, conn: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    role = f"clerk_{os.getpid()}"
    await conn.execute(f"CREATE ROLE {role} LOGIN PASSWORD 'secret word'".encode())
    try:
        monkeypatch.setenv("DATABASE_URL", _as(database_url, role, "secret%20word"))
        found = await doctor.look("privileges")
        assert (found.state, found.text.startswith("this role lacks SELECT and INSERT")) == ("fail", True)
        await conn.execute(f"GRANT ALL ON SCHEMA jobs TO {role}".encode())
        for kind in ("TABLES", "SEQUENCES"):
            await conn.execute(f"GRANT ALL ON ALL {kind} IN SCHEMA jobs TO {role}".encode())
        assert "ownership on attempts" in (await doctor.look("privileges")).text
        assert "secret" not in str(await doctor.look("schema"))
    finally:
        await conn.execute(f"DROP OWNED BY {role}".encode())
        await conn.execute(f"DROP ROLE {role}".encode())


def _as(url: str, user: str, password: str) -> str:
    from urllib.parse import urlsplit

    place = urlsplit(url)
    return place._replace(netloc=f"{user}:{password}@{place.hostname}:{place.port}").geturl()


def test_the_command_tells_each_finding_to_people_and_to_programs_and_ends_with_1_where_one_fails(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DATABASE_URL", database_url)
    monkeypatch.setenv("JOBS_DATA", str(tmp_path))

    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr("sys.argv", ["jobs", "doctor", *arguments])
        monkeypatch.setattr("sys.stdin", io.StringIO())
        status = main()
        said = capsys.readouterr()
        return status, said.out, said.err

    status, out, _ = run("--only", "workers", "--only", "lanes", "--json")
    told = json.loads(out)
    assert (status, told["state"]) == (1, "fail")
    assert [(one["name"], one["state"], one["fixable"]) for one in told["checks"]] == [
        ("workers", "fail", False),
        ("lanes", "ok", False),
    ]
    status, out, _ = run("--only", "workers")
    assert (status, out.splitlines()[0]) == (1, "FAIL workers      no worker lives: no job is run")
    assert out.splitlines()[1].strip() == "▸ start workers: ./jobs up, or ./jobs worker"
    status, _, err = run("--only", "nope")
    assert (status, "'nope' is no check; they are settings, cli, " in err) == (2, True)
    assert run("--yes")[0] == 2

    monkeypatch.setenv("DATABASE_URL", database_url.replace(":", "!", 1))
    status, out, err = run("--only", "postgres", "--only", "lanes")
    assert (status, out.splitlines()[0]) == (1, "FAIL postgres     DATABASE_URL is not a Postgres URL"), out
    assert out.splitlines()[-1] == "-    lanes        schema is not ok"
