"""Schedules through the web door, on a real Postgres."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from assistant.agent_schedules import save
from assistant.schedule_drafts import read
from assistant.scheduled_turns import SCHEDULED_TURN
from jobs_core import Connection, Database, HandlerTable, Jobs, fetch
from tests.support.job_types import NOTE
from tests.support.web import calling, door, error_of

SCHEDULES = "/api/schedules"
MORNING = {"name": "morning", "cron": "0 9 * * mon-fri", "zone": "Europe/Berlin", "prompt": "What is on today?"}


@pytest.fixture
async def known(database: Database) -> AsyncIterator[Jobs]:
    table = HandlerTable()
    table.declare_all([SCHEDULED_TURN, NOTE])
    async with Jobs(database, table) as jobs:
        yield jobs


async def test_a_schedule_is_tried_made_changed_paused_run_and_removed(known: Jobs, conn: Connection) -> None:
    async with calling(door(known)) as client:
        tried = (await client.post(SCHEDULES, json=MORNING, params={"dry_run": True})).json()
        assert (len(tried["forecast"]["ticks"]), tried["forecast"]["cost"], tried["dry_run"]) == (5, None, True)
        assert (await client.get(SCHEDULES)).json() == {"schedules": []}
        response = await client.post(SCHEDULES, json=MORNING)
        made = response.json()
        assert (response.status_code, made["did"], made["source"]) == (201, "made", "api")
        assert made["rule"]["cron"] == "0 9 * * mon-fri"
        assert made["next_at"] == made["forecast"]["ticks"][0]
        assert error_of(await client.post(SCHEDULES, json=MORNING), 409)["code"] == "name_taken"
        changed = (await client.patch(f"{SCHEDULES}/morning", json={"every_s": 3600})).json()
        assert (changed["did"], changed["rule"]["cron"], changed["rule"]["every_s"]) == ("changed", None, 3600)
        paused = (await client.post(f"{SCHEDULES}/morning/pause", json={"reason": "on holiday"})).json()
        assert (paused["paused_why"], paused["next_at"]) == ("on holiday", None)
        listed = (await client.get(SCHEDULES, params={"paused": True})).json()["schedules"]
        assert [one["name"] for one in listed] == ["morning"]
        assert (await client.post(f"{SCHEDULES}/morning/resume")).json()["next_at"] is not None
        key = {"Idempotency-Key": "once"}
        await client.post(f"{SCHEDULES}/morning/run", headers=key)
        response = await client.post(f"{SCHEDULES}/morning/run", headers=key)
        (job,) = await fetch(conn, "SELECT id, job_type FROM jobs.jobs")
        assert (response.status_code, response.json(), job["job_type"]) == (
            201,
            {"job_id": job["id"]},
            "scheduled_turn",
        )
        one = (await client.get(f"{SCHEDULES}/morning")).json()
        assert (one["input"]["prompt"], len(one["forecast"]["ticks"])) == ("What is on today?", 5)
        assert (await client.get("/api/schedule-results", params={"schedule": "morning"})).json() == {"results": []}
        assert (await client.delete(f"{SCHEDULES}/morning")).json() == {"removed": "morning"}
        assert error_of(await client.get(f"{SCHEDULES}/morning"), 404)["code"] == "no_such_schedule"


async def test_what_a_file_made_is_left_unless_it_is_taken_over(known: Jobs, conn: Connection) -> None:
    async with conn.transaction():
        await save(conn, known.table, read(MORNING), source="file:a.toml")
    async with calling(door(known)) as client:
        for request in (("PATCH", {"json": {"every_s": 60}}), ("DELETE", {})):
            refused = error_of(await client.request(request[0], f"{SCHEDULES}/morning", **request[1]), 409)
            assert (refused["code"], refused["field"]) == ("schedule_of_file", "name")
        taken = await client.patch(f"{SCHEDULES}/morning", json={"every_s": 60}, params={"take_over": True})
        assert taken.json()["source"] == "api"


UNFIT: list[tuple[tuple[str, str, dict[str, Any]], int, str]] = [
    (("POST", "", {"json": {}}), 422, "name"),
    (("POST", "", {"json": MORNING | {"cron": "61 * * * *"}}), 422, "cron"),
    (("POST", "", {"json": MORNING | {"zone": "Mars"}}), 422, "zone"),
    (("POST", "", {"json": MORNING | {"name": "A b"}}), 422, "name"),
    (("POST", "", {"json": MORNING | {"source": "file:x"}}), 422, "source"),
    (("POST", "", {"json": MORNING | {"agent": "gone"}}), 404, "name"),
    (("POST", "", {"json": MORNING | {"user_id": "u_gone"}}), 404, "user_id"),
    (("POST", "", {"json": MORNING | {"every_s": 5}}), 400, "body"),
    (("POST", "", {"json": MORNING, "params": {"dry": True}}), 422, "dry"),
    (("PATCH", "/gone", {"json": {"every_s": 5}}), 404, "name"),
    (("PATCH", "/gone", {"json": []}), 400, "body"),
    (("PATCH", "/gone", {"json": {"name": "evening"}}), 422, "name"),
    (("PATCH", "/gone", {"json": {"missed": "maybe"}}), 422, "missed"),
    (("POST", "/gone/run", {}), 404, "name"),
    (("POST", "/gone/pause", {"json": {"reason": "a\0"}}), 422, "reason"),
    (("GET", "", {"params": {"limit": 101}}), 422, "limit"),
    (("GET", "/a%00", {}), 422, "name"),
]


async def test_what_does_not_fit_is_told(known: Jobs) -> None:
    async with calling(door(known)) as client:
        for (method, path, how), status, field in UNFIT:
            refused = error_of(await client.request(method, f"{SCHEDULES}{path}", **how), status)
            assert refused["field"] == field, (method, path, how)
