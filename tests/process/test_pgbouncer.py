"""R11 in short: the queue's own tests, and killed and frozen workers, through a PgBouncer in transaction mode.

At full length: `./jobs test tests/database --pgbouncer`, and `./jobs drill kill --pgbouncer` (cuts and stateful take it, too).
"""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.drills import kill
from tests.support.database import by_way_of
from tests.support.pgbouncer import MISSING, pgbouncer, program
from tests.support.up import CHECKOUT, Home

PARTS = ("claims", "settle", "lanes", "wait_races", "limits")
"""Of tests/database: what holds locks over statements, or races; the drill below has the workers."""

pytestmark = [pytest.mark.skipif(not program(), reason=MISSING), pytest.mark.timeout(300)]


@pytest.fixture
def pooled_url(direct_url: str, server_dsn: str) -> Iterator[str]:
    """A fresh database through a PgBouncer."""
    with pgbouncer(server_dsn) as dsn:
        yield by_way_of(dsn, direct_url)


def test_the_queues_own_tests_pass_through_it() -> None:
    files = [f"tests/database/test_{part}.py" for part in PARTS]
    command = [sys.executable, "-m", "pytest", "--pgbouncer", "-p", "no:cacheprovider", *files]
    ran = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout[-20_000:] + ran.stderr
    assert "skipped" not in ran.stdout


async def test_killed_and_frozen_workers_behind_it_lose_nothing_and_double_nothing(
    pooled_url: str, tmp_path: Path
) -> None:
    """One that is frozen inside a transaction holds a server connection, which is freed as soon as without a pooler."""
    report = await kill.run(pooled_url, kill.Plan(jobs=4_000, kills=2, freezes=2), tmp_path / "log")
    assert kill.held(report, slack=3.0), report


def test_up_behind_it_says_what_is_weaker_and_works(pooled_url: str, tmp_path: Path) -> None:
    home = Home(tmp_path)
    with home.up("--processes", "1", DATABASE_URL=pooled_url) as up:
        assert home.json("create", "hello", "--input", '{"name": "Ada"}', "--wait")["state"] == "complete"
        assert up.log.read_text().count("DATABASE_URL leads through a pooler") == 1
