"""From the decision about a call that waits for approval to its tool at work, on another worker than the one that asked."""

import asyncio
import json
import tempfile
import time
from pathlib import Path

import simulator
from assistant import actions, agents, approvals, chats
from assistant.action import Action
from assistant.approvals import Decider
from assistant.chats import CHAT_TURN
from benchmarks.errors import BenchFailed
from benchmarks.measures.proxy import KEY
from benchmarks.measures.turn import worker
from benchmarks.plan import Plan
from benchmarks.server import Server
from jobs_core import Database, HandlerTable, Jobs

_WARM_UP = 2
_LONGEST_S = 60.0
_LOOK_EVERY_S = 0.005
_ANN = Decider("ann", "owner")


async def until_tool_runs(server: Server, plan: Plan) -> list[float]:
    """Milliseconds until the tool writes down its time: one worker has asked about all calls and ended, another goes on."""
    with simulator.running(api_key=KEY) as sim, tempfile.TemporaryDirectory(prefix="jobs-bench-") as folder:
        async with server.fresh() as dsn, Database(dsn, name="jobs bench") as database:
            table = HandlerTable()
            table.declare(CHAT_TURN)
            async with Jobs(database, table) as jobs:
                async with worker(dsn, sim, folder):
                    waiting = await _asked_about(jobs, Path(folder), _WARM_UP + plan.approvals)
                async with worker(dsn, sim, folder):
                    return [await _decided_ms(jobs, action) for action in waiting][_WARM_UP:]


async def _asked_about(jobs: Jobs, folder: Path, n: int) -> list[Action]:
    async with jobs.database.transaction() as conn:
        await agents.edit(conn, agents.DEFAULT_AGENT, {"tools": ["Bash"]})
        for i in range(n):
            say = f'[[tool Bash {{"command": "date +%s%N > {folder}/{i}"}}]] [[then]] [[text Done.]]'
            await chats.receive(conn, jobs, session_id=None, channel="web", message=say, user_id=None)
    deadline = time.monotonic() + n * _LONGEST_S
    while time.monotonic() < deadline:
        async with jobs.database.connection() as conn:
            found = await actions.list_actions(conn, limit=n)
        if len(found) == n:
            return found
        await asyncio.sleep(_LOOK_EVERY_S * 20)
    raise BenchFailed(f"only {len(found)} of {n} calls came to be asked about")


async def _decided_ms(jobs: Jobs, action: Action) -> float:
    """The time counts from before the decision is written, to what the tool wrote: one clock of one machine."""
    ran = Path(json.loads(action.arguments)["command"].split()[-1])
    decided_at = time.time_ns()
    async with jobs.database.connection() as conn:
        decided = await approvals.approve(conn, action.id, _ANN, digest=action.digest)
    jobs.notifier.wake(decided.ready)
    deadline = time.monotonic() + _LONGEST_S
    while not (wrote := _text_of(ran)):
        if time.monotonic() > deadline:
            raise BenchFailed(f"the call of action {action.id} was approved and does not run")
        await asyncio.sleep(_LOOK_EVERY_S)
    return (int(wrote) - decided_at) / 1e6


def _text_of(file: Path) -> str:
    return file.read_text() if file.exists() else ""
