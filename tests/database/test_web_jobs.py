"""Jobs through the web door, on a real Postgres."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from assistant.chats import CHAT_TURN
from jobs_core import Complete, Connection, Database, Jobs
from jobs_core.leases import register
from jobs_core.look import find
from jobs_core.settle import settle
from tests.database.conftest import ClaimAll
from tests.support.job_types import NOTE
from tests.support.web import calling, door, error_of

JOBS = "/api/jobs"


async def test_a_job_is_created_as_asked(jobs: Jobs) -> None:
    asked = {"job_type": "note", "input": {"text": "x"}, "queue": "slow", "priority": 4, "user_id": "ada", "task_id": 7}
    async with calling(door(jobs)) as client:
        response = await client.post(JOBS, json={**asked, "project_id": "p"})
        assert response.status_code == 201
        job_id = response.json()["job_id"]
        seen = (await client.get(f"{JOBS}/{job_id}")).json()
    wanted = {**asked, "input": {"text": "x", "lane": ""}, "id": job_id, "state": "pending", "project_id": "p"}
    assert {name: seen[name] for name in wanted} == wanted


@pytest.mark.parametrize("given", ["scheduled_in_s", "scheduled_at"])
async def test_a_job_can_be_for_later(jobs: Jobs, conn: Connection, given: str) -> None:
    at = datetime.now(UTC) + timedelta(hours=1)
    when = {"scheduled_in_s": 3600} if given == "scheduled_in_s" else {"scheduled_at": at.isoformat()}
    async with calling(door(jobs)) as client:
        job_id = (await client.post(JOBS, json={"job_type": "note", **when})).json()["job_id"]
    view = await find(conn, job_id)
    assert view is not None
    assert view.scheduled_for is not None
    assert abs(view.scheduled_for - at) < timedelta(minutes=5)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "job_type"),
        ({"job_type": "unknown"}, "job_type"),
        ({"job_type": "a\0b"}, "job_type"),
        ({"job_type": 7}, "job_type"),
        ({"job_type": "note", "state": "complete"}, "state"),
        ({"job_type": "note", "input": {"text": 7}}, "input.text"),
        ({"job_type": "note", "input": {"more": 7}}, "input.more"),
        ({"job_type": "note", "input": []}, "input"),
        ({"job_type": "note", "input": {"text": "x" * 262_144}}, "input"),
        ({"job_type": "note", "queue": ""}, "queue"),
        ({"job_type": "note", "queue": "q" * 201}, "queue"),
        ({"job_type": "note", "priority": 5}, "priority"),
        ({"job_type": "note", "priority": 2**70}, "priority"),
        ({"job_type": "note", "task_id": 2**63}, "task_id"),
        ({"job_type": "note", "user_id": ""}, "user_id"),
        ({"job_type": "note", "scheduled_in_s": -1}, "scheduled_in_s"),
        ({"job_type": "note", "scheduled_in_s": 1e300}, "scheduled_in_s"),
        ({"job_type": "note", "scheduled_at": "2030-01-01T00:00:00"}, "scheduled_at"),
        ({"job_type": "note", "scheduled_at": "0001-01-01T00:00:00+14:00"}, "scheduled_at"),
        ({"job_type": "note", "scheduled_at": "9999-12-31T23:59:59-12:00"}, "scheduled_at"),
        ({"job_type": "note", "scheduled_at": "2030-01-01T00:00:00Z", "scheduled_in_s": 1}, "scheduled_at"),
    ],
)
async def test_what_does_not_fit_is_refused_by_its_field(jobs: Jobs, body: dict[str, Any], field: str) -> None:
    async with calling(door(jobs)) as client:
        error = error_of(await client.post(JOBS, json=body), 422)
        assert (error["code"], error["field"]) == ("invalid_input", field)
        assert error["message"].startswith(f"{field}: ") or "no job type is called" in error["message"]
        assert (await client.get(JOBS)).json() == {"jobs": []}


async def test_jobs_are_listed_newest_first_by_what_they_have_and_in_pages(
    jobs: Jobs, conn: Connection, claim_all: ClaimAll
) -> None:
    ids = [(await jobs.create(NOTE, {"text": str(number)})).id for number in range(3)]
    for job in await claim_all():
        await settle(conn, job, Complete({"n": 1}), NOTE)
    ids.append((await jobs.create("brief_note", {}, queue="other")).id)

    async with calling(door(jobs)) as client:

        async def listed(**query: Any) -> list[int]:
            return [job["id"] for job in (await client.get(JOBS, params=query)).json()["jobs"]]

        assert await listed() == ids[::-1]
        assert await listed(state="complete", limit=2) == [ids[2], ids[1]]
        assert await listed(state="complete", before_id=ids[1]) == [ids[0]]
        assert await listed(queue="other") == await listed(job_type="brief_note") == ids[3:]
        (job,) = (await client.get(JOBS, params={"queue": "other"})).json()["jobs"]
        assert {"input", "result"} & job.keys() == set()
        ended = (await client.get(f"{JOBS}/{ids[0]}")).json()
    assert (ended["state"], ended["result"], ended["input"]["text"]) == ("complete", {"n": 1}, "0")


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"state": "done"}, "state"),
        ({"state": "' OR 1=1 --"}, "state"),
        ({"limit": 0}, "limit"),
        ({"limit": 10**9}, "limit"),
        ({"before_id": 2**63}, "before_id"),
        ({"before_id": "1; DROP TABLE jobs"}, "before_id"),
        ({"queue": "a\0b"}, "queue"),
        ({"job_type": "x" * 201}, "job_type"),
        ({"order": "id"}, "order"),
    ],
)
async def test_a_filter_that_does_not_fit_is_refused_by_its_name(jobs: Jobs, query: dict[str, Any], field: str) -> None:
    async with calling(door(jobs)) as client:
        assert error_of(await client.get(JOBS, params=query), 422)["field"] == field


async def test_sql_in_a_filter_is_only_a_name(jobs: Jobs) -> None:
    await jobs.create(NOTE, {})
    async with calling(door(jobs)) as client:
        assert (await client.get(JOBS, params={"queue": "' OR '1'='1"})).json() == {"jobs": []}


async def test_a_job_that_is_not_there_is_404_whatever_its_number(jobs: Jobs) -> None:
    async with calling(door(jobs)) as client:
        assert error_of(await client.get(f"{JOBS}/1"), 404)["field"] == "job_id"
        for number in ("0", "-1", str(2**63), "9" * 400, "1e3", "%00"):
            assert error_of(await client.get(f"{JOBS}/{number}"), 422)["field"] == "job_id"


async def test_what_was_kept_comes_back_as_it_was(jobs: Jobs, conn: Connection, claim_all: ClaimAll) -> None:
    kept = {"n": 10**30, "x": 1.5, "text": "\U0001f40d é \u2028"}
    job_id = (await jobs.create(NOTE, {"text": kept["text"]})).id
    (job,) = await claim_all()
    await settle(conn, job, Complete(kept), NOTE)
    async with calling(door(jobs)) as client:
        assert (await client.get(f"{JOBS}/{job_id}")).json()["result"] == kept


async def test_types_are_those_bound_here_and_those_that_live_workers_run(
    jobs: Jobs, database: Database, conn: Connection
) -> None:
    jobs.table.declare(CHAT_TURN)
    jobs.table.register_handler("note", lambda _job: None)
    for served in (["note", "chat_turn"], ["note", "from_newer_code"]):
        await register(conn, queues=["default"], job_types=served, slots=3, lease_s=600)
    async with calling(door(jobs)) as client:
        types = {known["name"]: known for known in (await client.get("/api/job-types")).json()["job_types"]}
        workers = (await client.get("/api/workers")).json()["workers"]
    assert {name: known["workers"] for name, known in types.items()} == {
        "note": 2,
        "chat_turn": 1,
        "from_newer_code": 1,
    }
    assert types["chat_turn"]["queue"] == "chat"
    assert "session_id" in types["chat_turn"]["input_schema"]["properties"]
    assert types["from_newer_code"]["input_schema"] is None
    assert [(worker["job_types"], worker["slots"]) for worker in workers] == [
        (["note", "chat_turn"], 3),
        (["note", "from_newer_code"], 3),
    ]
