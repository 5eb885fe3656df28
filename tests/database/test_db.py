"""Connections: what psycopg's pool leaves to be done."""

import asyncio

import pytest

from jobs_core import Database, Jobs, fetch_one
from jobs_core.wake import Ready
from tests.support.job_types import table


@pytest.mark.parametrize("turns", range(4))
async def test_a_cancel_that_comes_together_with_the_connection_is_not_lost(database_url: str, turns: int) -> None:
    """Or whoever cancelled, here the end of `Jobs`, would wait for ever."""
    async with Database(database_url, name="tests", max_connections=1) as database:
        jobs = await Jobs(database, table()).__aenter__()
        async with database.connection():
            jobs.notifier.wake([Ready("default", "note")])
            await asyncio.sleep(0.01)
        for _ in range(turns):
            await asyncio.sleep(0)
        async with asyncio.timeout(10):
            await jobs.__aexit__()


async def test_a_process_frozen_inside_a_transaction_lets_go_in_bounded_time(database_url: str) -> None:
    async with (
        Database(database_url, name="tests", idle_in_transaction_s=0.2) as database,
        database.transaction() as conn,
    ):
        row = await fetch_one(conn, "SHOW idle_in_transaction_session_timeout")
    assert row == {"idle_in_transaction_session_timeout": "200ms"}
