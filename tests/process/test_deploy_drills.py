"""The drills of deploys in their short form: real supervisors, drained and replaced, and a migration under them."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.drills import migrate, rolling
from tests.drills.report import CannotRun
from tests.support.database import fresh_database

pytestmark = pytest.mark.timeout(300)


@pytest.fixture
def empty_database(server_dsn: str) -> Iterator[str]:
    with fresh_database(server_dsn, template="template1") as dsn:
        yield dsn


async def test_a_rolling_restart_of_two_versions_loses_nothing_and_charges_nothing(
    database_url: str, tmp_path: Path
) -> None:
    plan = rolling.Plan(1, seed=1, supervisors=2, processes=1, per_s=30.0)
    report = await rolling.run(database_url, plan, tmp_path / "site")
    assert report.broken(slack=3.0) == []


async def test_a_drain_that_abandons_its_runs_charges_attempts(database_url: str, tmp_path: Path) -> None:
    assert rolling.missed(await rolling.run(database_url, rolling.faulty("abandon", 1), tmp_path / "site")) == []


async def test_a_migration_under_the_previous_code_stops_nobody(empty_database: str, tmp_path: Path) -> None:
    """From the released code where git has it, else from today's."""
    plan = migrate.Plan("released", 200, seed=1, rows=20_000, reader_s=1.0, per_s=40.0, supervisors=1)
    try:
        report = await migrate.run(empty_database, plan, tmp_path)
    except CannotRun:
        report = await migrate.run(empty_database, replace(plan, since="today"), tmp_path)
    assert report.broken(plan, slack=3.0) == []


async def test_a_migration_that_waits_for_locks_stops_everybody(empty_database: str, tmp_path: Path) -> None:
    assert migrate.missed(await migrate.run(empty_database, migrate.faulty(1), tmp_path)) == []
