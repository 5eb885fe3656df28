"""R27 in its short form; `./jobs drill webhooks` sends 10,000 events."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path

import pytest

from cli.embedded_postgres import EmbeddedPostgres
from tests.drills.servers import make_ready
from tests.drills.webhooks import Plan, missed, run


async def test_whatever_is_killed_each_event_that_was_acknowledged_has_its_one_job(tmp_path: Path) -> None:
    seed = datetime.now(UTC).toordinal()
    with EmbeddedPostgres(tmp_path / "pg") as server:
        await make_ready(server.dsn)
        async with asyncio.timeout(120):
            report = await run(server.dsn, Plan(150, 1, 1, seed), server)
    assert report.broken == [], f"seed {seed}"
    assert report.acknowledged == 150
    assert report.statuses["200"]
    assert report.statuses["409"]


@pytest.mark.parametrize("mutant", ["answer_first", "apart"])
async def test_with_a_guard_left_out_the_drill_breaks(database_url: str, mutant: str) -> None:
    """What repeats do to a door without memory, tests of the database show; `./jobs drill webhooks` has all mutants."""
    plan = Plan(120, 1, 0, 1, mutant)
    async with asyncio.timeout(120):
        report = await run(database_url, plan)
    assert missed(plan, report) == []
