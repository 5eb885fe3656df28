"""What we have come to cost: the same measure with this checkout's code and with an earlier commit's, in turns.

git archive COMMIT ─▶ a folder ─▶ a contender that imports from there, in databases of its own
"""

import asyncio
import subprocess
from dataclasses import replace
from pathlib import Path

from benchmarks.errors import BenchFailed
from benchmarks.lineup import us
from benchmarks.measures.drain import drained_alone
from benchmarks.plan import Plan
from benchmarks.server import Server
from cli.settings import CHECKOUT


async def drained_before(server: Server, plan: Plan, kind: str) -> list[tuple[float, float]]:
    """Jobs/s of one worker in each round, now and with the code of `plan.base`. Raises BenchFailed."""
    code = await asyncio.to_thread(_code_of, plan.base, server.folder)
    now = replace(us(server.folder), migrated=False)
    before = replace(now, name=f"jobs at {plan.base}", environment={"PYTHONPATH": str(code)})
    rounds = []
    for number in range(plan.rounds):
        rates = {}
        for contender in (now, before) if number % 2 else (before, now):
            rates[contender.name] = await drained_alone(server, contender, plan, processes=1, kind=kind)
        rounds.append((rates[now.name], rates[before.name]))
    return rounds


def _code_of(commit: str, folder: Path) -> Path:
    """The folder that holds the code of that commit. Raises BenchFailed."""
    code = folder / "before"
    if not code.exists():
        code.mkdir()
        archive = folder / "before.tar"
        _run("git", "-C", str(CHECKOUT), "archive", "--output", str(archive), "--end-of-options", commit)
        _run("tar", "-xf", str(archive), "-C", str(code))
    return code


def _run(*command: str) -> None:
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    if ran.returncode:
        raise BenchFailed(f"{' '.join(command)}: {ran.stderr.strip()}")
