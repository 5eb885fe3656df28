"""What tests with the real Claude Code CLI stand on: a session in Postgres, and a folder for commands."""

from pathlib import Path

import pytest

from jobs_core import Database
from tests.support.sessions import Chat
from tests.support.up import Home


@pytest.fixture
async def chat(database: Database) -> Chat:
    """A session that has no turn yet."""
    return await Chat(database).begin()


@pytest.fixture
def home(tmp_path: Path, database_url: str) -> Home:
    """A folder whose commands find a fresh database."""
    return Home(tmp_path, database_url=database_url)
