"""A handler forks and returns in both processes: the child ends where the handler does, and runs nobody else's job."""

import subprocess
import sys
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parents[2]

WORKER = """
import asyncio, os, sys
from jobs_core import Complete, Database, HandlerTable, Jobs, NewJob
from tests.support.job_types import BRIEF_NOTE, NOTE
from workers.forks import keep_forks_apart
from workers.settings import WorkerSettings
from workers.worker import Worker

keep_forks_apart()
worker, children = os.getpid(), []

def say(*words):
    os.write(1, (" ".join(map(str, words)) + "\\n").encode())

async def handle(job):
    if job.input.text == "forks":
        child = os.fork()
        if child: children.append(child)
    elif os.getpid() != worker:
        say("the child runs another job")
    return Complete()

def plain(job):
    if job.input.text == "forks":
        child = os.fork()
        if child: children.append(child)
    return Complete()

async def main():
    table = HandlerTable()
    kind = BRIEF_NOTE if "brief" in sys.argv else NOTE
    table.register_handler(kind, plain if "plain" in sys.argv else handle)
    async with Database(sys.argv[1], name="test") as database, Jobs(database, table) as jobs:
        await jobs.create_many([NewJob(kind, {"text": "forks"}), *(NewJob(kind, {}) for _ in range(50))])
        running = Worker(jobs, queues=["default"], settings=WorkerSettings.read(slots=2))
        work = asyncio.create_task(running.run())
        async with database.connection() as conn:
            while await (await conn.execute("SELECT 1 FROM jobs.jobs LIMIT 1")).fetchone():
                await asyncio.sleep(0.02)
        running.drain()
        await work
    for child in children:
        say("the child ended with", os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))

asyncio.run(main())
"""


@pytest.mark.parametrize("kind", ["brief", "ordinary", "plain"])
def test_a_child_that_returns_from_its_handler_ends_there(database_url: str, mark: str, kind: str) -> None:
    ran = subprocess.run(
        [sys.executable, "-c", WORKER, database_url, kind],
        cwd=CHECKOUT,
        stdout=subprocess.PIPE,
        text=True,
        timeout=60,
        check=False,
    )
    assert [line for line in ran.stdout.splitlines() if "child" in line] == ["the child ended with 77"]
