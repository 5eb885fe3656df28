"""The commands on a database that somebody else runs: no `up`, every process by itself."""

import json
import re
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from simulator.client import SimulatorControl
from tests.support.database import run_sql, with_database
from tests.support.processes import until
from tests.support.sessions import KEY
from tests.support.up import Home

HANDLERS = """
from pydantic import BaseModel
from jobs_core import Complete, JobType

class Numbers(BaseModel):
    a: int
    b: int

class Sum(BaseModel):
    sum: int

async def add(job):
    return Complete(Sum(sum=job.input.a + job.input.b))

def register(table):
    table.register_handler(JobType("add", Numbers, Sum, queue="sums"), add)
"""


@pytest.fixture
def empty_url(server_dsn: str) -> Iterator[str]:
    """A database without any schema."""
    run_sql(server_dsn, "CREATE DATABASE jobs_cli_empty")
    yield with_database(server_dsn, "jobs_cli_empty")
    run_sql(server_dsn, "DROP DATABASE jobs_cli_empty WITH (FORCE)")


def test_an_empty_database_is_migrated_and_then_used(tmp_path: Path, empty_url: str) -> None:
    home = Home(tmp_path)
    refused = home.run("ls", DATABASE_URL=empty_url)
    assert (refused.returncode, "run ./jobs migrate" in refused.stderr) == (1, True)

    pending = home.run("migrate", "--check", "--json", DATABASE_URL=empty_url)
    rooms = [migration["room"] for migration in json.loads(pending.stdout)["pending"]]
    assert (pending.returncode, rooms[0], set(rooms)) == (
        1,
        "jobs_core",
        {"jobs_core", "schedules", "sessions", "assistant", "gateways"},
    )
    sql = home.run("migrate", "--sql", DATABASE_URL=empty_url)
    assert (sql.returncode, 'CREATE TABLE "jobs".jobs (' in sql.stdout) == (0, True)

    applied = home.run("migrate", "--json", DATABASE_URL=empty_url)
    assert [migration["room"] for migration in json.loads(applied.stdout)["applied"]] == rooms
    assert home.run("migrate", "--check", DATABASE_URL=empty_url).returncode == 0
    assert home.run("ls", "--json", DATABASE_URL=empty_url).stdout == "[]\n"


def test_handlers_from_elsewhere_run_where_they_are_named(tmp_path: Path, database_url: str) -> None:
    """A project of one's own: its folder is the current directory, its module named by JOBS_HANDLERS."""
    home = Home(tmp_path)
    home.cwd = tmp_path
    (tmp_path / "sums.py").write_text(HANDLERS)
    ours = {"DATABASE_URL": database_url, "JOBS_HANDLERS": "sums"}
    with home.start("worker", "--processes", "1", **ours) as worker:
        until(lambda: "worker.registered" in worker.log.read_text(), "the worker is there", 60)
        ran = home.run("create", "add", "--input", '{"a": 1, "b": 2}', "--wait", **ours)
        assert (ran.returncode, ran.stdout, ran.stderr) == (0, '{"sum": 3}\n', "")
        bad = home.run("create", "add", "--input", '{"a": 1, "b": "x"}', **ours)
        assert (bad.returncode, bad.stderr.startswith("jobs: input.b: ")) == (1, True)
        worker.process.send_signal(signal.SIGTERM)
        assert worker.process.wait(60) == 0


def test_web_and_worker_by_themselves_answer_chats(tmp_path: Path, database_url: str, sim: SimulatorControl) -> None:
    home = Home(tmp_path)
    shared = {"DATABASE_URL": database_url, "JOBS_TOKEN": "a token of sixteen characters or more"}
    model = {"ANTHROPIC_BASE_URL": sim.url, "ANTHROPIC_API_KEY": KEY}
    with served(home, shared) as url, home.start("worker", "--processes", "1", **shared, **model) as worker:
        reply = home.run("chat", "hello", "--json", **shared, JOBS_URL=url)
        assert json.loads(reply.stdout)["status"] == "answered"
        refused = home.run("chat", "hello", **shared | {"JOBS_TOKEN": "another token, not the right one"}, JOBS_URL=url)
        assert (refused.returncode, "token is missing or wrong" in refused.stderr) == (1, True)
        worker.process.send_signal(signal.SIGTERM)
        assert worker.process.wait(60) == 0
    assert home.left() == []


def test_a_worker_without_credentials_leaves_chats_to_others(tmp_path: Path, database_url: str) -> None:
    home = Home(tmp_path)
    with home.start("worker", "--processes", "1", "--json", DATABASE_URL=database_url) as worker:
        until(lambda: "worker.registered" in worker.log.read_text(), "the worker is there", 60)
        said, *logged = worker.log.read_text().splitlines()
    assert said.startswith("No Anthropic credentials: these workers leave agents' jobs to others.")
    [registered] = [entry for entry in map(json.loads, logged) if entry["event"] == "worker.registered"]
    assert registered["queues"] == ["default", "media", "out", "out:webhook"]


def test_a_wait_for_a_job_that_fails_exits_with_1(tmp_path: Path, database_url: str) -> None:
    """The worker here is this test: it takes the job and fails it by the queue's own rows."""
    home = Home(tmp_path)
    with home.start("create", "hello", "--input", '{"name": "Ada"}', "--wait", DATABASE_URL=database_url) as waiting:
        until(lambda: home.run("ls", "--json", DATABASE_URL=database_url).stdout != "[]\n", "the job is there", 60)
        run_sql(
            database_url,
            """WITH ended AS (DELETE FROM jobs.jobs RETURNING id, job_type, queue, priority, input, created_at)
            INSERT INTO jobs.history (id, job_type, queue, priority, state, input, error, retry_count, lost_count, created_at)
            SELECT id, job_type, queue, priority, 'failed', input, 'it was bad', 0, 0, created_at FROM ended""",
        )
        assert waiting.process.wait(60) == 1
    assert "ended as failed: it was bad" in waiting.log.read_text()


@contextmanager
def served(home: Home, environment: dict[str, str]) -> Iterator[str]:
    """The address of a `./jobs web` of its own, ended by SIGTERM."""
    with home.start("web", "--port", "0", **environment) as web:
        until(lambda: "Serving on" in web.log.read_text(), "the web API serves", 60)
        found = re.search(r"Serving on (\S+)", web.log.read_text())
        assert found
        yield found[1]
        web.process.send_signal(signal.SIGTERM)
        assert web.process.wait(60) == 0
