"""R21: the worker of a real Claude Code CLI is killed, frozen or stopped while its agent runs a tool.

A token fences the database, not an agent: left alone, the CLI would run its tool to the end and call the model again.
"""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from jobs_core import Database, HandlerTable, Jobs, fetch, fetch_one
from simulator.client import SimulatorControl
from tests.support.agents.worker import AGENT, LEASE_S
from workers.lease import DEADLINE_SHARE

CHECKOUT = Path(__file__).parents[2]
DEADLINE_S = DEADLINE_SHARE * LEASE_S
TOOL_S = 4.0
"""The tool works for longer than the deadline; then the agent would call the model again."""
GONE_S = 3 * 1.0
"""No process is left one second after the deadline; with the slack that CI has."""


@contextmanager
def started(module: str, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen([sys.executable, "-m", f"tests.support.agents.{module}", *arguments], cwd=CHECKOUT)
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(30)
        finally:
            process.kill()


class Effects:
    """What the agent's tool leaves behind, ten times a second."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "effects"
        loop = f"for i in $(seq {round(TOOL_S * 10)}); do date +%s.%N >> {self.file}; sleep 0.1; done"
        self.prompt = f'[[tool Bash {{"command": "{loop}"}}]] [[text I am done.]]'

    def times(self) -> list[float]:
        return [float(line) for line in self.file.read_text().split()] if self.file.exists() else []


async def worker_in_its_tool(jobs: Jobs, effects: Effects) -> psutil.Process:
    """Create the job; the worker process once its agent's tool is at work."""
    await jobs.create(AGENT, {"text": effects.prompt})
    async with asyncio.timeout(30):
        while len(effects.times()) < 3:
            await asyncio.sleep(0.05)
    async with jobs.database.connection() as conn:
        row = await fetch_one(conn, "SELECT pid FROM jobs.workers WHERE id = (SELECT worker_id FROM jobs.jobs)")
    assert row is not None
    return psutil.Process(row["pid"])


def runs(process: psutil.Process) -> bool:
    """A frozen parent cannot wait for its dead children, so they stay as zombies."""
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP, signal.SIGTERM])
async def test_no_process_and_no_model_call_is_left_after_the_deadline(
    database_url: str, database: Database, sim: SimulatorControl, tmp_path: Path, number: signal.Signals
) -> None:
    effects = Effects(tmp_path)
    table = HandlerTable()
    table.declare(AGENT)
    async with Jobs(database, table) as jobs:
        with started("supervise", database_url, sim.url, str(tmp_path)):
            worker = await worker_in_its_tool(jobs, effects)
            agents = worker.children(recursive=True)
            assert {"claude", "bash"} <= {process.name() for process in agents}
            calls = len(await sim.requests())
            hit_at = time.time()
            os.kill(worker.pid, number)
            async with asyncio.timeout(DEADLINE_S + GONE_S):
                while any(runs(process) for process in agents):
                    await asyncio.sleep(0.05)
            assert max(effects.times()) < hit_at + DEADLINE_S + GONE_S
            async with asyncio.timeout(60), database.connection() as conn:
                while not await fetch(conn, "SELECT id FROM jobs.history"):
                    await asyncio.sleep(0.1)
            await asyncio.sleep(max(0.0, hit_at + TOOL_S + 2.0 - time.time()))
            if number == signal.SIGSTOP:
                worker.send_signal(signal.SIGCONT)
            seen = effects.times()
            await asyncio.sleep(1.0)
            assert effects.times() == seen
            assert len(await sim.requests()) == calls


async def test_without_a_guard_the_tool_of_a_frozen_worker_works_on(
    database_url: str, database: Database, sim: SimulatorControl, tmp_path: Path
) -> None:
    """The mutant: it works on past the deadline. From the model its frozen worker's proxy keeps the agent."""
    effects = Effects(tmp_path)
    table = HandlerTable()
    table.declare(AGENT)
    async with Jobs(database, table) as jobs:
        with started("worker", database_url, sim.url, str(tmp_path)) as worker:
            assert (await worker_in_its_tool(jobs, effects)).pid == worker.pid
            hit_at = time.time()
            worker.send_signal(signal.SIGSTOP)
            try:
                async with asyncio.timeout(30):
                    while max(effects.times()) < hit_at + DEADLINE_S:
                        await asyncio.sleep(0.05)
            finally:
                worker.send_signal(signal.SIGCONT)
