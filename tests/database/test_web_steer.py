"""Cancel and emit through the web door."""

from typing import Any

import pytest

from jobs_core import Connection, Jobs, Wait
from jobs_core.look import find
from jobs_core.settle import settle
from tests.database.conftest import ClaimAll
from tests.support.job_types import NOTE
from tests.support.web import calling, door, error_of


async def test_a_job_is_cancelled_and_one_that_has_ended_is_not_there(
    jobs: Jobs, conn: Connection, claim_all: ClaimAll
) -> None:
    first, second = [(await jobs.create(NOTE, {})).id for _ in range(2)]
    async with calling(door(jobs)) as client:
        answer = await client.post(f"/api/jobs/{first}/cancel", json={"reason": "enough"})
        assert (answer.status_code, answer.json()) == (200, {"ended": [first], "asked": []})
        await claim_all()
        answer = await client.post(f"/api/jobs/{second}/cancel")
        assert answer.json() == {"ended": [], "asked": [second]}
        assert error_of(await client.post(f"/api/jobs/{first}/cancel"), 404)["code"] == "no_such_job"
    view = await find(conn, first)
    assert view
    assert (view.state, view.error) == ("cancelled", "enough")


async def test_an_event_is_told_once(jobs: Jobs, conn: Connection, claim_all: ClaimAll) -> None:
    await jobs.create(NOTE, {})
    (job,) = await claim_all()
    await settle(conn, job, Wait("paid:1"), NOTE)
    async with calling(door(jobs)) as client:
        assert (await client.post("/api/events/paid:1", json={"payload": {"n": 1}})).json() == {"first": True}
        assert (await client.post("/api/events/paid:1")).json() == {"first": False}
    assert [again.id for again in await claim_all()] == [job.id]


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("/api/events/jobs:children", {}, "event"),
        (f"/api/events/{'x' * 201}", {}, "event"),
        ("/api/events/e", {"payload": "a\0b"}, "payload"),
        ("/api/events/e", {"pay": 1}, "pay"),
        ("/api/jobs/0/cancel", {}, "job_id"),
        ("/api/jobs/1/cancel", {"reason": 5}, "reason"),
    ],
)
async def test_what_does_not_fit_is_refused_by_its_name(jobs: Jobs, path: str, body: Any, field: str) -> None:
    async with calling(door(jobs)) as client:
        assert error_of(await client.post(path, json=body), 422)["field"] == field
