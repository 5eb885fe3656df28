"""What tests with the real Claude Code CLI stand on: one simulator for all of them, and a session in Postgres."""

from collections.abc import Iterator
from pathlib import Path

import pytest

import simulator
from jobs_core import Database
from simulator.client import SimulatorControl
from tests.support.sessions import KEY, Chat
from tests.support.up import Home


@pytest.fixture(scope="session")
def running_simulator() -> Iterator[SimulatorControl]:
    """A simulator that takes one key."""
    with simulator.running(api_key=KEY) as control:
        yield control


@pytest.fixture
async def sim(running_simulator: SimulatorControl) -> SimulatorControl:
    """The simulator, without scripts or recorded requests."""
    await running_simulator.reset()
    return running_simulator


@pytest.fixture
async def chat(database: Database) -> Chat:
    """A session that has no turn yet."""
    return await Chat(database).begin()


@pytest.fixture
def home(tmp_path: Path, database_url: str) -> Home:
    """A folder whose commands find a fresh database."""
    return Home(tmp_path, database_url=database_url)
