"""`./jobs worker` as a person runs it: a job that killed its worker goes on in a process of its own."""

import json
import os
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from jobs_core import Database, HandlerTable, Jobs
from tests.support.crashing import CRASHES_ONCE
from tests.support.processes import MARK, kill_left, left_running, until
from tests.support.worker import ended

CHECKOUT = Path(__file__).parents[2]
SETTINGS = {
    "JOBS_LEASE_S": "2",
    "JOBS_RENEW_S": "0.3",
    "JOBS_UPKEEP_S": "0.2",
    "JOBS_HANDLERS": "tests.support.crashing",
}


@contextmanager
def working(dsn: str, log: Path) -> Iterator[tuple["subprocess.Popen[bytes]", str]]:
    """A supervisor with one worker, and the mark that all its processes carry."""
    mark = uuid.uuid4().hex
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("JOBS_", "ANTHROPIC_", "CLAUDE"))}
    with log.open("wb") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", "cli", "worker", "--processes", "1"],
            cwd=CHECKOUT,
            env={**kept, **SETTINGS, "DATABASE_URL": dsn, MARK: mark},
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=file,
        )
    try:
        yield process, mark
    finally:
        process.kill()
        process.wait()
        kill_left(mark)


def ended_in_order(log: Path) -> set[int]:
    """The pids of processes that the supervisor saw end by themselves, without an error."""
    events = [json.loads(line) for line in log.read_text().splitlines() if line.startswith("{")]
    return {event["worker_pid"] for event in events if event["event"] == "worker.ended" and event.get("exit_code") == 0}


async def test_a_job_that_killed_its_worker_runs_in_a_process_of_its_own_that_leaves_nothing_behind(
    database_url: str, database: Database, tmp_path: Path
) -> None:
    table = HandlerTable()
    table.declare(CRASHES_ONCE)
    async with Jobs(database, table) as jobs:
        created = await jobs.create(CRASHES_ONCE, {})
    with working(database_url, tmp_path / "log") as (process, mark):
        view = await ended(database, created.id, within_s=60)
        assert (view.state, view.lost_count) == ("complete", 1), (tmp_path / "log").read_text()
        until(lambda: not any(left.name() == "sleep" for left in left_running(mark)), "what the job left is gone")
        until(lambda: view.result["pid"] in ended_in_order(tmp_path / "log"), "and its process has ended with it")
        process.terminate()
        assert process.wait(30) == 0
        assert not left_running(mark)
