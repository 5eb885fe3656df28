"""Pauses through the web door, on a real Postgres."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from jobs_core import Connection, Jobs
from jobs_core.pauses import pause, pauses
from jobs_core.wake import Ready
from tests.database.conftest import ClaimAll
from tests.database.test_web_health import samples
from tests.support.job_types import NOTE
from tests.support.web import calling, door, error_of

PAUSES = "/api/pauses"


async def test_what_is_paused_by_the_door_is_listed_left_alone_and_resumed(
    jobs: Jobs, conn: Connection, claim_all: ClaimAll
) -> None:
    await jobs.create(NOTE, {})
    woken = list[Ready | None]()
    jobs.notifier.on_wake = woken.append
    until = datetime.now(UTC) + timedelta(hours=1)
    asked = {"queue": "default", "job_type": "note", "until": until.isoformat(), "reason": "it moves", "set_by": "ada"}
    async with calling(door(jobs)) as client:
        response = await client.post(PAUSES, json=asked)
        assert response.status_code == 201
        new = response.json()
        assert {**new, "until": datetime.fromisoformat(new["until"])} == {
            **asked,
            "until": until,
            "because": "operator",
            "started_at": new["started_at"],
        }
        assert (await client.get(PAUSES)).json() == {"pauses": [new]}
        assert await claim_all() == []
        resumed = await client.delete(PAUSES, params={"queue": "default", "job_type": "note"})
        assert resumed.json() == {"resumed": [new]}
        assert (await client.get(PAUSES)).json() == {"pauses": []}
    assert woken == [None]
    assert len(await claim_all()) == 1


async def test_a_pause_may_be_for_a_span_or_for_good(jobs: Jobs) -> None:
    async with calling(door(jobs)) as client:
        new = (await client.post(PAUSES, json={"queue": "a", "for_s": 3600})).json()
        lasts = datetime.fromisoformat(new["until"]) - datetime.fromisoformat(new["started_at"])
        assert abs(lasts - timedelta(hours=1)) < timedelta(seconds=5)
        for_good = (await client.post(PAUSES, json={"job_type": "b"})).json()
    assert (for_good["until"], for_good["queue"], for_good["set_by"]) == (None, None, "web API")


@pytest.mark.parametrize("target", [{"queue": "default"}, {"job_type": "note"}, {"queue": "default", "job_type": "x"}])
async def test_what_is_not_paused_just_so_cannot_be_resumed(
    jobs: Jobs, conn: Connection, target: dict[str, str]
) -> None:
    await pause(conn, queue="default", job_type="note", set_by="ada")
    async with calling(door(jobs)) as client:
        assert error_of(await client.delete(PAUSES, params=target), 404)["code"] == "not_paused"
    assert len(await pauses(conn)) == 1


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "queue"),
        ({"queue": ""}, "queue"),
        ({"queue": "x" * 201}, "queue"),
        ({"queue": 7}, "queue"),
        ({"job_type": "a\0b"}, "job_type"),
        ({"queue": "a", "for_s": 0}, "for_s"),
        ({"queue": "a", "for_s": 1e300}, "for_s"),
        ({"queue": "a", "until": "2030-01-01T00:00:00"}, "until"),
        ({"queue": "a", "until": "9999-12-31T23:59:59-12:00"}, "until"),
        ({"queue": "a", "until": "2001-01-01T00:00:00Z"}, "until"),
        ({"queue": "a", "until": "2130-01-01T00:00:00Z", "for_s": 1}, "until"),
        ({"queue": "a", "reason": "x" * 4001}, "reason"),
        ({"queue": "a", "set_by": "x" * 201}, "set_by"),
        ({"queue": "a", "because": "rate_limited"}, "because"),
    ],
)
async def test_what_does_not_fit_is_refused_by_its_field(
    jobs: Jobs, conn: Connection, body: dict[str, Any], field: str
) -> None:
    async with calling(door(jobs)) as client:
        error = error_of(await client.post(PAUSES, json=body), 422)
    assert (error["code"], error["field"]) == ("invalid_input", field)
    assert await pauses(conn) == []


@pytest.mark.parametrize(
    ("query", "field"),
    [({}, "queue"), ({"queue": "a\0b"}, "queue"), ({"all": "true"}, "all"), ({"queue": ""}, "queue")],
)
async def test_a_resume_that_names_nothing_is_refused(jobs: Jobs, query: dict[str, str], field: str) -> None:
    async with calling(door(jobs)) as client:
        assert error_of(await client.delete(PAUSES, params=query), 422)["field"] == field


async def test_metrics_show_what_is_paused(jobs: Jobs, conn: Connection) -> None:
    await pause(conn, queue="default", set_by="ada")
    await pause(conn, job_type="note", set_by="ada")
    async with calling(door(jobs), token=None) as client:
        seen = samples((await client.get("/metrics")).text)
    assert seen["jobs_paused,because=operator,job_type=,queue=default"] == 1
    assert seen["jobs_paused,because=operator,job_type=note,queue="] == 1
