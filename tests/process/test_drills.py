"""The drills in their short form: real processes, killed and frozen. `./jobs drill NAME` runs them at full length."""

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

from tests.drills import clocks, cuts, fair, half_open, kill, lanes, limits, postgres, wake
from tests.drills.fleet import CHECKOUT
from tests.drills.report import SKIPPED, CannotRun
from tests.support.database import fresh_database

pytestmark = pytest.mark.timeout(300)

TRIES = (1, 2, 3)
"""Seeds: what a demonstration has to show depends on the moment, and one of these will have it."""


async def test_killed_and_frozen_workers_lose_nothing_double_nothing_and_complete_nothing_stale(
    database_url: str, tmp_path: Path
) -> None:
    """Half of its faults; the other half is the next test's."""
    report = await kill.run(database_url, kill.Plan(jobs=8_000, kills=5, freezes=3), tmp_path / "log")
    assert kill.held(report, slack=3.0), report


async def test_with_the_workers_own_deadlines_off_the_fence_alone_holds(database_url: str, tmp_path: Path) -> None:
    report = await kill.run(
        database_url, kill.Plan(jobs=6_000, kills=3, freezes=3, mode="fence_only"), tmp_path / "log"
    )
    assert kill.held(report, slack=3.0), report


def test_without_the_fence_the_same_drill_shows_stale_completions(server_dsn: str, tmp_path: Path) -> None:
    """A frozen worker has to hold a job that is done by then: on a busy machine not each run has one."""
    for seed in TRIES:
        plan = kill.Plan(jobs=12_000, kills=0, freezes=3, seed=seed, mode="no_fence")
        with fresh_database(server_dsn) as dsn:
            report = asyncio.run(kill.run(dsn, plan, tmp_path / f"log{seed}"))
        if report.verdict and report.verdict.stale:
            return
    pytest.fail("no completion was stale")


async def test_lanes_strand_nothing_and_keep_their_order_while_processes_are_killed(database_url: str) -> None:
    seen = await lanes.run(database_url, lanes.Plan(jobs=250, kills=5, seed=1))
    assert (seen.left, seen.inversions, seen.stranded) == (0, 0, 0)


async def test_with_the_lock_folded_into_the_looking_statement_lanes_strand(database_url: str) -> None:
    seen = await lanes.run(database_url, lanes.Plan(jobs=250, kills=0, seed=1, how="folded"))
    assert seen.stranded > 0


async def test_a_killed_postgres_loses_no_acknowledged_job_and_work_goes_on(tmp_path: Path) -> None:
    report = await postgres.run(tmp_path, postgres.Plan(jobs=900, kills=3, seed=1))
    assert report.broken(3 * postgres.GOES_ON_S) == []
    assert len(report.goes_on_s) == 3


async def test_with_commits_that_do_not_wait_a_killed_postgres_loses_acknowledged_jobs(tmp_path: Path) -> None:
    """Not each time: whatever else writes what it has to, takes earlier commits along."""
    for seed in TRIES:
        (folder := tmp_path / str(seed)).mkdir()
        report = await postgres.run(folder, postgres.Plan(jobs=300, kills=1, seed=seed, durable=False))
        if not postgres.missed(report):
            return
    pytest.fail("no acknowledged create was lost")


async def test_connections_cut_at_every_point_lose_nothing_double_nothing_and_leak_nothing(
    database_url: str, tmp_path: Path
) -> None:
    report = await cuts.run(database_url, cuts.Plan(cuts=80, seed=1), tmp_path / "log")
    assert report.broken() == []


async def test_creates_repeated_blindly_over_cut_connections_make_second_jobs(
    database_url: str, tmp_path: Path
) -> None:
    report = await cuts.run(database_url, cuts.Plan(cuts=100, seed=1, safe=False), tmp_path / "log")
    assert cuts.missed(report) == []


async def test_half_open_connections_are_noticed_at_both_ends_and_their_locks_are_freed(tmp_path: Path) -> None:
    """One without the bounds that `connect` sets is lost with them, and nobody notices."""
    plan = half_open.Plan(workers=3, rounds=1, seed=1, slack=3.0)
    try:
        report = await half_open.run(tmp_path, plan)
    except CannotRun as why:
        pytest.skip(str(why))
    assert report.broken(plan) == []


@pytest.mark.parametrize("fault", ["jammed", "deaf"])
async def test_without_wake_ups_every_create_commits_and_the_poll_finds_each_job(tmp_path: Path, fault: str) -> None:
    plan = wake.Plan(jobs=200, fault=fault, seed=1)
    report = await wake.run(tmp_path, plan)
    assert report.broken(plan, slack=3.0) == []


async def test_a_notify_inside_the_creating_transaction_fails_creates_while_it_is_jammed(tmp_path: Path) -> None:
    plan = wake.Plan(jobs=8, fault="jammed", seed=1, demonstration="inside")
    assert wake.missed(plan, await wake.run(tmp_path, plan)) == []


async def test_wrong_clocks_make_no_job_early_or_late_and_lose_no_lease(tmp_path: Path) -> None:
    plan = clocks.Plan(jobs=300, over_s=2.0, seed=1)
    assert (await _clocks(tmp_path, plan)).broken(plan, slack=3.0) == []


async def test_due_times_by_a_workers_own_clock_come_early(tmp_path: Path) -> None:
    assert clocks.missed(await _clocks(tmp_path, clocks.Plan(jobs=100, over_s=2.5, seed=1, by_own_clock=True))) == []


async def _clocks(folder: Path, plan: clocks.Plan) -> clocks.Report:
    try:
        return await clocks.run(folder, plan)
    except CannotRun as why:
        pytest.skip(str(why))


def test_a_full_disk_loses_nothing_acknowledged_and_work_goes_on_by_itself() -> None:
    """Tables that cannot grow, and a write-ahead log that cannot; then with creates acknowledged early, which must be lost."""
    for seed in ("1", "2"):  # a busy machine may have committed all that was acknowledged early when the disk is full
        drill = [sys.executable, "-m", "tests.drills", "disk", "--short", "--seed", seed]
        ran = subprocess.run(drill, cwd=CHECKOUT, capture_output=True, text=True, check=False)
        if "and none was lost" not in ran.stdout:
            break
    if ran.returncode == SKIPPED:
        pytest.skip(ran.stdout)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert ran.stdout.count("HELD") == 3


async def test_one_users_many_jobs_keep_anothers_one_waiting_no_longer_than_promised(
    database_url: str, tmp_path: Path
) -> None:
    plan = fair.Plan(jobs=2_000, singles=6, seed=1, processes=2, workers_each=4)
    assert (await fair.run(database_url, plan, tmp_path / "log")).broken(plan, slack=3.0) == []


async def test_by_arrival_they_keep_it_waiting(database_url: str, tmp_path: Path) -> None:
    plan = fair.Plan(jobs=2_000, singles=2, seed=1, processes=2, workers_each=4, by_arrival=True)
    report = await fair.run(database_url, plan, tmp_path / "log")
    assert max(report.loaded_s) > 20 * plan.run_s


async def test_limits_are_not_passed_and_leak_no_slot_while_workers_are_killed(
    database_url: str, tmp_path: Path
) -> None:
    """A minute's rate is the drill's affair; tests/database has it by a clock that is moved."""
    plan = limits.Plan(jobs=100, kills=2, rated_s=0.0, seed=1, processes=2, workers_each=2)
    report = await limits.run(database_url, plan, tmp_path / "log")
    assert report.broken(plan) == []
    assert report.killed
