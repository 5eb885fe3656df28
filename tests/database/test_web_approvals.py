"""Approvals through the web door, on a real Postgres."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from jobs_core import Connection, Database
from jobs_core.wake import Ready
from tests.support.approvals import EDITED, Bench, bench_on
from tests.support.web import calling, door, error_of


@pytest.fixture
async def bench(database: Database, conn: Connection) -> AsyncIterator[Bench]:
    async with bench_on(database, conn) as made:
        yield made


async def test_an_action_is_listed_shown_decided_with_its_digest_and_its_job_woken(bench: Bench) -> None:
    action = await bench.asked()
    path, woken = f"/api/approvals/{action.id}", list[Ready | None]()
    bench.jobs.notifier.on_wake = woken.append
    async with calling(door(bench.jobs)) as client:
        (shown,) = (await client.get("/api/approvals")).json()["approvals"]
        assert (await client.get(path)).json() == shown
        assert (shown["arguments"], shown["state"], shown["digest"]) == (action.arguments, "pending", action.digest)
        approve: dict[str, Any] = {"decision": "approve", "arguments": EDITED, "digest": shown["digest"]}
        decided = (await client.post(f"{path}/decision", json=approve | {"decided_by": "ann"})).json()
        assert (decided["state"], decided["decided_by"], decided["edited_arguments"] is None) == (
            "approved",
            "ann",
            False,
        )
        assert error_of(await client.post(f"{path}/decision", json=approve), 409)["code"] == "not_decided"
        assert woken == [Ready("chat", "chat_turn")]
        assert await bench.run() == "complete"
        assert (await client.get("/api/approvals")).json() == {"approvals": []}
        (done,) = (await client.get("/api/approvals", params={"state": "executed"})).json()["approvals"]
        assert [done["id"]] == [one["id"] for one in (await client.get("/api/approvals?state=all")).json()["approvals"]]
    assert bench.agent.ran == [EDITED]


async def test_nothing_but_a_whole_decision_about_what_is_there_is_taken(bench: Bench) -> None:
    action = await bench.asked()
    path = f"/api/approvals/{action.id}/decision"
    whole = {"decision": "reject", "digest": action.digest}
    async with calling(door(bench.jobs)) as client:
        for method in ("GET", "HEAD", "PUT"):
            assert (await client.request(method, path)).status_code == 405
        assert error_of(await client.post(path, json={"decision": "approve"}), 422)["field"] == "digest"
        assert error_of(await client.post(path, json=whole | {"digest": "0" * 64}), 409)["code"] == "not_decided"
        assert error_of(await client.post(path, json=whole | {"decision": "yes"}), 422)["field"] == "decision"
        assert error_of(await client.post(path, json=whole | {"always": True}), 422)["field"] == "decision"
        assert error_of(await client.post(path, json=whole | {"state": "executed"}), 422)["field"] == "state"
        assert error_of(await client.post("/api/approvals/999/decision", json=whole), 404)["code"] == "no_such_action"
        none = error_of(await client.get("/api/approvals/999"), 404)
        assert (none["code"], none["field"]) == ("no_such_action", "action_id")
        assert error_of(await client.get("/api/approvals", params={"state": "x"}), 422)["field"] == "state"
    async with calling(door(bench.jobs), token=None) as stranger:
        error_of(await stranger.post(path, json=whole), 401)
    assert await bench.action() == action


async def test_a_link_or_a_page_of_another_origin_decides_nothing(bench: Bench) -> None:
    action = await bench.asked()
    body = {"decision": "approve", "digest": action.digest}
    async with calling(door(bench.jobs)) as client:
        path = f"/api/approvals/{action.id}/decision"
        refused = await client.post(path, json=body, headers={"Origin": "https://evil.example"})
        assert error_of(refused, 403)["code"] == "foreign_origin"
        assert (await client.get(path, params=body)).status_code == 405
    assert await bench.action() == action


async def test_what_is_always_allowed_is_listed_and_revoked(bench: Bench) -> None:
    action = await bench.asked()
    async with calling(door(bench.jobs)) as client:
        body = {"decision": "approve", "digest": action.digest, "always": True}
        assert (await client.post(f"/api/approvals/{action.id}/decision", json=body)).status_code == 200
        (one,) = (await client.get("/api/approvals/always")).json()["always"]
        assert (one["tool"], one["digest"], one["agent"], one["user_id"]) == (
            "Bash",
            action.digest,
            "assistant",
            action.user_id,
        )
        assert (await client.delete(f"/api/approvals/always/{one['id']}")).json() == {"revoked": one["id"]}
        assert error_of(await client.delete(f"/api/approvals/always/{one['id']}"), 404)["field"] == "always_id"
        assert (await client.get("/api/approvals/always")).json() == {"always": []}
