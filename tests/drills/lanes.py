"""R37: create, settle, hold and release racing on lanes, with processes killed in between.

Four processes, each with two creators, two settlers, and one that holds and releases, on 40 lanes; one job in fifty fails,
which holds its lane. What a killed process held is rescued, and lanes are released at the end. Then every job must have
ended, each lane in the order of its positions and one at a time. With the lane's lock folded into the statement that looks,
jobs must strand.
"""

import asyncio
import random
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from jobs_core import Connection, Database, execute, fetch_one
from jobs_core.lanes import list_lanes, release
from jobs_core.upkeep import rescue

CHECKOUT = Path(__file__).parents[2]

_VERDICT = """
SELECT (SELECT count(*) FROM jobs.history) AS ended, (SELECT count(*) FROM jobs.jobs) AS left, (
    SELECT count(*) FROM (
        SELECT claimed_at, lag(ended_at) OVER (PARTITION BY lane ORDER BY lane_pos) AS before FROM jobs.history) AS runs
        WHERE claimed_at < before) AS inversions
"""

_STRANDED = """
SELECT count(*) AS n
FROM (SELECT DISTINCT ON (lane) lane, state FROM jobs.jobs ORDER BY lane, lane_pos) AS heads JOIN jobs.lanes USING (lane)
WHERE state = 'blocked' AND held_at IS NULL
"""


@dataclass(frozen=True, slots=True)
class Plan:
    """`jobs` a creator; `how`: whole, or folded for the mutant."""

    jobs: int
    kills: int
    seed: int
    how: str = "whole"
    processes: int = 4
    lanes: int = 40


@dataclass(frozen=True, slots=True)
class Verdict:
    """left: not ended though nothing moves any more. inversions: claimed before the one ahead had ended. stranded: lanes seen
    with a blocked job at their head, and not held, summed over all looks; a later create may free such a lane, and then in the
    wrong order.
    """

    ended: int
    left: int
    inversions: int
    stranded: int


class Looks:
    """Looks at all lanes, all the time: in no snapshot may the first job of a lane be blocked."""

    def __init__(self, database: Database) -> None:
        self.stranded = 0
        self._task = asyncio.create_task(self._run(database))

    async def _run(self, database: Database) -> None:
        async with database.connection() as conn:
            while True:
                row = await fetch_one(conn, _STRANDED)
                assert row is not None
                self.stranded += row["n"]
                await asyncio.sleep(0.02)

    def end(self) -> None:
        """Look no more."""
        self._task.cancel()


async def run(dsn: str, plan: Plan) -> Verdict:
    """Carry out the plan on a fresh migrated database."""
    rng = random.Random(plan.seed)
    async with Database(dsn, name="drill") as database, database.connection() as conn:
        processes = [_spawn(dsn, plan, number) for number in range(plan.processes)]
        looks = Looks(database)
        try:
            for number in range(plan.kills):
                await asyncio.sleep(rng.uniform(0.2, 0.6))
                victim = rng.randrange(plan.processes)
                await _kill(conn, processes[victim])
                processes[victim] = _spawn(dsn, plan, 100 + number)
            for process in processes:
                assert process.stdout is not None
                await asyncio.to_thread(process.stdout.readline)
            await _until_nothing_moves(conn)
            row = await fetch_one(conn, _VERDICT)
            assert row is not None
            return Verdict(**row, stranded=looks.stranded)
        finally:
            looks.end()
            for process in processes:
                process.kill()
                process.wait()


def _spawn(dsn: str, plan: Plan, number: int) -> subprocess.Popen[str]:
    numbers = [2, 2, plan.jobs, plan.lanes, plan.seed * 1000 + number]
    command = [sys.executable, "-m", "tests.drills.lanes_worker", dsn, *map(str, numbers), plan.how]
    return subprocess.Popen(command, cwd=CHECKOUT, stdout=subprocess.PIPE, text=True)


async def _kill(conn: Connection, process: subprocess.Popen[str]) -> None:
    process.kill()
    process.wait()
    await execute(conn, "UPDATE jobs.workers SET dead_at = clock_timestamp() WHERE pid = %(pid)s", {"pid": process.pid})
    await asyncio.sleep(0.05)  # its last statements may still be under way in Postgres
    await rescue(conn, max_lost=1_000)


async def _until_nothing_moves(conn: Connection) -> None:
    """Until no job is left, or none can move: nothing ready, nothing that a worker or a hold keeps, for a second."""
    still = 0
    while still < 10:
        await asyncio.sleep(0.1)
        await rescue(conn, max_lost=1_000)
        for lane in await list_lanes(conn, held=True):
            await release(conn, lane.lane)
        if not await fetch_one(conn, "SELECT id FROM jobs.jobs LIMIT 1"):
            return
        moving = await fetch_one(conn, "SELECT id FROM jobs.jobs WHERE state <> 'blocked' LIMIT 1")
        still = 0 if moving else still + 1


def main(arguments: Sequence[str]) -> int:
    """`./jobs drill lanes [--short]`: as it is, then the mutant; 0 when the one held and the other stranded."""
    from tests.drills.main import in_fresh_databases, parse

    options = parse("lanes", arguments, seed=random.randrange(10_000))
    jobs, kills = (250, 20) if options.short else (2_500, 200)
    broken = 0
    for how, dsn, _ in in_fresh_databases("whole", "folded"):
        plan = Plan(jobs, kills if how == "whole" else 0, options.seed, how)
        seen = asyncio.run(run(dsn, plan))
        held = (seen.left, seen.stranded, seen.inversions) == (0, 0, 0) if how == "whole" else seen.stranded > 0
        broken += not held
        print(*(f"{name:>12} {value}" for name, value in {**asdict(plan), **asdict(seen)}.items()), sep="\n")
        print("HELD" if held else "BROKEN", "\n")
    return 1 if broken else 0
