"""What an agent's row says, in a run of the real CLI: the model that steps in, effort, its folder, and MCP servers' secrets."""

import sys
from dataclasses import fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from assistant.agents import Agent, setup_for
from assistant.people import Role, User
from assistant.workspaces import Workspaces
from sessions import TurnFailed
from simulator.client import SimulatorControl
from tests.support.sessions import Chat, agents

MCP_SERVER = """
import json, sys
for line in sys.stdin:
    asked = json.loads(line)
    known = {"initialize": {"protocolVersion": "2025-03-26", "capabilities": {"tools": {}},
                            "serverInfo": {"name": "notes", "version": "1"}},
             "tools/list": {"tools": [{"name": "read", "description": "Reads.", "inputSchema": {"type": "object"}}]}}
    if "id" in asked:
        print(json.dumps({"jsonrpc": "2.0", "id": asked["id"], "result": known.get(asked["method"], {})}), flush=True)
"""


async def test_the_fallback_answers_where_the_model_is_unknown(
    chat: Chat, sim: SimulatorControl, tmp_path: Path
) -> None:
    await sim.script("[[error 404 no such model]]", times=2)  # it asks once more without streaming
    async with agents(chat.database, sim, tmp_path) as sessions:
        end = await chat.ask(
            sessions, "Hi. [[text Here.]]", model="claude-opus-5", fallback_model="claude-haiku-4-5", effort="low"
        )
    assert end.answer == "Here."
    bodies: list[Any] = [request.body for request in await sim.requests()]
    assert [bodies[0]["model"], bodies[-1]["model"]] == ["claude-opus-5", "claude-haiku-4-5"]
    assert bodies[0]["output_config"]["effort"] == "low"


async def test_an_mcp_servers_tools_are_there_and_its_secrets_in_no_argument(
    chat: Chat, sim: SimulatorControl, tmp_path: Path
) -> None:
    """Bash looks at the command line that the CLI was started with, in a turn that goes on in a second process."""
    server, seen = tmp_path / "server.py", tmp_path / "seen"
    server.write_text(MCP_SERVER)
    notes = {
        "command": sys.executable,
        "args": [str(server)],
        "env": {"TOKEN": "canary-1"},
    }
    look = f"tr '\\\\0' ' ' < /proc/$PPID/cmdline > {seen}"
    for prompt in ("Begin. [[text Begun.]]", f'[[tool Bash {{"command": "{look}"}}]] [[then]] [[text Looked.]]'):
        async with agents(chat.database, sim, tmp_path) as sessions:
            await chat.ask(sessions, prompt, tools=["Bash"], allowed_tools=["Bash"], mcp_servers={"notes": notes})
    body = (await sim.requests())[-1].body
    assert body is not None
    assert "mcp__notes__read" in str(body)
    assert "--mcp-config" in seen.read_text()
    assert "--resume" in seen.read_text()
    assert "canary" not in seen.read_text()


async def test_of_an_agent_that_has_everything_an_external_person_reaches_nothing(
    chat: Chat, sim: SimulatorControl, tmp_path: Path
) -> None:
    """On the request and on the machine, with the owner's turn beside it, where the same row opens all of it."""
    started = tmp_path / "started"
    server = {"command": "/bin/sh", "args": ["-c", f"echo $TOKEN > {started}"], "env": {"TOKEN": "canary"}}
    row = Agent(id=7, name="helper", tools=("Bash", "Read"), mcp_servers={"notes": server})
    spaces, now = Workspaces(tmp_path / "w"), datetime(2030, 1, 1, tzinfo=UTC)
    seen: dict[Role, list[str]] = {}
    roles: tuple[Role, ...] = ("external", "owner")
    for role in roles:
        user = User(f"u_{role}", "Eve", None, role, None, now, now)
        setup = setup_for(row, user, owner="Ada", workspaces=spaces)
        async with agents(chat.database, sim, tmp_path) as sessions:
            await chat.ask(
                sessions, "Hi. [[text Hi.]]", **{one.name: getattr(setup, one.name) for one in fields(setup)}
            )
        body = (await sim.requests())[-1].body
        assert body is not None
        seen[role] = [tool["name"] for tool in body["tools"]]
        assert started.exists() is (role == "owner"), role
        assert (spaces.root / user.id).exists() is (role == "owner"), role
        assert (str(tmp_path / "w") in str(body)) is (role == "owner"), "the model is told where it works"
        started.unlink(missing_ok=True)
    assert seen == {"owner": ["Bash", "Read"], "external": []}


async def test_a_turn_has_no_more_answers_of_the_model_than_its_agent_may(
    chat: Chat, sim: SimulatorControl, tmp_path: Path
) -> None:
    again = '[[tool Read {"file_path": "/nowhere"}]] [[then]] '
    async with agents(chat.database, sim, tmp_path) as sessions:
        with pytest.raises(TurnFailed, match="maximum number of turns"):
            await chat.ask(sessions, again * 5 + "[[text Never.]]", tools=["Read"], max_turns=2)
    assert len(await sim.requests()) == 2
