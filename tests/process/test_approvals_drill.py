"""R24 in its short form; `./jobs drill approvals` runs 2,000 races."""

from datetime import UTC, datetime

import pytest

from tests.drills.approvals import MUTANTS, Plan, run

pytestmark = pytest.mark.timeout(300)


async def test_whoever_decides_and_whatever_is_lost_a_call_is_decided_once_and_run_once_at_most(
    database_url: str,
) -> None:
    seed = datetime.now(UTC).toordinal()
    report = await run(database_url, Plan(races=25, seed=seed))
    assert report.broken == {}, f"seed {seed}"
    assert sum(report.ended.values()) == 25


@pytest.mark.parametrize("mutant", MUTANTS)
async def test_without_one_of_its_guards_the_drill_breaks(database_url: str, mutant: str) -> None:
    report = await run(database_url, Plan(races=6, seed=1, mutant=mutant))
    assert any("did not end" not in what for what in report.broken), report
