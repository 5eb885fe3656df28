"""What an agent's row says, in a run of the real CLI: the model that steps in, effort, its folder, and MCP servers' secrets."""

import sys
from pathlib import Path
from typing import Any

import pytest

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


async def test_a_turn_has_no_more_answers_of_the_model_than_its_agent_may(
    chat: Chat, sim: SimulatorControl, tmp_path: Path
) -> None:
    again = '[[tool Read {"file_path": "/nowhere"}]] [[then]] '
    async with agents(chat.database, sim, tmp_path) as sessions:
        with pytest.raises(TurnFailed, match="maximum number of turns"):
            await chat.ask(sessions, again * 5 + "[[text Never.]]", tools=["Read"], max_turns=2)
    assert len(await sim.requests()) == 2
