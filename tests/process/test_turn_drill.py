"""A chat turn cut at each of its nine points, once; `./jobs drill turn` does it twenty times, and freezes workers as well."""

from pathlib import Path

import pytest

from tests.drills.turn import Plan, run

pytestmark = pytest.mark.timeout(300)


async def test_a_turn_whose_worker_is_killed_at_any_point_is_asked_once_and_answered_once(
    database_url: str, tmp_path: Path
) -> None:
    report = await run(database_url, Plan(times=1), tmp_path)
    assert report.broken == []
    assert len(report.took_s) == 9


@pytest.mark.parametrize(
    ("mutant", "point", "broken"),
    [
        ("ask_anew", "answered", "requests: 2, not 1"),
        ("send_the_prompt_again", "asked", "prompts of asked in it: 2, not 1"),
    ],
)
async def test_without_the_resume_recipe_the_drill_breaks(
    database_url: str, tmp_path: Path, mutant: str, point: str, broken: str
) -> None:
    report = await run(database_url, Plan(times=1, points=(point,), mutant=mutant), tmp_path)
    assert any(broken in line for line in report.broken), report
