"""R2: every operation there is, at random, on the real SQL: S1–S12 hold after each step, and at the end everything ends.

The walk is in tests/drills/walk. With a guard taken out (`MUTANTS`) the same walk must find that something broke.
"""

import argparse
import asyncio
import random
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

from jobs_core import db
from tests.drills.main import add_pgbouncer
from tests.drills.report import show
from tests.drills.walk.rules import RULES
from tests.drills.walk.search import Report, search
from tests.support.database import by_way_of, fresh_database, make_template, quick_folder, server
from tests.support.mutants import NO_FENCE, NO_FENCE_TOGETHER, mutated
from tests.support.pgbouncer import pgbouncer

STEPS = 40_000
FIRED_AT_LEAST = 200
"""What each rule must have fired in so many steps."""
CAUGHT_WITHIN = 2_000
"""Steps in which the walk must find what a mutant breaks."""

_WAITS = "j.wait_event = 'jobs:children'"
MUTANTS: dict[str, tuple[tuple[str, str], ...]] = {
    "no fence": (NO_FENCE,),
    "no fence where settles are collected": (NO_FENCE_TOGETHER,),
    "the next of a lane is not promoted": (("WHERE j.id = next.id AND j.state", "WHERE false AND j.state"),),
    "a parent is not woken": ((_WAITS, f"false AND {_WAITS}"),),
    "a request to cancel is forgotten": (("FROM family ORDER BY id\n", "FROM family WHERE false\n"),),
}
"""By what is taken out: the texts to replace in the statements."""
WEAK_INDEX = """
DROP INDEX jobs.jobs_unique;
CREATE UNIQUE INDEX jobs_unique ON jobs.jobs (job_type, unique_key) WHERE unique_key IS NOT NULL AND unique_while = 'unfinished'
"""
NO_INDEX = "unstarted keys are not in the unique index"


@dataclass(frozen=True, slots=True)
class Plan:
    """mutant: a name in MUTANTS, or NO_INDEX; empty: the queue as it is."""

    steps: int
    seed: int
    mutant: str = ""


async def run(dsn: str, plan: Plan) -> Report:
    """Walk on a fresh migrated database. Without a mutant, a walk that fails is made as short as it goes."""
    if plan.mutant == NO_INDEX:
        async with await db.connect(dsn, name="drill") as conn:
            await conn.execute(WEAK_INDEX)
    changes = MUTANTS.get(plan.mutant)
    with mutated(*changes) if changes else nullcontext():
        return await search(dsn, plan.steps, plan.seed, shorten=not plan.mutant)


def broken(plan: Plan, report: Report) -> list[str]:
    """What did not hold, in words."""
    if plan.mutant:
        return [] if "Violation:" in report.violation else [f"{plan.mutant}: nothing broke, so the walk shows nothing"]
    wanted = FIRED_AT_LEAST if plan.steps >= STEPS else plan.steps // 4_000  # that no rule is dead
    seldom = [name for name in RULES if report.fired[name] < wanted]
    seen = {
        report.violation: not report.violation,
        f"fired less than {wanted} times: {', '.join(seldom)}": bool(report.violation) or not seldom,
    }
    return [what for what, held in seen.items() if not held]


@contextmanager
def _server(folder: str) -> Iterator[str]:
    """A server in memory where there is room: a step is a dozen commits."""
    with quick_folder(Path(folder)) as place, server(place) as dsn:
        make_template(dsn)
        yield dsn


def main(arguments: Sequence[str]) -> int:
    """`./jobs drill stateful [--steps N] [--seed N] [--pgbouncer]`: as it is, then each mutant; 0 when only those broke."""
    parser = argparse.ArgumentParser(prog="./jobs drill stateful")
    parser.add_argument("--steps", type=int, default=STEPS, help=f"how many at least; {STEPS} unless given")
    parser.add_argument("--seed", type=int, default=random.randrange(10_000), help="repeat a run that went wrong")
    add_pgbouncer(parser)
    options = parser.parse_args(arguments)
    plans = [Plan(options.steps, options.seed)]
    plans += [Plan(CAUGHT_WITHIN, options.seed, mutant) for mutant in [*MUTANTS, NO_INDEX]]
    failures = 0
    with (
        tempfile.TemporaryDirectory(prefix="jobs-drill-") as folder,
        _server(folder) as server_dsn,
        pgbouncer(server_dsn) if options.pgbouncer else nullcontext(server_dsn) as entrance,
    ):
        for plan in plans:
            with fresh_database(server_dsn) as dsn:
                report = asyncio.run(run(by_way_of(entrance, dsn), plan))
            if plan.mutant:  # what broke is enough
                report.fired, report.last_steps = {}, ""
            failures += show(plan, report, broken(plan, report))
    return 1 if failures else 0
