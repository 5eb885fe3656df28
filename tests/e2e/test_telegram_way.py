"""A message by Telegram to its answer, with the real CLI and an approval by button; `./jobs drill telegram` cuts all of it."""

from pathlib import Path

import pytest

from tests.drills.telegram_way import Plan, run

pytestmark = pytest.mark.timeout(300)


async def test_a_message_whose_door_is_killed_at_the_press_and_at_the_answer_is_answered_once(
    database_url: str, tmp_path: Path
) -> None:
    """The tool runs once, when it was approved; what was sent and not recorded is not sent again."""
    report = await run(database_url, Plan(times=0, points=("K13", "K12")), tmp_path)
    assert report.broken == []
    assert report.struck == {"K13": 1, "K12": 1}
