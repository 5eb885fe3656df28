"""What an idle worker costs: supervisor and worker as `./jobs up` starts them, without credentials and so without agents."""

import asyncio
import os
import time
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from statistics import median

import psutil

from benchmarks.contender import stop
from benchmarks.errors import BenchFailed
from benchmarks.plan import Plan
from benchmarks.server import Server, plain, value
from cli.child import ours
from cli.settings import CHECKOUT
from workers.settings import WorkerSettings

_MB = 1024 * 1024
_UP_WITHIN_S = 30.0
_WINDOWS = 5
_QUIET_S = 3.0
"""After the start, before anything is counted: backends report their transactions once a second."""


@dataclass(frozen=True, slots=True)
class Idle:
    """Of one worker process: transactions a second besides renewals, CPU in percent of one core, resident memory."""

    transactions_per_s: float
    cpu_percent: float
    rss_mb: float


async def idle(server: Server, plan: Plan) -> Idle:
    """Watch one idle worker, five times for `plan.idle_s`: medians, as once an hour, and soon after its start, it keeps house.

    Raises BenchFailed where it does not come up.
    """
    async with server.fresh() as dsn, _command(dsn) as command:
        process = await _worker_of(command, dsn)
        await asyncio.sleep(_QUIET_S)
        seen = [await _watched(server, dsn, process, plan.idle_s) for _ in range(_WINDOWS)]
        transactions, cpu = (median(figures) for figures in zip(*seen, strict=True))
        return Idle(transactions - 1 / WorkerSettings().renew_s, cpu, process.memory_info().rss / _MB)


async def _watched(server: Server, dsn: str, process: psutil.Process, seconds: float) -> tuple[float, float]:
    """Transactions a second, and CPU in percent of one core."""
    began, counted, cpu_s = time.monotonic(), await server.transactions(dsn), _cpu_s(process)
    await asyncio.sleep(seconds)
    spent_s = time.monotonic() - began
    return (await server.transactions(dsn) - counted) / spent_s, 100 * (_cpu_s(process) - cpu_s) / spent_s


@asynccontextmanager
async def _command(dsn: str) -> AsyncIterator[Process]:
    command = await asyncio.create_subprocess_exec(
        *ours("-m", "cli", "supervise", "--processes", "1"),
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(CHECKOUT), "DATABASE_URL": dsn},
        stdin=PIPE,  # it ends when this closes
        stdout=PIPE,
        stderr=DEVNULL,
    )
    try:
        yield command
    finally:
        await stop(command)


async def _worker_of(command: Process, dsn: str) -> psutil.Process:
    deadline = time.monotonic() + _UP_WITHIN_S
    async with plain(dsn) as conn:
        while time.monotonic() < deadline:
            if await value(conn, "SELECT count(*) FROM jobs.workers WHERE dead_at IS NULL"):
                return psutil.Process(int(await value(conn, "SELECT max(pid) FROM jobs.workers WHERE dead_at IS NULL")))
            await asyncio.sleep(0.1)
    raise BenchFailed(
        f"a worker (supervised by {command.pid}) was not up within {_UP_WITHIN_S:.0f} s: try ./jobs worker by hand"
    )


def _cpu_s(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)
