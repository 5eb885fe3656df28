"""The drills in their short form: real processes, killed and frozen. `./jobs drill NAME` runs them at full length."""

from pathlib import Path

import pytest

from tests.drills import kill, lanes

pytestmark = pytest.mark.timeout(300)


async def test_killed_and_frozen_workers_lose_nothing_double_nothing_and_complete_nothing_stale(
    database_url: str, tmp_path: Path
) -> None:
    """Half of its faults; the other half is the next test's."""
    report = await kill.run(database_url, kill.Plan(jobs=20_000, kills=6, freezes=4), tmp_path / "log")
    assert kill.held(report, slack=3.0), report


async def test_with_the_workers_own_deadlines_off_the_fence_alone_holds(database_url: str, tmp_path: Path) -> None:
    report = await kill.run(
        database_url, kill.Plan(jobs=10_000, kills=6, freezes=4, mode="fence_only"), tmp_path / "log"
    )
    assert kill.held(report, slack=3.0), report


async def test_without_the_fence_the_same_drill_shows_stale_completions(database_url: str, tmp_path: Path) -> None:
    report = await kill.run(database_url, kill.Plan(jobs=16_000, kills=0, freezes=3, mode="no_fence"), tmp_path / "log")
    assert report.verdict is not None
    assert report.verdict.stale > 0


async def test_lanes_strand_nothing_and_keep_their_order_while_processes_are_killed(database_url: str) -> None:
    seen = await lanes.run(database_url, lanes.Plan(jobs=250, kills=5, seed=1))
    assert (seen.left, seen.inversions, seen.stranded) == (0, 0, 0)


async def test_with_the_lock_folded_into_the_looking_statement_lanes_strand(database_url: str) -> None:
    seen = await lanes.run(database_url, lanes.Plan(jobs=250, kills=0, seed=1, how="folded"))
    assert seen.stranded > 0
