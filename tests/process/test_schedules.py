"""Schedules with real processes: the drill in its short form, and an evaluator that is killed before its commit."""

from datetime import UTC, datetime, timedelta

from tests.drills import schedules as drill

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
    plan = drill.Plan(12, *ONE_GAP, seed=1, around=timedelta(minutes=10), evaluators=2, croniters=True)
    report = await drill.run(database_url, plan)
    assert report.missing
    assert report.extra
