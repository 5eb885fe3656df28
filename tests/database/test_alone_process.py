"""What starts alone runners where no supervisor does. A whole program with one: tests/process/test_library.py."""

import asyncio
import sys
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest
from structlog.testing import capture_logs

import workers.alone_process
from jobs_core import Database, Jobs
from tests.database.test_testing_help import echo, handling
from tests.support.job_types import NOTE
from workers.alone_process import AloneProcess
from workers.testing import hold, pass_time

IGNORES_SIGTERM = """
import pathlib, signal, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
pathlib.Path(sys.argv[1]).touch()
time.sleep(600)
"""


@pytest.fixture
async def jobs(database: Database) -> AsyncIterator[Jobs]:
    async with handling(database, {NOTE: echo}) as creator:
        yield creator


async def leave_a_suspect(jobs: Jobs) -> None:
    await hold(jobs, NOTE, {})
    await pass_time(jobs, timedelta(seconds=15))


def starting(jobs: Jobs, *command: str) -> AloneProcess:
    return AloneProcess(jobs, command, queues=["default"], drain_s=0.0)


async def test_nothing_is_started_where_nothing_waits_to_run_alone(jobs: Jobs, tmp_path: Path) -> None:
    touch = starting(jobs, sys.executable, "-c", "import sys; open(sys.argv[1], 'w')", str(tmp_path / "started"))
    await jobs.create(NOTE, {})
    await touch.run_once()
    assert not (tmp_path / "started").exists()
    await leave_a_suspect(jobs)
    await touch.run_once()
    assert (tmp_path / "started").exists()


async def test_a_process_that_will_not_end_is_killed(
    jobs: Jobs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workers.alone_process, "_KILL_AFTER_S", 0.1)
    await leave_a_suspect(jobs)
    stubborn = starting(jobs, sys.executable, "-c", IGNORES_SIGTERM, str(tmp_path / "started"))
    await stubborn.start()
    async with asyncio.timeout(30):
        while not (tmp_path / "started").exists():
            await asyncio.sleep(0.01)
    with capture_logs() as logs:
        await stubborn.stop()
    assert [log["event"] for log in logs] == ["alone.killed"]
    assert stubborn._process
    assert stubborn._process.returncode == -9


async def test_a_command_that_cannot_run_is_told_and_tried_again(jobs: Jobs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers.alone_process, "_AFTER_FAILURE_S", 0.01)
    await leave_a_suspect(jobs)
    missing = starting(jobs, "/nowhere/at/all")
    with capture_logs() as logs:
        await missing.start()
        async with asyncio.timeout(30):
            while len(logs) < 2:
                await asyncio.sleep(0.01)
        await missing.stop()
    assert [(log["event"], log["error"]) for log in logs[:2]] == [("alone.not_started", "FileNotFoundError")] * 2


async def test_after_a_process_that_failed_the_next_one_waits_longer(jobs: Jobs) -> None:
    """A program that cannot start would be started each second."""
    await leave_a_suspect(jobs)
    with capture_logs() as logs:
        waits_s = [
            await starting(jobs, sys.executable, "-c", f"raise SystemExit({code})").run_once() for code in (0, 3)
        ]
    assert waits_s == [1.0, 5.0]
    assert [log["exit_code"] for log in logs if log["event"] == "alone.ended"] == [0, 3]
