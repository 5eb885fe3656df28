"""Jobs that kill their worker, in the short form of `./jobs drill poison`: real processes that really die."""

from pathlib import Path

import pytest

from tests.drills import poison

pytestmark = pytest.mark.timeout(120)


async def test_of_jobs_that_kill_their_worker_exactly_those_fail_and_no_process_is_left(
    database_url: str, tmp_path: Path
) -> None:
    plan = poison.Plan(jobs=600, poison=8, seed=1)
    report = await poison.run(database_url, plan, tmp_path / "log")
    assert not poison.broken(plan, report), report


async def test_with_a_plain_limit_and_nobody_alone_innocent_jobs_fail_too(database_url: str, tmp_path: Path) -> None:
    report = await poison.run(database_url, poison.Plan(jobs=200, poison=4, seed=1, mode="plain"), tmp_path / "log")
    assert report.counted["innocent_failed"] > 0
