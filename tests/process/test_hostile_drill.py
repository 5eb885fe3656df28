"""R16 in its short form: real doors, and what strangers and broken programs send."""

from pathlib import Path

import pytest
from structlog.testing import capture_logs

from tests.drills.hostile import Plan, run
from tests.drills.hostile_types import ENDINGS


async def test_hostile_payloads_are_refused_by_name_and_stop_nothing(database_url: str, tmp_path: Path) -> None:
    plan = Plan(payloads=400, commands=2, endings=len(ENDINGS), seed=16)
    with capture_logs():  # as they stand without set_up_logs they print what is 10,000 deep, for minutes
        report = await run(database_url, tmp_path, plan)
    assert report.broken(plan) == []
    assert report.sent.keys() == {"POST", "GET", "create", "environment", "command"}


async def test_without_the_gates_walk_the_same_drill_shows_what_it_let_in(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the drill's own program; the web process keeps its gate."""
    monkeypatch.setattr("jobs_core.gate._walk", lambda *_: None)
    plan = Plan(payloads=300, commands=0, endings=0, seed=16)
    report = await run(database_url, tmp_path, plan)
    assert "create" in {kind.split(" ")[0] for kind in report.wrong}
    assert report.broken(plan)
