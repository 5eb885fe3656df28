"""The drills of budgets and of the provider's storms in their short form. `./jobs drill NAME` runs them at full length."""

from pathlib import Path

import pytest

from tests.drills import budget, storm

pytestmark = pytest.mark.timeout(300)
SLACK = 3.0


async def test_two_workers_at_the_last_dollar_pass_no_cap_and_leave_nothing_unbooked(
    database_url: str, tmp_path: Path
) -> None:
    report = await budget.run(database_url, budget.Plan(rounds=5, seed=1, real=False), tmp_path)
    assert report.wrong == []
    assert report.waited
    assert report.died


async def test_with_accounts_that_are_not_locked_both_get_the_last_dollar(database_url: str, tmp_path: Path) -> None:
    report = await budget.run(database_url, budget.Plan(rounds=3, seed=1, real=False, unlocked=True), tmp_path)
    assert any("passed" in what for what in report.wrong), report


async def test_a_session_that_never_stops_is_stopped_and_one_without_a_ledger_asks_nothing(
    database_url: str, tmp_path: Path
) -> None:
    """With the real CLI and the model proxy."""
    report = await budget.run(database_url, budget.Plan(rounds=0, seed=1), tmp_path)
    assert report.wrong == []
    assert len(report.endless_usd) == 2


async def test_a_storm_costs_no_retry_and_is_over_soon_after_it_heals(database_url: str, tmp_path: Path) -> None:
    plan = storm.Plan(jobs=30, storm_s=2.0, storms=("429", "401"), real=0)
    report = await storm.run(database_url, plan, tmp_path)
    assert report.broken(SLACK) == [], report


async def test_the_real_cli_hands_a_limit_on_and_all_go_on_when_it_is_over(database_url: str, tmp_path: Path) -> None:
    report = await storm.run(database_url, storm.Plan(storm_s=1.0, storms=(), real=2), tmp_path)
    assert (report.left, report.retries) == (0, 0), report  # how long a CLI takes to start is the machine's affair
    assert 0 < report.real_asked <= 3, "one at a time, and none is repeated by the CLI itself"


async def test_where_every_run_may_try_they_run_into_it_together(database_url: str, tmp_path: Path) -> None:
    plan = storm.Plan(jobs=30, storm_s=2.5, storms=("429",), real=0, mutant="all_try")
    assert (await storm.run(database_url, plan, tmp_path)).at_once > 1


async def test_where_nothing_is_known_of_the_provider_retries_are_spent(database_url: str, tmp_path: Path) -> None:
    plan = storm.Plan(jobs=3, storm_s=0.5, storms=("529",), real=0, mutant="counted")
    assert (await storm.run(database_url, plan, tmp_path)).retries
