"""Many walks, and a walk that fails made as short as it goes.

What a step chooses comes from the seed, the walk's number and its own: it is the same when steps before it are left out.
The walks are not thrown by hypothesis, whose generator repeats itself: of 500 walks 77 had a seed of their own.
"""

import random
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field

from jobs_core import Connection, Database, Jobs
from tests.drills.walk.finish import all_end
from tests.drills.walk.rules import RULES
from tests.drills.walk.runs import new_worker
from tests.drills.walk.sql_creates import role_of_a_walk
from tests.drills.walk.tables import empty, prepare
from tests.drills.walk.walk import LAST_STEPS, Walk, step, table

LENGTH = 150
"""Steps of a walk: enough for a job to be lost thrice alone."""


@dataclass(slots=True)
class Report:
    """steps: of all walks that held. fired: how often, by rule. violation: what did not hold, in the shortest walk that was
    found to fail; after how many steps of it, and its last ones."""

    steps: int = 0
    fired: dict[str, int] = field(default_factory=lambda: dict.fromkeys(sorted(RULES), 0))
    violation: str = ""
    failed_after: int = 0
    last_steps: str = ""


@dataclass(frozen=True, slots=True)
class _Ended:
    """A walk, and what broke."""

    walk: Walk
    broken: str = ""


async def search(dsn: str, steps: int, seed: int, *, shorten: bool) -> Report:
    """Walk that many steps on a migrated database, or until something breaks."""
    report = Report()
    async with (
        Database(dsn, name="walk", max_connections=4) as database,
        Jobs(database, table()) as jobs,
        database.connection() as conn,
        role_of_a_walk(conn, f"walk_{uuid.uuid4().hex[:8]}") as role,
    ):
        await prepare(conn)
        while report.steps < steps and not report.violation:
            number = report.steps // LENGTH
            numbers = [f"{seed} {number} {nth}" for nth in range(min(LENGTH, steps - report.steps))]
            ended = await _walk(jobs, conn, role, numbers)
            if ended.broken and shorten:
                ended = await _shortened(jobs, conn, role, numbers, ended)
            _add(report, ended, number)
    return report


def _add(report: Report, ended: _Ended, number: int) -> None:
    walk = ended.walk
    for name, times in walk.fired.items():
        report.fired[name] += times
    if ended.broken:
        report.violation, report.failed_after = f"walk {number}: {ended.broken}", walk.fired.total()
        report.last_steps = "\n".join(["", *walk.story[-LAST_STEPS:]])
    else:
        report.steps += walk.fired.total()


async def _walk(jobs: Jobs, conn: Connection, role: str, numbers: Sequence[str]) -> _Ended:
    """Walk these steps, and let everything end."""
    await empty(conn)
    walk = Walk(jobs, conn, random.Random(0), role)
    try:
        for alone in (False, False, True):
            await new_worker(walk, alone=alone)
        for number in numbers:
            walk.dice = random.Random(number)
            await step(walk)
        await all_end(walk)
    except Exception as error:  # noqa: BLE001 - an error that no rule foresees is a violation, too
        return _Ended(walk, f"{type(error).__name__}: {error}")
    return _Ended(walk)


async def _shortened(jobs: Jobs, conn: Connection, role: str, numbers: list[str], ended: _Ended) -> _Ended:
    """The shortest walk that fails which is found by leaving out half of the steps, a quarter, an eighth … a single one."""
    size = len(numbers)
    while size := size // 2:
        start = 0
        while start < len(numbers):
            fewer = numbers[:start] + numbers[start + size :]
            again = await _walk(jobs, conn, role, fewer)
            if again.broken:
                numbers, ended = fewer, again
            else:
                start += size
    return ended
