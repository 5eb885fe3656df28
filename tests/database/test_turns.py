"""Turns: jobs of one type, queue and class go round by whose they are."""

import pytest

from jobs_core import Connection, Database, Jobs
from tests.support.turns import create, in_turn, table


@pytest.fixture
async def jobs(database: Database):
    async with Jobs(database, table()) as creator:
        yield creator


async def test_users_go_round(jobs: Jobs, conn: Connection, worker_id: int) -> None:
    await create(jobs, *"AAAAA", *"BB", "C")
    assert await in_turn(conn, worker_id, 8) == "ABCABAAA"
