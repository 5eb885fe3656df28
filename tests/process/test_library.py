"""The wheel in somebody's own program, without a checkout, an agent, a chat or a web framework anywhere near."""

import asyncio
import os
import signal
import subprocess
import sys
import uuid
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from email.parser import Parser
from pathlib import Path

import psutil
import pytest

from jobs_core import Database, Jobs, fetch, fetch_one
from jobs_core.look import JobView, find, newest
from jobs_core.testing import new_database
from tests.support import wheel as wheels
from tests.support.processes import MARK, kill_left, left_running
from tests.support.wheel import CHECKOUT, ROOMS
from workers.testing import hold, pass_time

EXAMPLES = CHECKOUT / "examples"
STRANGERS = [
    *("fastapi", "starlette", "uvicorn", "claude_agent_sdk", "telethon", "typer", "rich", "httpx", "tenacity"),
    *("cli", "gateways", "handlers", "assistant", "sessions", "simulator"),
]
WITHOUT_STRANGERS = """
import runpy, sys
strangers, installed = set(sys.argv[1].split(",")), sys.argv[2]
class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in strangers:
            raise ImportError(f"{name} is no part of the library")
sys.meta_path.insert(0, Refuse())
sys.argv = sys.argv[3:]
try:
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
finally:
    import jobs_core, workers
    for room in (jobs_core, workers):
        assert room.__file__.startswith(installed), room.__file__
    found = strangers & {name.partition(".")[0] for name in sys.modules}
    assert not found, found
"""
"""Runs a module as `python -m` does; no stranger can be imported, and what is ours comes from the folder."""

pytestmark = pytest.mark.skipif(wheels.why_not() is not None, reason=str(wheels.why_not()))


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return wheels.build(tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with nothing in it but the wheel."""
    folder = tmp_path_factory.mktemp("installed")
    wheels.install(wheel, folder)
    return folder


@pytest.fixture
def own_database(server_dsn: str) -> Iterator[str]:
    """A database without any table of ours."""
    with new_database(server_dsn) as dsn:
        yield dsn


def environment(installed: Path, dsn: str, **more: str) -> dict[str, str]:
    """What a program finds that has only the wheel; the checkout is nowhere on its path."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("JOBS_", "PYTHON"))}
    path = os.pathsep.join([str(installed), str(EXAMPLES)])
    return {**kept, "PYTHONPATH": path, "PYTHONSAFEPATH": "1", "DATABASE_URL": dsn, **more}


def test_the_wheel_holds_all_of_its_rooms_and_nothing_else(wheel: Path) -> None:
    wanted = {
        str(file.relative_to(CHECKOUT))
        for room in ROOMS
        for file in (CHECKOUT / room).rglob("*")
        if file.is_file() and "__pycache__" not in file.parts
    }
    assert "jobs_core/sql/job/claim.sql" in wanted
    assert wheels.files(wheel) == wanted


def test_the_wheel_brings_no_command_and_needs_what_its_rooms_need(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = {Path(name).name: name for name in archive.namelist() if ".dist-info/" in name}
        metadata = Parser().parsestr(archive.read(names["METADATA"]).decode())
    assert "entry_points.txt" not in names
    needed = metadata.get_all("Requires-Dist") or []
    assert len(needed) == 9
    assert not any(stranger in line for line in needed for stranger in ("fastapi", "typer", "claude", "embedded"))


def test_the_examples_own_tests_pass_with_the_wheel(installed: Path, server_dsn: str, tmp_path: Path) -> None:
    command = ["pytest", "-p", "no:cacheprovider", "-o", "asyncio_mode=auto", "-c", os.devnull, EXAMPLES / "tests"]
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_STRANGERS, ",".join(STRANGERS), installed, *command],
        cwd=tmp_path,
        env=environment(installed, server_dsn),
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "5 passed" in done.stdout


@contextmanager
def program(installed: Path, dsn: str, folder: Path, **settings: str) -> Iterator[tuple["subprocess.Popen[str]", int]]:
    """The example program, and the port it takes orders on."""
    mark = uuid.uuid4().hex
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-c", WITHOUT_STRANGERS, ",".join(STRANGERS), installed, "own_program"],
            cwd=folder,
            env=environment(installed, dsn, **settings, **{MARK: mark}),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
    try:
        assert process.stdout
        ready = next((line for line in process.stdout if line.startswith("taking orders")), None)
        assert ready, (folder / "log").read_text()
        yield process, int(ready.split()[-1])
        assert process.wait(60) == 0, (folder / "log").read_text()
        assert not left_running(mark)
    finally:
        kill_left(mark)
        process.wait()


async def order(port: int, *lines: str) -> list[str]:
    """What the program answers."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write("".join(f"{line}\n" for line in lines).encode())
    writer.write_eof()
    answers = (await reader.read()).decode().splitlines()
    writer.close()
    return answers


async def all_ended(database: Database, n: int, job_type: str) -> list[JobView]:
    """All jobs of a type, once so many have ended."""
    async with asyncio.timeout(60), database.connection() as conn:
        while len(ended := await newest(conn, state="complete", job_type=job_type)) < n:
            await asyncio.sleep(0.05)
        return [view for summary in ended if (view := await find(conn, summary.id))]


async def test_a_program_takes_orders_runs_their_jobs_and_stops_when_it_is_told(
    installed: Path, own_database: str, tmp_path: Path
) -> None:
    with program(installed, own_database, tmp_path) as (process, port):
        assert await order(port, "ada@example.org 300", "bob@example.org 450") == ["order 1", "order 2"]
        async with Database(own_database, name="tests") as database, database.connection() as conn:
            receipts = await all_ended(database, 2, "receipt")
            assert {view.result["to"] for view in receipts} == {"ada@example.org", "bob@example.org"}
            assert len(await fetch(conn, "SELECT FROM orders WHERE receipted")) == 2
            process.send_signal(signal.SIGTERM)
            assert process.stdout
            assert process.stdout.read().splitlines()[-1] == "stopped"
            assert await fetch_one(conn, "SELECT FROM jobs.workers WHERE dead_at IS NULL") is None


async def test_a_job_lost_with_its_process_runs_alone_in_another_one_of_the_program(
    installed: Path, own_database: str, tmp_path: Path
) -> None:
    lost_id = await lose_a_receipt(own_database)
    with program(installed, own_database, tmp_path) as (process, _):
        async with Database(own_database, name="tests") as database, database.connection() as conn:
            (view,) = await all_ended(database, 1, "receipt")
            assert (view.id, view.lost_count) == (lost_id, 1)
            ran_in = await fetch_one(conn, "SELECT pid FROM jobs.workers WHERE id = %(id)s", {"id": view.worker_id})
            assert ran_in
            assert ran_in["pid"] != process.pid
            assert psutil.Process(ran_in["pid"]).ppid() == process.pid  # for a lease more: it ends with the program
            process.send_signal(signal.SIGTERM)


async def lose_a_receipt(dsn: str) -> int:
    """A receipt whose worker froze while it sent it, and is given up by now."""
    sys.path.insert(0, str(EXAMPLES))
    try:
        from own_program.orders import RECEIPT, Receipt, build_table, set_up
    finally:
        sys.path.remove(str(EXAMPLES))
    await set_up(dsn)
    async with Database(dsn, name="tests") as database, Jobs(database, build_table()) as jobs:
        lost = await hold(jobs, RECEIPT, Receipt(order_id=1, email="ada@example.org"))
        await pass_time(jobs, timedelta(seconds=15))
    return lost.id
