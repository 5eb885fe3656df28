"""Tasks and deliveries through the web door, on a real Postgres."""

from typing import Any

import pytest

from assistant.deliveries import owe
from assistant.sending import end
from jobs_core import Connection, Jobs, execute
from tests.support.tool_calls import THEY_ARE_KNOWN
from tests.support.web import calling, door, error_of


async def test_a_task_is_made_found_changed_and_listed(jobs: Jobs, conn: Connection) -> None:
    await execute(conn, THEY_ARE_KNOWN)
    async with calling(door(jobs)) as client:
        given = {"title": "Call the bank", "assignee": "ada", "deadline": "2020-01-31T09:00:00+01:00"}
        response = await client.post("/api/tasks", json=given | {"created_by": "olga"})
        made = response.json()
        assert response.status_code == 201
        assert (made["id"], made["created_by"], made["status"]) == (1, "olga", "open")
        assert made["deadline"] == "2020-01-31T08:00:00Z"
        assert (await client.get("/api/tasks/1")).json() == made
        changed = (await client.patch("/api/tasks/1", json={"status": "waiting", "deadline": None})).json()
        assert changed == made | {
            "status": "waiting",
            "deadline": None,
            "version": 2,
            "updated_at": changed["updated_at"],
        }
        refused = error_of(await client.patch("/api/tasks/1", json={"status": "done", "if_version": 1}), 409)
        assert (refused["code"], refused["field"]) == ("task_changed", "if_version")
        await client.patch("/api/tasks/1", json={"status": "done", "if_version": 2})
        assert (await client.get("/api/tasks")).json() == {"tasks": []}
        listed = (await client.get("/api/tasks", params={"include_done": True, "assignee": "ada"})).json()
        assert [task["version"] for task in listed["tasks"]] == [3]
        ticket = {"title": "A", "external_task_id": "jira:1"}
        await client.post("/api/tasks", json=ticket)
        assert error_of(await client.post("/api/tasks", json=ticket), 409)["code"] == "task_exists"


@pytest.mark.parametrize(
    ("request_", "status", "field"),
    [
        (("POST", "/api/tasks", {"json": {}}), 422, "title"),
        (("POST", "/api/tasks", {"json": {"title": "a\0"}}), 422, "title"),
        (("POST", "/api/tasks", {"json": {"title": "x", "version": 7}}), 422, "version"),
        (("POST", "/api/tasks", {"json": {"title": "x", "created_by": ""}}), 422, "created_by"),
        (("POST", "/api/tasks", {"json": {"title": "x", "assignee": "nobody"}}), 422, "assignee"),
        (("POST", "/api/tasks", {"json": {"title": "x", "deadline": "soon"}}), 422, "deadline"),
        (("GET", "/api/tasks/7", {}), 404, "task_id"),
        (("GET", f"/api/tasks/{2**63}", {}), 422, "task_id"),
        (("PATCH", "/api/tasks/7", {"json": {"status": "done"}}), 404, "task_id"),
        (("PATCH", "/api/tasks/7", {"json": {"session_id": None}}), 422, "session_id"),
        (("PATCH", "/api/tasks/7", {"json": {"external_task_id": "x"}}), 422, "external_task_id"),
        (("GET", "/api/tasks", {"params": {"status": "perhaps"}}), 422, "status"),
        (("GET", "/api/tasks", {"params": {"of_user": "ada"}}), 422, "of_user"),
        (("GET", "/api/tasks", {"params": {"assignee": "a\0"}}), 422, "assignee"),
        (("GET", "/api/tasks", {"params": {"limit": 101}}), 422, "limit"),
        (("GET", "/api/deliveries", {"params": {"state": "lost"}}), 422, "state.0"),
        (("GET", "/api/deliveries/7", {}), 404, "delivery_id"),
        (("POST", "/api/deliveries/7/retry", {}), 404, "delivery_id"),
    ],
)
async def test_what_does_not_fit_is_refused_by_its_field(
    jobs: Jobs, request_: tuple[str, str, dict[str, Any]], status: int, field: str
) -> None:
    method, path, given = request_
    async with calling(door(jobs)) as client:
        assert error_of(await client.request(method, path, **given), status)["field"] == field


async def test_what_is_owed_is_read_by_the_page(jobs: Jobs, conn: Connection) -> None:
    owed = await owe(conn, owed_for="turn:1", kind="answer", payload={"text": "Hi."}, user_id="ada", channel="telegram")
    assert owed
    assert await owe(conn, owed_for="turn:2", kind="answer", payload={}, user_id="ada")
    async with calling(door(jobs)) as client:
        newest, oldest = (await client.get("/api/deliveries", params={"state": "owed"})).json()["deliveries"]
        assert (oldest["channel"], oldest["payload"], oldest["state"]) == ("telegram", {"text": "Hi."}, "owed")
        assert int(oldest["random_id"]) < 2**63
        page = (await client.get("/api/deliveries", params={"before_id": newest["id"]})).json()
        assert page == {"deliveries": [oldest]}
        await end(conn, owed.id, "unknown", said="cut off")
        some = {"state": ["unknown", "failed"]}
        (ended,) = (await client.get("/api/deliveries", params=some)).json()["deliveries"]
        assert (ended["id"], ended["said"]) == (oldest["id"], "cut off")
        assert (await client.get(f"/api/deliveries/{owed.id}")).json() == ended
        again = (await client.post(f"/api/deliveries/{owed.id}/retry")).json()
        assert (again["state"], again["random_id"]) == ("owed", oldest["random_id"])
        refused = error_of(await client.post(f"/api/deliveries/{owed.id}/retry"), 409)
        assert (refused["code"], refused["field"]) == ("not_resent", "delivery_id")
