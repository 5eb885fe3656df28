"""`./jobs up` as a newcomer meets it: the real CLI before the simulator, real Postgres, and nothing left afterwards."""

import asyncio
import json
import os
import select
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

import schedules
from cli.folder import Folder
from cli.table import build_table
from jobs_core import db
from schedules import Rule
from tests.support.database import rows_of, run_sql
from tests.support.processes import until
from tests.support.up import Home, Started


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    return Home(tmp_path_factory.mktemp("up"))


@pytest.fixture(scope="module")
def running(home: Home) -> Iterator[Started]:
    with home.up() as up:
        yield up


@contextmanager
def on_terminal(home: Home, *command: str) -> Iterator[tuple[subprocess.Popen[bytes], Callable[[str], str]]]:
    """A command on a terminal of its own, and what reads all that it shows up to a text."""
    ours, its = os.openpty()
    environment = {**home._environment, "TERM": "dumb"}
    started = [*home._command, *command]
    with subprocess.Popen(
        started, stdin=its, stdout=its, stderr=its, env=environment, cwd="/", start_new_session=True
    ) as process:
        os.close(its)

        def read(wanted: str) -> str:
            shown = ""
            while wanted not in shown:
                assert select.select([ours], [], [], 60)[0], f"{wanted} is not shown: {shown}"
                shown += os.read(ours, 4096).decode()
            return shown

        try:
            yield process, read
        finally:
            process.kill()
            os.close(ours)


def test_a_message_is_answered_and_a_second_one_goes_on_with_the_session(home: Home, running: Started) -> None:
    assert running.model == "simulator"
    first = home.json("chat", "I like tea")
    assert first["status"] == "answered"
    second = home.run("chat", "What did I say first?", "--session", first["session_id"])
    assert second.returncode == 0, second.stderr
    assert "I like tea" in second.stdout
    assert f"session {first['session_id']}" in second.stderr


def test_a_message_that_looks_like_an_option_or_a_file_is_a_message(home: Home, running: Started) -> None:
    for text in ("--help", "@/etc/passwd", "/clear"):
        assert text in home.json("chat", "--", text)["response"]


def test_a_chat_that_does_not_exist_is_told_in_one_line(home: Home, running: Started) -> None:
    ran = home.run("chat", "hello", "--session", "web_nope")
    assert (ran.returncode, ran.stdout, ran.stderr.count("\n")) == (1, "", 1)
    assert "There is no web chat 'web_nope'" in ran.stderr


def test_a_wait_that_is_over_says_how_to_ask_later(home: Home, running: Started) -> None:
    """The server waits at most a minute; a client that waits less still has the message in the queue."""
    with httpx.Client(base_url=running.url, headers=token(home)) as client, pytest.raises(httpx.ReadTimeout):
        client.post("/api/chat", json={"session_id": None, "message": "[[stall 2s]] [[text late]]"}, timeout=0.5)
    [job] = home.json("ls", "--type", "chat_turn", "--limit", "1")
    until(lambda: home.json("show", str(job["id"]))["state"] == "complete", "the turn ends by itself", 60)


def test_on_a_terminal_text_comes_before_the_answer_and_ctrl_c_stops_the_waiting_only(
    home: Home, running: Started
) -> None:
    with on_terminal(home, "chat", "[[text Half an]] [[stall]]") as (chat, read):
        assert "Half an" in read("Half an")
        os.killpg(chat.pid, signal.SIGINT)
        assert "the message is safe" in read("tells how it goes")
        assert chat.wait(30) == 130
    [job] = home.json("ls", "--type", "chat_turn", "--limit", "1")
    assert job["state"] == "running"
    assert home.run("cancel", str(job["id"])).returncode == 0
    with on_terminal(home, "chat", "[[text The whole answer.]]") as (chat, read):
        assert read("session web_").count("The whole answer.") == 1
        assert chat.wait(30) == 0


