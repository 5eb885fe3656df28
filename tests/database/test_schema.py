"""A schema of another name, from its first migration to a wake-up. In a process of its own: a process has one schema."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.database import fresh_database, rows_of

WORK_IN_IT = """
import asyncio, os
from cli.rooms import ROOMS
from jobs_core import Complete, Database, HandlerTable, Jobs, db
from jobs_core.look import find
from jobs_core.migrations import migrate
from jobs_core.statements import use_schema
from tests.support.job_types import LANE_NOTE, Note
from workers.settings import WorkerSettings
from workers.worker import Worker

async def main(dsn):
    async with await db.connect(dsn, name="tests") as conn:
        await migrate(conn, ROOMS)
    done = asyncio.Queue()
    async def handle(job):
        async def also(conn):
            done.put_nowait(job.id)
        return Complete({"text": job.input.text}, also=also)
    table = HandlerTable()
    table.register_handler(LANE_NOTE, handle)
    async with Database(dsn, name="tests") as database, Jobs(database, table) as jobs:
        worker = Worker(jobs, queues=["default"], settings=WorkerSettings.read(poll_s=300, upkeep_s=60))
        run = asyncio.create_task(worker.run())
        while not worker._listener.listening:
            await asyncio.sleep(0.01)
        for text in ("first", "second"):  # no poll comes: only the wake-up finds them
            await jobs.create(LANE_NOTE, Note(lane="a", text=text))
            await asyncio.wait_for(done.get(), 15)
        worker.drain()
        await run

use_schema(os.environ["JOBS_SCHEMA"])
asyncio.run(main(os.environ["DATABASE_URL"]))
"""


def run(dsn: str, schema: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """A Python process with these settings."""
    environment = {**os.environ, "DATABASE_URL": dsn, "JOBS_SCHEMA": schema}
    return subprocess.run(
        [sys.executable, *arguments],
        env=environment,
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_a_schema_may_be_called_what_sql_means_something_by(server_dsn: str) -> None:
    with fresh_database(server_dsn, template="template0") as dsn:
        ended = run(dsn, "order", "-c", WORK_IN_IT)
        assert ended.returncode == 0, ended.stderr
        history = rows_of(dsn, 'SELECT state, result FROM "order".history ORDER BY id')
        schemas = rows_of(dsn, "SELECT nspname FROM pg_namespace WHERE nspname IN ('jobs', 'order')")
    assert history == [{"state": "complete", "result": {"text": text}} for text in ("first", "second")]
    assert schemas == [{"nspname": "order"}], "nothing may stand in the schema of the usual name"


@pytest.mark.parametrize("name", ["s" * 59, "pg_x"])
def test_a_command_refuses_a_name_that_will_not_do_in_one_line(server_dsn: str, name: str) -> None:
    ended = run(server_dsn, name, "-m", "cli", "migrate")
    assert ended.returncode == 1
    assert ended.stdout == ""
    assert ended.stderr.startswith(f"jobs: JOBS_SCHEMA='{name}' is not a schema name: use lower-case letters")
    assert ended.stderr.count("\n") == 1
