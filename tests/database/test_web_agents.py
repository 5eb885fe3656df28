"""Agents through the web door: listed, set, tried out, secrets masked, and what does not fit refused by its field."""

import asyncio
from typing import Any

import pytest

from jobs_core import Connection, Jobs, fetch
from tests.support.people import EVERYTHING
from tests.support.web import StandInWorker, calling, door, error_of

AGENTS = "/api/agents"


async def test_an_agent_is_put_looked_at_and_put_back_as_it_was_shown(jobs: Jobs) -> None:
    async with calling(door(jobs)) as client:
        made = await client.put(f"{AGENTS}/helper", json=EVERYTHING)
        assert made.status_code == 200, made.text
        assert "hidden" not in made.text
        shown = made.json()
        assert (shown["name"], shown["mcp_servers"]["web"]["headers"]) == ("helper", {"X-Key": "********"})
        assert (await client.get(f"{AGENTS}/helper")).json() == shown
        listed = (await client.get(AGENTS)).json()["agents"]
        assert [agent["name"] for agent in listed] == ["assistant", "helper"]
        assert (await client.get(AGENTS, params={"after": "assistant", "limit": 1})).json() == {"agents": [shown]}
        again = {name: value for name, value in shown.items() if name not in {"id", "name"}}
        assert (await client.put(f"{AGENTS}/helper", json={**again, "effort": None})).json() == shown | {"effort": None}
        assert error_of(await client.get(f"{AGENTS}/other"), 404)["code"] == "no_such_agent"


@pytest.mark.parametrize(
    ("name", "body", "field"),
    [
        ("Helper", {}, "name"),
        ("a%00b", {}, "name"),
        ("x" * 64, {}, "name"),
        ("helper", {"model": "-p"}, "model"),
        ("helper", {"tools": ["a,b"]}, "tools"),
        ("helper", {"role": "owner"}, "role"),
        ("helper", {"id": 1}, "id"),
        ("helper", {"mcp_servers": {"a": {"command": "x", "env": {"T": "********"}}}}, "agent.mcp_servers.a.env.T"),
    ],
)
async def test_what_does_not_fit_is_refused_by_its_field(
    jobs: Jobs, conn: Connection, name: str, body: Any, field: str
) -> None:
    async with calling(door(jobs)) as client:
        refused = error_of(await client.put(f"{AGENTS}/{name}", json=body), 422)
        assert refused["field"].startswith(field)
    assert await fetch(conn, "SELECT FROM jobs.agents WHERE name <> 'assistant'") == []


async def test_a_trial_is_answered_in_a_marked_chat_of_the_owners_with_that_agent(jobs: Jobs, conn: Connection) -> None:
    worker = await StandInWorker.registered(jobs.database)
    async with calling(door(jobs)) as client:
        await client.put(f"{AGENTS}/helper", json={})
        asking = asyncio.create_task(client.post(f"{AGENTS}/helper/try", json={"message": "hello"}))
        async with asyncio.timeout(30):
            while not await worker.work("Hi."):
                await asyncio.sleep(0.01)
        told = (await asking).json()
        assert (told["status"], told["response"]) == ("answered", "Hi.")
        (chat,) = await fetch(
            conn,
            """SELECT c.session_id, agent_name, trial, u.role FROM jobs.chat_sessions AS c
               JOIN jobs.users AS u ON u.id = c.user_id""",
        )
        assert chat == {"session_id": told["session_id"], "agent_name": "helper", "trial": True, "role": "owner"}
        assert error_of(await client.post(f"{AGENTS}/other/try", json={"message": "x"}), 404)["field"] == "name"
        assert error_of(await client.post(f"{AGENTS}/helper/try", json={"message": ""}), 422)["field"] == "message"
