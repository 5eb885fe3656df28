"""What the door says of itself, to anybody: /health and /metrics."""

import asyncio
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from cli.rooms import ROOMS
from gateways.web.shared import Shared
from jobs_core import Connection, Database, Jobs, execute
from jobs_core.leases import register, retire
from tests.support.job_types import NOTE
from tests.support.web import calling, door, error_of


def samples(text: str) -> dict[str, float]:
    """Each sample's value, by its name and labels as Prometheus writes them."""
    return {
        sample.name + "".join(f",{name}={value}" for name, value in sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


async def test_the_door_is_healthy_while_a_worker_lives(jobs: Jobs, conn: Connection) -> None:
    async with calling(door(jobs), token=None) as client:
        waiting = await client.get("/health")
        assert (waiting.status_code, waiting.json()["status"]) == (503, "no worker is alive")
        worker_id = await register(conn, queues=["default"], job_types=[], slots=1, lease_s=600)
        ready = await client.get("/health")
        assert ready.status_code == 200
        assert ready.json() == {"status": "ready", "workers": 1, "version": "1.2.3", "model": "a model"}
        await retire(conn, worker_id)
        assert (await client.get("/health")).status_code == 503


async def test_a_schema_that_does_not_fit_the_code_is_not_healthy(jobs: Jobs, conn: Connection) -> None:
    await register(conn, queues=["default"], job_types=[], slots=1, lease_s=600)
    await execute(conn, "UPDATE jobs.migrations SET number = number + 90 WHERE room = %(room)s", {"room": ROOMS[-1]})
    async with calling(door(jobs), token=None) as client:
        response = await client.get("/health")
    assert (response.status_code, "schema" in response.json()["status"]) == (503, True)


async def test_a_database_that_is_away_is_said_and_nothing_is_acknowledged(jobs: Jobs) -> None:
    async with (
        Database("postgresql://nobody@127.0.0.1:1/none", name="tests, nowhere") as away,
        calling(door(Jobs(away, jobs.table), chat_wait_s=0.0)) as client,
    ):
        health, chat, create, metrics = await asyncio.gather(
            client.get("/health"),
            client.post("/api/chat", json={"message": "hello"}),
            client.post("/api/jobs", json={"job_type": "note"}),
            client.get("/metrics"),
        )
    assert (health.status_code, health.json()["status"]) == (503, "the database cannot be reached")
    for refused in (chat, create):
        assert error_of(refused, 503)["code"] == "database_away"
        assert int(refused.headers["retry-after"]) > 0
    assert metrics.status_code == 200
    assert samples(metrics.text)["jobs_database_up"] == 0


async def test_metrics_show_what_stands_in_the_database_and_what_was_counted(jobs: Jobs, conn: Connection) -> None:
    await register(conn, queues=["default"], job_types=[], slots=1, lease_s=600)
    for _ in range(3):
        await jobs.create(NOTE, {})
    async with calling(door(jobs), token=None) as client:
        response = await client.get("/metrics")
    assert response.headers["content-type"].startswith("text/plain")
    seen = samples(response.text)
    assert seen["jobs_living,job_type=note,queue=default,state=ready"] == 3
    assert seen["jobs_created_total,job_type=note"] >= 3
    assert seen["jobs_workers"] == 1
    assert seen["jobs_history_days_ahead"] == -1
    assert "jobs_rescued_total" in seen


async def test_with_many_processes_metrics_show_what_all_of_them_counted(database_url: str, tmp_path: Path) -> None:
    """Two processes count and end; a third one's door shows the sum."""
    environ = {**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(tmp_path)}
    count = "from jobs_core import metrics; metrics.rescued.inc(2)"
    show = """
import asyncio, sys
from jobs_core import Database, Jobs
from tests.support.job_types import table
from tests.support.web import calling, door

async def main():
    async with Database(sys.argv[1], name="tests") as database:
        async with calling(door(Jobs(database, table())), token=None) as client:
            print((await client.get("/metrics")).text)

asyncio.run(main())
"""

    def run(code: str) -> str:
        command = [sys.executable, "-c", code, database_url]
        return subprocess.run(command, env=environ, check=True, capture_output=True, text=True).stdout

    for _ in range(2):
        run(count)
    assert samples(run(show))["jobs_rescued_total"] == 4


async def test_all_who_ask_at_once_share_one_look() -> None:
    looks, may_end = list[int](), asyncio.Event()

    async def look() -> int:
        looks.append(1)
        await may_end.wait()
        return len(looks)

    shared = Shared(look)
    asking = [asyncio.create_task(shared()) for _ in range(20)]
    await asyncio.sleep(0)
    asking[0].cancel()  # one who goes away does not end it for the others
    may_end.set()
    told: list[Any] = await asyncio.gather(*asking, return_exceptions=True)
    assert told[1:] == [1] * 19
    assert await shared() == 2


async def test_a_look_that_fails_fails_for_all_who_asked_and_is_done_anew() -> None:
    outcomes = [ValueError("no"), None]

    async def look() -> str:
        await asyncio.sleep(0)
        if error := outcomes.pop(0):
            raise error
        return "yes"

    shared = Shared(look)
    told = await asyncio.gather(shared(), shared(), return_exceptions=True)
    assert [type(error) for error in told] == [ValueError, ValueError]
    assert await shared() == "yes"


@pytest.mark.parametrize("path", ["/health", "/metrics"])
async def test_open_routes_take_few_connections_however_many_ask(database: Database, jobs: Jobs, path: str) -> None:
    """Without the shared look each of them takes one."""
    before = database._pool.get_stats().get("requests_num", 0)
    async with calling(door(jobs), token=None) as client:
        await asyncio.gather(*(client.get(path) for _ in range(100)))
    assert database._pool.get_stats()["requests_num"] - before < 20
