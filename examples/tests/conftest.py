"""Each test has a database of its own, with the program's tables in it."""

import asyncio
import os
from collections.abc import AsyncIterator, Iterator

import pytest

from jobs_core import Database, Jobs
from own_program.orders import build_table, set_up
from workers.testing import new_database

SERVER = os.environ["DATABASE_URL"]
"""A server for tests, whose user may create databases."""


@pytest.fixture(scope="session")
def template() -> Iterator[str]:
    """What each test's database is a copy of."""
    with new_database(SERVER) as dsn:
        asyncio.run(set_up(dsn))
        yield dsn


@pytest.fixture
async def jobs(template: str) -> AsyncIterator[Jobs]:
    """The program's jobs. No worker runs."""
    with new_database(SERVER, like=template) as dsn:
        async with Database(dsn, name="tests") as database, Jobs(database, build_table()) as jobs:
            yield jobs
