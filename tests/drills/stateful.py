"""R2: every operation there is, at random, on the real SQL: S1–S12 hold after each step, and at the end everything ends.

The walk is in tests/drills/walk. With a guard taken out (`MUTANTS`) the same walk must find that something broke.
"""

import argparse
import asyncio
import random
import tempfile
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

from jobs_core import Connection, db
from tests.drills.main import add_pgbouncer
from tests.drills.report import show
from tests.drills.walk import mutants
from tests.drills.walk.rules import RULES
from tests.drills.walk.search import Report, search
from tests.support.database import by_way_of, fresh_database, make_template, quick_folder, server
from tests.support.mutants import (
    LETTER_NOT_LOCKED,
    LIMITED_NOT_PAUSED,
    NO_FENCE,
    NO_FENCE_OF_NOTES,
    NO_FENCE_TOGETHER,
    NO_PAUSED_TIME,
    NOTHING_PAUSED,
    SLOTS_COUNTED,
    mutated,
)
from tests.support.pgbouncer import pgbouncer
from tests.support.sql_create import mutate

STEPS = 40_000
FIRED_AT_LEAST = 200
"""What each rule must have fired in so many steps."""
CAUGHT_WITHIN = 3_000
"""Steps in which the walk must find what a mutant breaks."""

_WAITS = "j.wait_event = 'jobs:children'"
_LIMITED = "coalesce(j.alone, j.limited_alone) AS alone, j.limit_group IS NOT NULL AS limited"
MUTANTS: dict[str, tuple[tuple[str, str], ...]] = {
    "no fence": (NO_FENCE,),
    "no fence where settles are collected": (NO_FENCE_TOGETHER,),
    "no fence of what runs say": NO_FENCE_OF_NOTES,
    "the next of a lane is not promoted": (("WHERE j.id = next.id AND j.state", "WHERE false AND j.state"),),
    "a parent is not woken": ((_WAITS, f"false AND {_WAITS}"),),
    "a request to cancel is forgotten": (("FROM family ORDER BY id\n", "FROM family WHERE false\n"),),
    "slots are counted, not locked": (SLOTS_COUNTED,),
    "what a lost run held stays held": ((_LIMITED, _LIMITED.replace("j.limit_group IS NOT NULL", "false")),),
    "nobody heeds a pause": (NOTHING_PAUSED,),
    "claims with limits heed no pause": LIMITED_NOT_PAUSED,
    "an operator's pause takes of a job's time": (NO_PAUSED_TIME,),
    "two redrives at once do not wait for each other": (LETTER_NOT_LOCKED,),
    "what was redriven is not known": (
        ("FROM {schema}.redrives WHERE job_id", "FROM {schema}.redrives WHERE false AND job_id"),
    ),
    "attempts outlast a prune": (
        ("DELETE FROM {schema}.attempts\n    WHERE", "DELETE FROM {schema}.attempts\n    WHERE false AND"),
    ),
    **mutants.LANES,
    **mutants.STICKY,
    **mutants.TURNS,
    **mutants.AGEING,
}
"""By what is taken out: the texts to replace in the statements."""

_WEAK_INDEX = """
DROP INDEX jobs.jobs_unique;
CREATE UNIQUE INDEX jobs_unique ON jobs.jobs (job_type, unique_key) WHERE unique_key IS NOT NULL AND unique_while = 'unfinished'
"""


async def _weaken_the_index(conn: Connection) -> None:
    await conn.execute(_WEAK_INDEX)


async def _go_past_the_lane(conn: Connection) -> None:
    await mutate(conn, "jobs.add_job", ("(made.lane IS NULL OR made.lane_pos = head)", "true"))


IN_THE_DATABASE: dict[str, Callable[[Connection], Awaitable[None]]] = {
    "unstarted keys are not in the unique index": _weaken_the_index,
    "SQL creates jobs that go past their lane": _go_past_the_lane,
}
"""Those that are no text of a statement."""
ALL_MUTANTS = (*MUTANTS, *IN_THE_DATABASE)


@dataclass(frozen=True, slots=True)
class Plan:
    """mutant: a name in ALL_MUTANTS; empty: the queue as it is."""

    steps: int
    seed: int
    mutant: str = ""


async def run(dsn: str, plan: Plan) -> Report:
    """Walk on a fresh migrated database. Without a mutant, a walk that fails is made as short as it goes."""
    if plan.mutant in IN_THE_DATABASE:
        async with await db.connect(dsn, name="drill") as conn:
            await IN_THE_DATABASE[plan.mutant](conn)
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
    caught_within = max(CAUGHT_WITHIN, options.steps // 4)  # of any seed, not of one that was tried
    plans += [Plan(caught_within, options.seed, mutant) for mutant in ALL_MUTANTS]
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
