"""Lanes through the web door, on a real Postgres."""

from typing import Any

import pytest

from jobs_core import Connection, Fail, Jobs
from jobs_core.lanes import hold, list_lanes
from jobs_core.settle import settle
from jobs_core.wake import Ready
from tests.database.conftest import ClaimAll
from tests.database.test_held_lanes import HOLDING
from tests.database.test_web_health import samples
from tests.support.job_types import LANE_NOTE
from tests.support.web import calling, door, error_of

LANE = "turn:a/7"
HOLD = f"/api/lanes/{LANE}/hold"


async def test_a_lane_is_held_by_the_door_looked_at_and_released(
    jobs: Jobs, conn: Connection, claim_all: ClaimAll
) -> None:
    created = await jobs.create(LANE_NOTE, {"lane": LANE})
    woken = list[Ready | None]()
    jobs.notifier.on_wake = woken.append
    async with calling(door(jobs)) as client:
        held = (await client.put(HOLD, json={"reason": "it moves", "held_by": "ada"})).json()
        assert held == {
            "lane": LANE,
            "jobs": 1,
            "first_job": created.id,
            "first_state": "blocked",
            "held_at": held["held_at"],
            "held_by": "ada",
            "held_reason": "it moves",
            "failed_job": None,
        }
        assert (await client.get(f"/api/lanes/{LANE}")).json() == held
        assert (await client.get("/api/lanes", params={"held": True})).json() == {"lanes": [held]}
        assert await claim_all() == []
        released = (await client.delete(HOLD)).json()
        assert (released["held_by"], released["redriven"], released["ready"]) == (
            "ada",
            None,
            [["default", "lane_note", None]],
        )
        assert (await client.get("/api/lanes", params={"held": True})).json() == {"lanes": []}
        assert error_of(await client.delete(HOLD), 404)["code"] == "not_held"
        assert (await client.put(HOLD)).json()["held_by"] == "web API"
    assert woken == [Ready("default", "lane_note")]


async def test_a_release_may_redrive_the_failed_job_or_says_why_it_cannot(
    jobs: Jobs, conn: Connection, claim_all: ClaimAll
) -> None:
    await jobs.create(LANE_NOTE, {"lane": LANE})
    (failed,) = await claim_all()
    await settle(conn, failed, Fail("no"), HOLDING)
    async with calling(door(jobs)) as client:
        released = (await client.delete(HOLD, params={"redrive": True})).json()
        assert released["failed_job"] == failed.id
        assert [job.id for job in await claim_all()] == [released["redriven"]]
        await client.put(HOLD)
        refused = error_of(await client.delete(HOLD, params={"redrive": True}), 409)
    assert (refused["code"], refused["field"]) == ("not_redriven", "redrive")
    assert len(await list_lanes(conn, held=True)) == 1


@pytest.mark.parametrize(
    ("request_", "status", "field"),
    [
        (("GET", "/api/lanes/none", {}), 404, "lane"),
        (("GET", "/api/lanes/a%00b", {}), 422, "lane"),
        (("GET", "/api/lanes", {"params": {"limit": 101}}), 422, "limit"),
        (("GET", "/api/lanes", {"params": {"all": True}}), 422, "all"),
        (("PUT", f"/api/lanes/{'x' * 201}/hold", {}), 422, "lane"),
        (("PUT", "/api/lanes//hold", {}), 422, "lane"),
        (("PUT", HOLD, {"json": {"held_by": ""}}), 422, "held_by"),
        (("PUT", HOLD, {"json": {"reason": "x" * 4001}}), 422, "reason"),
        (("PUT", HOLD, {"json": {"until": "tomorrow"}}), 422, "until"),
        (("DELETE", HOLD, {"params": {"redrive": "perhaps"}}), 422, "redrive"),
        (("DELETE", "/api/lanes/none/hold", {"params": {"redrive": True}}), 404, "lane"),
    ],
)
async def test_what_does_not_fit_is_refused_by_its_field(
    jobs: Jobs, conn: Connection, request_: tuple[str, str, dict[str, Any]], status: int, field: str
) -> None:
    method, path, given = request_
    async with calling(door(jobs)) as client:
        error = error_of(await client.request(method, path, **given), status)
    assert error["field"] == field
    assert await list_lanes(conn) == []


async def test_metrics_count_the_lanes_that_are_held(jobs: Jobs, conn: Connection) -> None:
    await hold(conn, "a", held_by="ada")
    await hold(conn, "b", held_by="ada")
    async with calling(door(jobs), token=None) as client:
        assert samples((await client.get("/metrics")).text)["jobs_lanes_held"] == 2