def test_a_schedule_made_through_the_chat_runs_and_reports(home: Home, running: Started) -> None:
    """The owner asks, approves the call, and is told what came of it; time is moved in rows, to after the next tick."""
    with httpx.Client(base_url=running.url, headers=token(home), timeout=60) as client:
        asked = "every weekday at nine, tell me what is open"
        said = client.post("/api/chat", params={"wait_s": 0}, json={"session_id": None, "message": asked}).json()
        until(lambda: client.get("/api/approvals").json()["approvals"], "the call waits for approval", 60)
        (action,) = client.get("/api/approvals").json()["approvals"]
        assert action["tool"] == "mcp__jobs__create_schedule"
        decision = {"decision": "approve", "digest": action["digest"]}
        assert client.post(f"/api/approvals/{action['id']}/decision", json=decision).status_code == 200
        until(lambda: client.get("/api/schedules").json()["schedules"], "the schedule is made", 60)
        (made,) = client.get("/api/schedules").json()["schedules"]
        assert (made["rule"]["cron"], made["source"]) == ("0 9 * * mon-fri", "agent:assistant")
        run_sql(
            json.loads((home.folder / "data" / "joins").read_text())["DATABASE_URL"],
            "UPDATE jobs.schedules SET seen_until = now() - interval '8 days', next_at = now()",
        )

        def ended() -> list[dict[str, Any]]:
            return [one for one in client.get("/api/schedule-results").json()["results"] if one["ended_at"]]

        until(ended, "the tick's turn has ended", 60)
        (result,) = ended()
        assert (result["status"], result["due_at"][11:]) == ("complete", "09:00:00Z")
        assert "tell me what is open" in result["result_content"]
        told = client.get("/api/notifications").json()["notifications"][0]
        assert (told["title"], told["body"]) == ("Schedule weekday-0900 is done", result["result_content"])
        answer = client.get(f"/api/chat/{said['session_id']}/messages").json()["messages"][-1]["content"]
        assert "Schedule weekday-0900 was made. Next: " in answer


def test_another_shell_asks_for_more_workers_and_for_fewer(home: Home, running: Started) -> None:
    for n in (3, 2):
        asked = home.run("scale", str(n))
        assert (asked.returncode, asked.stderr) == (0, "")
        health = f"{running.url}/health"
        until(lambda: httpx.get(health).json()["workers"] == n, f"{n} workers", 60)  # noqa: B023 - called here
    assert home.run("scale", "0").returncode == 2


def test_health_and_metrics_need_no_token_and_the_rest_does(home: Home, running: Started) -> None:
    with httpx.Client(base_url=running.url) as client:
        health = client.get("/health")
        assert (health.status_code, health.json()["status"], health.json()["workers"]) == (200, "ready", 2)
        assert "jobs_workers 2.0" in client.get("/metrics").text
        assert client.get("/api/jobs").status_code == 401
        assert client.get("/api/jobs", headers=token(home)).status_code == 200
        assert client.get("/api/jobs", headers={**token(home), "Origin": "http://evil.example"}).status_code == 403


def test_a_check_up_of_all_that_is_well_tells_nothing(home: Home, running: Started) -> None:
    ran = home.run("doctor", "--json")
    told = json.loads(ran.stdout)
    assert (ran.returncode, told["state"]) == (0, "ok"), told
    skipped = {one["name"] for one in told["checks"] if one["state"] == "skipped"}
    assert skipped - {"schedules"} == {"credentials", "voice", "telegram"}  # another test here makes a schedule


def test_metrics_count_what_the_worker_processes_did(home: Home, running: Started) -> None:
    home.json("create", "hello", "--input", '{"name": "Ada"}', "--wait")
    counted = 'jobs_ended_total{job_type="hello",state="complete"}'
    until(lambda: counted in httpx.get(f"{running.url}/metrics").text, "the worker's counter is shown")


def token(home: Home) -> dict[str, str]:
    return {"Authorization": f"Bearer {home.run('token').stdout.strip()}"}


def test_a_job_is_created_run_and_shown(home: Home, running: Started) -> None:
    ran = home.run("create", "hello", "--input", "-", "--wait", stdin='{"name": "Ada"}')
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, '{"text": "Hello, Ada!"}\n', "")
    ended = home.json("ls", "--type", "hello", "--state", "complete", "--limit", "1")
    shown = home.run("show", str(ended[0]["id"]))
    assert "Hello, Ada!" in shown.stdout


def test_a_job_for_later_waits_and_a_queue_that_nobody_serves_is_warned_of(home: Home, running: Started) -> None:
    ran = home.run("create", "hello", "--input", '{"name": "Ada"}', "--in", "1h", "--queue", "nobodys", "--json")
    assert "no live worker serves hello on queue nobodys" in ran.stderr
    job = home.json("show", str(json.loads(ran.stdout)["id"]))
    assert (job["state"], job["queue"]) == ("pending", "nobodys")
    assert job["scheduled_for"] > job["created_at"]


def test_a_schedule_that_is_due_runs(home: Home, running: Started) -> None:
    dsn = Folder(home.folder / "data").joins()["DATABASE_URL"]

    async def put() -> None:
        async with await db.connect(dsn, name="tests") as conn:
            given = {"name": "soon", "job_type": "hello", "input": {"name": "Tick"}, "source": "cli"}
            await schedules.put(conn, build_table(), rule=Rule(at=datetime.now(UTC) + timedelta(seconds=2)), **given)

    asyncio.run(put())
    greeted = """SELECT FROM jobs.history WHERE result ->> 'text' = 'Hello, Tick!'"""
    until(lambda: rows_of(dsn, greeted), "the tick's job has run", 60)


