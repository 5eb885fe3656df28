"""Looking for jobs through the web door: filters, and the attempts of one job."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from jobs_core import Complete, Connection, Fail, Jobs, Retry
from jobs_core.settle import settle
from tests.database.conftest import ClaimAll
from tests.support.job_types import LANE_NOTE, NOTE
from tests.support.web import calling, door, error_of

JOBS = "/api/jobs"


async def test_jobs_are_found_by_user_lane_and_time(jobs: Jobs, conn: Connection, claim_all: ClaimAll) -> None:
    ada = (await jobs.create(NOTE, {}, user_id="ada")).id
    laned = (await jobs.create(LANE_NOTE, {"lane": "a"}, user_id="bob")).id
    for job in await claim_all():
        await settle(conn, job, Complete() if job.id == ada else Fail("no"), NOTE)
    later = (await jobs.create(NOTE, {}, user_id="ada", scheduled_for=timedelta(hours=1))).id
    moment = datetime.now(UTC) + timedelta(hours=1)

    async with calling(door(jobs)) as client:

        async def listed(**query: Any) -> list[int]:
            return [job["id"] for job in (await client.get(JOBS, params=query)).json()["jobs"]]

        assert await listed(user_id="ada") == [later, ada]
        assert await listed(user_id="ada", state="complete") == [ada]
        assert await listed(lane="a") == await listed(user_id="bob") == [laned]
        assert await listed(since=(moment - timedelta(hours=2)).isoformat()) == [later, laned, ada]
        assert await listed(since=moment.isoformat()) == await listed(until="2020-01-01T00:00:00Z") == []
        assert await listed(until="2199-12-31T23:59:59-23:59") == [later, laned, ada]


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"user_id": "x" * 201}, "user_id"),
        ({"lane": "a\0b"}, "lane"),
        ({"since": "2h"}, "since"),
        ({"since": "2030-01-01T00:00:00"}, "since"),
        ({"since": "0001-01-01T00:00:00+14:00"}, "since"),
        ({"until": "9999-12-31T23:59:59-12:00"}, "until"),
        ({"until": "1e400"}, "until"),
        ({"until": "9" * 400}, "until"),
    ],
)
async def test_a_filter_that_does_not_fit_is_refused_by_its_name(jobs: Jobs, query: dict[str, Any], field: str) -> None:
    async with calling(door(jobs)) as client:
        assert error_of(await client.get(JOBS, params=query), 422)["field"] == field


async def test_one_job_comes_with_its_attempts_that_did_not_complete(
    jobs: Jobs, conn: Connection, claim_all: ClaimAll, worker_id: int
) -> None:
    job_id = (await jobs.create(NOTE, {}, unique_key="k", unique_while="unfinished")).id
    (job,) = await claim_all()
    await settle(conn, job, Retry("not yet"), NOTE)
    async with calling(door(jobs)) as client:
        seen = (await client.get(f"{JOBS}/{job_id}")).json()
    assert (seen["unique_key"], seen["retention"], seen["give_up_at"] is None) == ("k", None, False)
    (attempt,) = seen["attempts"]
    assert (attempt["reason"], attempt["error"], attempt["worker_id"]) == ("error", "not yet", worker_id)
    assert attempt["token"] == job.token


async def test_a_list_shows_neither_input_nor_result_nor_attempts(jobs: Jobs) -> None:
    await jobs.create(NOTE, {"text": "long"})
    async with calling(door(jobs)) as client:
        (job,) = (await client.get(JOBS)).json()["jobs"]
    assert {"input", "result", "attempts"} & job.keys() == set()
