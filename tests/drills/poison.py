"""R15: jobs that kill their worker, among jobs that do not.

    create innocent and poison jobs, mixed ─▶ three workers under a supervisor, which kills what passes its limits
        a worker dies ─▶ all that it ran is suspect ─▶ each runs alone ─▶ the innocent complete, the poison fails

Exactly the poison must fail, after its third loss while alone; every innocent job completes, once; no process is left. With
nobody alone and a plain limit of three lost runs, innocent jobs must fail.
"""

import asyncio
import os
import random
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from jobs_core import Database, HandlerTable, Jobs, NewJob, fetch
from jobs_core.upkeep import MAX_LOST_ALONE
from tests.drills.load import drained
from tests.drills.poison_worker import BRIEF_POISON, POISON
from tests.drills.records import Verdict, keep_records, verdict
from tests.drills.report import show
from tests.support.job_types import BRIEF_NOTE, NOTE
from tests.support.processes import MARK, kill_left, left_running

CHECKOUT = Path(__file__).parents[2]
KINDS = ("memory", "segfault", "exit", "fork")
_STOPPED_WITHIN_S = 30.0

_COUNTS = """
SELECT poisonous,
       count(*) AS jobs,
       count(*) FILTER (WHERE state = 'failed') AS failed,
       coalesce(sum(lost), 0)::integer AS lost,
       coalesce(sum(alone), 0)::integer AS alone,
       coalesce(max(alone), 0)::integer AS most_alone,
       coalesce(min(alone), 0)::integer AS least_alone
FROM (
    SELECT h.job_type LIKE '%poison' AS poisonous, h.state, a.lost, a.alone
    FROM jobs.history AS h
    CROSS JOIN LATERAL (
        SELECT count(*) AS lost, count(*) FILTER (WHERE alone) AS alone
        FROM jobs.attempts WHERE job_id = h.id AND reason = 'lost'
    ) AS a
) AS ended
GROUP BY poisonous
"""


@dataclass(frozen=True, slots=True)
class Plan:
    """`poison` jobs, of each kind as many, among `jobs` innocent ones."""

    jobs: int
    poison: int
    seed: int
    mode: str = "alone"
    within_s: float = 300.0


@dataclass(slots=True)
class Report:
    """What came of it. counted, for innocent and for poison jobs: how many ended, and failed; started runs that were lost with
    their worker, and those that were alone, with the most and the least of one job. deaths: of workers, seen by their
    supervisor."""

    verdict: Verdict | None = None
    counted: dict[str, int] = field(default_factory=dict)
    deaths: int = 0
    left_processes: int = 0
    seconds: float = 0.0


async def run(dsn: str, plan: Plan, log: Path) -> Report:
    """Carry out the plan on a fresh migrated database; the logs of supervisor and workers go to `log`."""
    report = Report()
    table = HandlerTable()
    table.declare_all([NOTE, BRIEF_NOTE, POISON, BRIEF_POISON])
    async with Database(dsn, name="drill") as database, Jobs(database, table) as jobs, database.connection() as conn:
        await keep_records(conn)
        ids = (await jobs.create_many(mixed(plan))).ids
        began = time.monotonic()
        with supervised(dsn, plan.mode, log) as (supervisor, mark):
            await drained(conn, plan.within_s)
            report.seconds = round(time.monotonic() - began, 1)
            supervisor.terminate()
            await asyncio.to_thread(supervisor.wait, _STOPPED_WITHIN_S)
            report.left_processes = len(left_running(mark))
        report.verdict = await verdict(conn, list(ids))
        for row in await fetch(conn, _COUNTS):
            kind = "poison" if row.pop("poisonous") else "innocent"
            report.counted |= {f"{kind}_{name}": value for name, value in row.items()}
    report.deaths = log.read_text().count('"event": "worker.ended"')  # noqa: ASYNC240 - the run is over
    return report


def mixed(plan: Plan) -> list[NewJob]:
    """Every second job is brief, the poison too, which is strewn among the others at random."""
    jobs = [NewJob((NOTE, BRIEF_NOTE)[number % 2], {}) for number in range(plan.jobs)]
    jobs += [
        NewJob((POISON, BRIEF_POISON)[number // len(KINDS) % 2], {"kind": KINDS[number % len(KINDS)]})
        for number in range(plan.poison)
    ]
    random.Random(plan.seed).shuffle(jobs)
    return jobs


@contextmanager
def supervised(dsn: str, mode: str, log: Path) -> Iterator[tuple["subprocess.Popen[bytes]", str]]:
    """A supervisor of workers, and the mark that all its processes carry; at the end none of them is left."""
    mark = uuid.uuid4().hex
    command = [sys.executable, "-m", "tests.drills.poison_worker", dsn, mode, "supervise"]
    with log.open("wb") as file:
        process = subprocess.Popen(
            command, cwd=CHECKOUT, env={**os.environ, MARK: mark}, stdout=file, stderr=file, start_new_session=True
        )
    try:
        yield process, mark
    finally:
        process.kill()
        process.wait()
        kill_left(mark)


def broken(plan: Plan, report: Report) -> list[str]:
    """What did not hold, in words."""
    assert report.verdict is not None
    counted = report.counted
    if plan.mode == "plain":
        return [] if counted["innocent_failed"] else ["no innocent job failed, so the drill shows nothing"]
    seen = {
        "an innocent job failed": counted["innocent_failed"] == 0,
        "a poison job did not fail": counted["poison_failed"] == counted["poison_jobs"] == plan.poison,
        "a poison job ended before or after its limit": (
            counted["poison_least_alone"] == counted["poison_most_alone"] == MAX_LOST_ALONE
        ),
        "a job was lost, ended twice, or ended by who did not hold it": not any(
            (report.verdict.lost, report.verdict.doubled, report.verdict.stale)
        ),
        "nobody stood beside the poison, so the drill shows nothing": counted["innocent_lost"] > 0,
        "a process was left": report.left_processes == 0,
    }
    return [what for what, held in seen.items() if not held]


def main(arguments: Sequence[str]) -> int:
    """`./jobs drill poison [--short]`: as in life, and then without running suspects alone; 0 when each did what it must."""
    from tests.drills.main import in_fresh_databases, parse

    options = parse("poison", arguments, seed=int.from_bytes(os.urandom(4)))
    jobs, poison = (600, 8) if options.short else (5_000, 50)
    failures = 0
    for mode, dsn, log in in_fresh_databases("alone", "plain"):
        plan = Plan(jobs, poison, options.seed, mode)
        report = asyncio.run(run(dsn, plan, log))
        failures += show(plan, report, broken(plan, report))
    return 1 if failures else 0