def test_a_worker_started_beside_it_joins_and_serves_chats_too(home: Home, running: Started) -> None:
    with home.start("worker", "--processes", "1", "--queue", "beside", "--slots", "3") as worker:
        health = f"{running.url}/health"
        until(lambda: httpx.get(health).json()["workers"] == 3, "it joined", 30)
        workers = httpx.get(f"{running.url}/api/workers", headers=token(home)).json()["workers"]
        [joined] = [worker for worker in workers if worker["queues"] == ["beside"]]
        assert (joined["slots"], joined["job_types"]) == (
            3,
            ["chat_turn", "deliver", "hello", "report_end", "scheduled_turn", "tell", "transcribe"],
        )
        job = home.json("create", "hello", "--input", '{"name": "Bo"}', "--queue", "beside", "--wait")
        assert job["worker_id"] == joined["id"]
        os.kill(worker.process.pid, signal.SIGTERM)
        assert worker.process.wait(60) == 0


def test_a_second_up_in_the_folder_says_who_has_it(home: Home, running: Started) -> None:
    ran = home.run("up", "--port", "0")
    assert (ran.returncode, ran.stdout, ran.stderr.count("\n")) == (1, "", 1)
    assert f"is in use by process {running.process.pid} at {running.url}" in ran.stderr


def test_a_second_up_on_the_port_says_so(home: Home, running: Started, tmp_path: Path) -> None:
    ran = home.run("up", "--port", running.url.rsplit(":", 1)[1], "--data", str(tmp_path / "other"))
    assert (ran.returncode, ran.stdout, ran.stderr.count("\n")) == (1, "", 1)
    assert "cannot be had (Address already in use): stop what uses it, or give another --port" in ran.stderr


@pytest.mark.parametrize("arguments", [["worker"], ["web"], ["migrate"]])
def test_a_schema_newer_than_the_code_is_refused_by_all(home: Home, database_url: str, arguments: list[str]) -> None:
    from tests.support.database import run_sql

    run_sql(database_url, "INSERT INTO jobs.migrations (room, number, name) VALUES ('jobs_core', 9999, 'later')")
    for command in (arguments, ["up", "--port", "0", "--data", str(home.folder / "newer")]):
        ran = home.run(*command, DATABASE_URL=database_url)
        assert ran.returncode == 1
        assert "schema is newer than this code (jobs_core 9999 is not known here)" in ran.stderr.splitlines()[-1]
        assert "Traceback" not in ran.stderr


def test_ctrl_c_ends_everything_and_the_next_start_is_quick(tmp_path: Path) -> None:
    home = Home(tmp_path)
    with home.up() as up:
        session = home.json("chat", "I like tea")["session_id"]
        assert up.stop() == 0
        assert home.left() == []
    assert not (tmp_path / "data" / "up.json").exists()
    with home.up() as up:
        assert "I like tea" in home.json("chat", "What did I say first?", "--session", session)["response"]
        os.kill(up.process.pid, signal.SIGTERM)
        assert up.process.wait(90) == 0
        assert home.left() == []


def test_a_second_ctrl_c_does_not_wait_for_what_runs(tmp_path: Path) -> None:
    """The first one gives it half a minute and more; its job goes back at no cost."""
    home = Home(tmp_path)
    with home.up() as up:
        asking = home.start("chat", "[[stall]]")
        until(lambda: any("claude" in " ".join(process.cmdline()) for process in home.left()), "the CLI runs", 30)
        [job] = home.json("ls")
        up.interrupt()
        until(lambda: "worker.draining" in up.log.read_text(), "the workers drain", 30)
        up.interrupt()
        assert up.process.wait(20) == 0
        asking.process.wait(30)
        assert home.left() == []
    with home.up():
        left = home.json("show", str(job["id"]))
        assert (left["state"] in {"pending", "claimed", "running"}, left["retry_count"], left["lost_count"]) == (
            True,
            0,
            0,
        )


def test_ctrl_c_while_it_starts_leaves_nothing(tmp_path: Path) -> None:
    home = Home(tmp_path)
    with home.start("up", "--port", "0", "--json") as up:
        until(lambda: "Making a database" in up.log.read_text(), "Postgres is being made", 60)
        assert up.stop() == 0
    assert home.left() == []
    with home.up():
        assert home.json("create", "hello", "--input", '{"name": "Ada"}', "--wait")["state"] == "complete"


def test_it_runs_on_a_database_that_is_there_already(tmp_path: Path, database_url: str) -> None:
    home = Home(tmp_path)
    with home.up(DATABASE_URL=database_url) as up:
        assert "cli.postgres_keeper" not in up.children()
        job = home.json("create", "hello", "--input", '{"name": "Ada"}', "--wait")
        assert up.stop() == 0
    assert home.left() == []
    assert not (tmp_path / "data" / "postgres").exists()
    shown = json.loads(home.run("show", str(job["id"]), "--json", DATABASE_URL=database_url).stdout)
    assert shown == {**job, "attempts": [], "progress": None, "log": []}
