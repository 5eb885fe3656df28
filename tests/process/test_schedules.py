"""Schedules with real processes: the drill in its short form, and an evaluator that is killed before its commit."""

import asyncio
import signal
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import schedules
from jobs_core import Database, Jobs, fetch
from schedules import Rule
from schedules.evaluator import Evaluator
from tests.drills import schedules as drill
from tests.drills.fleet import CHECKOUT
from tests.support.job_types import table

SPRING = (datetime(2024, 3, 30, 18, tzinfo=UTC), datetime(2024, 4, 7, 6, tzinfo=UTC))
ONE_GAP = (datetime(2024, 3, 30, 22, tzinfo=UTC), datetime(2024, 3, 31, 3, tzinfo=UTC))


async def test_eight_evaluators_run_just_the_ticks_that_the_oracle_names_across_gaps_folds_and_outages(
    database_url: str,
) -> None:
    plan = drill.Plan(24, *SPRING, seed=1, around=timedelta(minutes=12))
    report = await drill.run(database_url, plan)
    assert report.broken() == []
    assert report.ticks > 500


async def test_without_lock_and_unique_key_ticks_run_twice(database_url: str) -> None:
    plan = drill.Plan(24, *ONE_GAP, seed=1, around=timedelta(minutes=6), evaluators=4, locked=False, unique=False)
    assert (await drill.run(database_url, plan)).doubled


async def test_with_croniters_own_idea_of_changing_clocks_ticks_are_others(database_url: str) -> None:
    plan = drill.Plan(24, *ONE_GAP, seed=1, around=timedelta(minutes=10), evaluators=2, croniters=True)
    report = await drill.run(database_url, plan)
    assert report.missing
    assert report.extra


KILLED_BEFORE_ITS_COMMIT = """
import asyncio, os, signal, sys
from jobs_core import Database, Jobs
from schedules.evaluate import evaluate
from tests.support.job_types import table

async def main():
    async with Database(sys.argv[1], name="killed") as database, Jobs(database, table()) as jobs:
        async with database.transaction() as conn:
            assert (await evaluate(conn, jobs)).jobs == 1
            os.kill(os.getpid(), signal.SIGKILL)

asyncio.run(main())
"""


async def test_what_an_evaluator_had_in_hand_when_it_was_killed_is_done_once_by_another(
    database: Database, database_url: str
) -> None:
    async with Jobs(database, table()) as jobs:
        async with database.connection() as conn:
            rule = Rule(at=datetime(2099, 1, 1, tzinfo=UTC))
            await schedules.put(conn, jobs.table, name="s", job_type="note", input={}, rule=rule, source="cli")
            await conn.execute(
                "UPDATE jobs.schedules SET at = now(), next_at = now(), seen_until = now() - interval '1 s'"
            )
        command = [sys.executable, "-c", KILLED_BEFORE_ITS_COMMIT, database_url]
        killed = await asyncio.to_thread(subprocess.run, command, cwd=CHECKOUT, check=False)
        assert killed.returncode == -signal.SIGKILL
        evaluators = [Evaluator(database, jobs) for _ in range(3)]
        async with asyncio.timeout(60), database.connection() as conn:
            while not await fetch(conn, "SELECT FROM jobs.schedule_ticks"):  # the server has to notice first
                await asyncio.gather(*(evaluator.run_once() for evaluator in evaluators))
            assert len(await fetch(conn, "SELECT FROM jobs.jobs")) == 1
            assert len(await fetch(conn, "SELECT FROM jobs.schedule_ticks")) == 1
