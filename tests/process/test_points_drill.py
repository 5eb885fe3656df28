"""R4 and R5 in their short form; `./jobs drill points` and `./jobs drill zombie` run them at full length."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.drills import points, zombie
from tests.drills.points_way import POINTS
from tests.drills.zombie_writes import WRITES

pytestmark = pytest.mark.timeout(300)


def test_a_fault_at_any_point_of_a_jobs_way_costs_what_it_may_and_nothing_else(server_dsn: str, tmp_path: Path) -> None:
    """A third of the points: killed, frozen or cut off; other points and another fault each day."""
    today = datetime.now(UTC).toordinal()
    struck = tuple(point.name for point in POINTS[today % 3 :: 3])
    report = points.run(server_dsn, points.Plan(times=1, seed=today, points=struck, rotating=True), tmp_path)
    assert report.broken == [], f"seed {today}"
    assert sum(report.trials.values()) == len(struck)


def test_with_a_settle_of_several_transactions_a_kill_strands_a_lane_and_leaks_a_slot(
    server_dsn: str, tmp_path: Path
) -> None:
    struck = ("follower_blocked", "slots_unfreed")
    plan = points.Plan(times=1, faults=("kill",), points=struck, labs=2, mutant="split_settle")
    broken = " ".join(points.run(server_dsn, plan, tmp_path).broken)
    assert "S11: blocked, and nobody is ahead of it" in broken
    assert "S12: leaked" in broken


def test_without_a_steps_fence_a_woken_zombie_records_one(server_dsn: str, tmp_path: Path) -> None:
    plan = points.Plan(times=1, faults=("freeze",), points=("step_uncommitted",), labs=1, mutant="unfenced_steps")
    assert "stale step of job" in " ".join(points.run(server_dsn, plan, tmp_path).broken)


async def test_a_woken_zombie_is_refused_every_write_and_its_agents_are_dead(database_url: str, tmp_path: Path) -> None:
    plan = zombie.Plan(rounds=1, jobs=10)
    assert (await zombie.run(database_url, plan, tmp_path)).broken(plan) == []


async def test_without_fences_each_of_its_writes_is_accepted(database_url: str, tmp_path: Path) -> None:
    plan = zombie.Plan(rounds=1, jobs=len(WRITES), fence="out")
    assert (await zombie.run(database_url, plan, tmp_path)).missed() == []
