"""A cold turn: from the commit of a message to the request at the API, beside the CLI started by hand with a prompt."""

import asyncio
import os
import tempfile
import time
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import uuid4

import simulator
from assistant import chats
from assistant.chats import CHAT_TURN
from benchmarks.contender import stop
from benchmarks.measures.proxy import KEY
from benchmarks.plan import Plan
from benchmarks.server import Server
from cli.child import ours
from cli.settings import CHECKOUT
from jobs_core import Database, HandlerTable, Jobs
from sessions import SessionSettings
from sessions.options import find_cli
from simulator.client import SimulatorControl

_ARGUMENTS = ("--setting-sources", "", "--strict-mcp-config", "--tools", "", "--model", "claude-sonnet-5", "-p")


async def until_asked(server: Server, plan: Plan) -> tuple[list[float], list[float]]:
    """Milliseconds until the API is asked, of our turns and of the bare CLI, by turns; the first of each is not counted."""
    ours_ms, bare_ms = list[float](), list[float]()
    with simulator.running(api_key=KEY) as sim, tempfile.TemporaryDirectory(prefix="jobs-bench-") as folder:
        async with server.fresh() as dsn, worker(dsn, sim, folder), Database(dsn, name="jobs bench") as database:
            table = HandlerTable()
            table.declare(CHAT_TURN)
            async with Jobs(database, table) as jobs:
                for _ in range(1 + plan.turns):
                    ours_ms.append(await _turn_ms(database, jobs, sim))
                    bare_ms.append(await _bare_ms(sim, folder))
    return ours_ms[1:], bare_ms[1:]


@asynccontextmanager
async def worker(dsn: str, sim: SimulatorControl, folder: str) -> AsyncIterator[None]:
    """A worker process whose agents reach the simulator; it is stopped at the end of the block."""
    env = {
        **_api(sim.url),
        "PYTHONPATH": str(CHECKOUT),
        "DATABASE_URL": dsn,
        "JOBS_SCRATCH_FOLDER": f"{folder}/scratch",
        "JOBS_LOG_LEVEL": "error",
    }
    command = ours("-m", "cli", "worker", "--processes", "1")
    worker = await asyncio.create_subprocess_exec(*command, env=env, stdin=DEVNULL, stdout=PIPE, stderr=DEVNULL)
    try:
        yield
    finally:
        await stop(worker)


async def _turn_ms(database: Database, jobs: Jobs, sim: SimulatorControl) -> float:
    word = uuid4().hex
    async with database.transaction() as conn:
        received = await chats.receive(
            conn, jobs, session_id=None, channel="web", message=f"[[text Hello.]] {word}", user_id=None
        )
    committed = time.time()
    received.wake()
    request = await sim.wait_for_request(word, outcome="finished")
    return (request.received_at - committed) * 1000


async def _bare_ms(sim: SimulatorControl, folder: str) -> float:
    word = uuid4().hex
    home = Path(folder) / word
    home.mkdir()
    env = {
        **_api(sim.url),
        "HOME": str(home),
        "CLAUDE_CONFIG_DIR": str(home / "config"),
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
    }
    command = (str(find_cli(SessionSettings.read())), *_ARGUMENTS, f"[[text Hello.]] {word}")
    began = time.time()
    bare = await asyncio.create_subprocess_exec(*command, env=env, cwd=home, stdin=DEVNULL, stdout=PIPE)
    try:
        request = await sim.wait_for_request(word, outcome="finished")
        await bare.communicate()
    finally:
        await stop(bare)
    return (request.received_at - began) * 1000


def _api(url: str) -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "ANTHROPIC_BASE_URL": url, "ANTHROPIC_API_KEY": KEY}
