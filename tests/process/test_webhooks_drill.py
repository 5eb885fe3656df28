"""R27 in its short form; `./jobs drill webhooks` sends 10,000 events."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path

from cli.embedded_postgres import EmbeddedPostgres
from tests.drills.servers import make_ready
from tests.drills.webhooks import Plan, missed, run


async def test_whatever_is_killed_each_event_that_was_acknowledged_has_its_one_job(tmp_path: Path) -> None:
    seed = datetime.now(UTC).toordinal()
    with EmbeddedPostgres(tmp_path / "pg") as server:
        await make_ready(server.dsn)
        async with asyncio.timeout(120):
            report = await run(server.dsn, Plan(100, 1, 1, seed), server)
    assert report.broken == [], f"seed {seed}"
    assert report.acknowledged == 100
    assert report.statuses["200"]
    assert report.statuses["409"]


async def test_with_a_guard_left_out_the_drill_breaks(database_url: str) -> None:
    """`./jobs drill webhooks` leaves each of three out."""
    plan = Plan(80, 1, 0, 1, "answer_first")
    async with asyncio.timeout(120):
        report = await run(database_url, plan)
    assert missed(plan, report) == []
