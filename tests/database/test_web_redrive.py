"""Redrives through the web door: told first, done when asked, bounded."""

from typing import Any

import pytest

from jobs_core import Connection, Jobs, fetch
from tests.support.dead_letters import dead
from tests.support.web import calling, door, error_of

REDRIVE = "/api/jobs/redrive"


async def test_unless_told_otherwise_it_only_tells_what_it_would_come_to(jobs: Jobs, conn: Connection) -> None:
    old = [await dead(conn) for _ in range(4)]
    async with calling(door(jobs)) as client:
        for body in ({}, {"job_type": "note"}, {"dry_run": True}):
            answer = await client.post(REDRIVE, json=body)
            assert answer.status_code == 200
            told = answer.json()
            assert (told["dry_run"], told["jobs"], told["redriven_before"], told["left"]) == (True, 4, 0, [])
            assert told["types"] == [{"job_type": "note", "n": 4, "redriven": 0}]
            assert told["errors"] == [{"job_type": "note", "error": "no", "n": 4}]
            assert [job["id"] for job in told["examples"]] == old[:3]
            assert {"input", "result"} & told["examples"][0].keys() == set()
    assert await fetch(conn, "SELECT FROM jobs.jobs") == []


async def test_jobs_are_redriven_by_their_ids_and_the_others_are_told(jobs: Jobs, conn: Connection) -> None:
    first, second, unfit = await dead(conn), await dead(conn), await dead(conn, job_input='{"gone": 1}')
    async with calling(door(jobs)) as client:
        answer = (await client.post(REDRIVE, json={"ids": [first, unfit, 10**6], "dry_run": False})).json()
        (made,) = answer["redriven"]
        assert (answer["dry_run"], made["retry_of"], answer["next"]) == (False, first, None)
        assert [(one["id"], one["why"]) for one in answer["left"]] == [(unfit, "unfit"), (10**6, "unknown")]
        again = (await client.post(REDRIVE, json={"ids": [first], "dry_run": False})).json()
        assert again["redriven"] == []
        assert again["left"] == [{"id": first, "why": "redriven", "by": made["job_id"], "detail": None}]
        old, new = [(await client.get(f"/api/jobs/{job_id}")).json() for job_id in (first, made["job_id"])]
    assert (old["redriven_as"], new["retry_of"]) == (made["job_id"], first)
    assert second not in {job["retry_of"] for job in await fetch(conn, "SELECT retry_of FROM jobs.jobs")}


async def test_a_request_redrives_no_more_than_its_limit_and_tells_where_the_next_goes_on(
    jobs: Jobs, conn: Connection
) -> None:
    """Also past those that can not be redriven."""
    old = [await dead(conn, job_input='{"gone": 1}' if number in {2, 3, 4} else "{}") for number in range(8)]
    body: dict[str, Any] = {"job_type": "note", "dry_run": False, "limit": 2}
    redriven, requests = list[int](), 0
    async with calling(door(jobs)) as client:
        more: dict[str, Any] | None = {}
        while more is not None:
            answer = (await client.post(REDRIVE, json={**body, **more})).json()
            assert len(answer["redriven"]) <= 2
            redriven += [one["retry_of"] for one in answer["redriven"]]
            more, requests = answer["next"], requests + 1
    assert redriven == [old[number] for number in (0, 1, 5, 6, 7)]
    assert requests <= 5


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"dry_run": False}, "ids"),
        ({"dry_run": False, "again": True, "cancelled": True}, "ids"),
        ({"dry_run": "no"}, "dry_run"),
        ({"ids": []}, "ids"),
        ({"ids": [0]}, "ids.0"),
        ({"ids": [2**63]}, "ids.0"),
        ({"ids": list(range(1, 1002))}, "ids"),
        ({"ids": [1], "job_type": "note"}, "ids"),
        ({"job_type": "a\0b"}, "job_type"),
        ({"user_id": "x" * 201}, "user_id"),
        ({"since": "2h"}, "since"),
        ({"until": "0001-01-01T00:00:00+14:00"}, "until"),
        ({"limit": 1001}, "limit"),
        ({"after": {"id": 1}}, "after.ended_at"),
        ({"state": "complete"}, "state"),
    ],
)
async def test_what_does_not_fit_is_refused_by_its_field(
    jobs: Jobs, conn: Connection, body: dict[str, Any], field: str
) -> None:
    await dead(conn)
    async with calling(door(jobs)) as client:
        assert error_of(await client.post(REDRIVE, json=body), 422)["field"] == field
    assert await fetch(conn, "SELECT FROM jobs.jobs") == []
