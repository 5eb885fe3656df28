"""Fixtures that most tests stand on: one Postgres for the whole run, a fresh migrated database for each test."""

from collections.abc import AsyncIterator, Iterator

import pytest

from jobs_core import Database
from tests.support.database import TEMPLATE, fresh_database, make_template, run_sql, server


@pytest.fixture(scope="session")
def server_dsn(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The server all tests share; `TEMPLATE` on it is migrated."""
    with server(tmp_path_factory.mktemp("postgres")) as dsn:
        make_template(dsn)
        yield dsn
        run_sql(dsn, f"DROP DATABASE {TEMPLATE} WITH (FORCE)")


@pytest.fixture
def database_url(server_dsn: str) -> Iterator[str]:
    """The DSN of a fresh migrated database."""
    with fresh_database(server_dsn) as dsn:
        yield dsn


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    """A pool on a fresh migrated database."""
    async with Database(database_url, name="tests") as pool:
        yield pool
