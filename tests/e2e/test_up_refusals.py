"""What `./jobs up` cannot work with ends it with one line that says so, and nothing half-started stays."""

from pathlib import Path

import pytest

from simulator.client import SimulatorControl
from tests.support.sessions import KEY
from tests.support.up import Home, refused


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("postgresql://user:hidden@127.0.0.1:1/db", "Connection refused"),
        ("postgresql://user:hidden@name.invalid/db", "name.invalid"),
        ("127.0.0.1:5432/db?password=hidden", "is not a Postgres URL"),
    ],
)
def test_a_wrong_database_url(tmp_path: Path, url: str, says: str) -> None:
    line = refused(Home(tmp_path), DATABASE_URL=url)
    assert says in line
    assert "hidden" not in line


def test_a_database_that_does_not_exist(tmp_path: Path, server_dsn: str) -> None:
    from tests.support.database import with_database

    assert '"nowhere" does not exist' in refused(Home(tmp_path), DATABASE_URL=with_database(server_dsn, "nowhere"))


def test_a_server_that_would_lose_acknowledged_jobs(tmp_path: Path, database_url: str) -> None:
    from tests.support.database import run_sql

    name = database_url.rsplit("/", 1)[1]
    run_sql(database_url, f"ALTER DATABASE {name} SET synchronous_commit = off")
    assert "synchronous_commit is off" in refused(Home(tmp_path), DATABASE_URL=database_url)


def test_a_missing_cli(tmp_path: Path) -> None:
    assert "/nowhere/claude is missing" in refused(Home(tmp_path), JOBS_CLAUDE_CLI="/nowhere/claude")


def test_handlers_that_cannot_be_imported(tmp_path: Path) -> None:
    assert "JOBS_HANDLERS: nowhere.handlers cannot be used" in refused(Home(tmp_path), JOBS_HANDLERS="nowhere.handlers")


def test_a_key_that_the_api_refuses(tmp_path: Path, sim: SimulatorControl) -> None:
    """The branch of the real API, run against the simulator under another base URL."""
    line = refused(Home(tmp_path), ANTHROPIC_BASE_URL=sim.url, ANTHROPIC_API_KEY="wrong")
    assert "wrong" not in line
    assert "key" in line


def test_an_api_that_cannot_be_reached(tmp_path: Path) -> None:
    line = refused(Home(tmp_path), ANTHROPIC_BASE_URL="http://127.0.0.1:1", ANTHROPIC_API_KEY="any")
    assert "http://127.0.0.1:1 cannot be reached" in line


def test_with_a_key_that_works_the_real_api_serves(tmp_path: Path, sim: SimulatorControl) -> None:
    """Nothing else differs; the simulator of `up` itself is not started."""
    home = Home(tmp_path)
    with home.up(ANTHROPIC_BASE_URL=sim.url, ANTHROPIC_API_KEY=KEY) as up:
        assert up.model == "api"
        assert "simulator" not in up.children()
        assert home.json("chat", "[[text From the API.]]")["response"] == "From the API."
        assert up.stop() == 0
    assert home.left() == []
