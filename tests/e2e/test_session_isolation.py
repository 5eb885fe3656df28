"""What a message, a workspace and the worker's own environment yield: nothing; with the SDK's defaults beside it, all of it.

Where a default no longer yields it, the option that closes it here can go.
"""

import json
from pathlib import Path
from typing import Any

import claude_agent_sdk
import pytest

from simulator.client import SimulatorControl
from tests.support.sessions import BASH, KEY, Chat, agents

MEMORY = "canary of a CLAUDE.md"


async def by_default(sim: SimulatorControl, folder: Path, prompt: str, **options: Any) -> str:
    """Ask as the SDK does where nothing is said but where the model is; what the model was sent."""
    home = folder / "home"
    home.mkdir()
    env = {"ANTHROPIC_BASE_URL": sim.url, "ANTHROPIC_API_KEY": KEY, "HOME": str(home), "CLAUDE_CONFIG_DIR": str(home)}
    async for _ in claude_agent_sdk.query(
        prompt=prompt, options=claude_agent_sdk.ClaudeAgentOptions(env=env, **options)
    ):
        pass
    return await sent(sim)


async def as_here(chat: Chat, sim: SimulatorControl, folder: Path, prompt: str, **of_agent: Any) -> str:
    """Ask as a turn does; what the model was sent."""
    async with agents(chat.database, sim, folder) as sessions:
        await chat.ask(sessions, prompt, **of_agent)
    return await sent(sim)


async def sent(sim: SimulatorControl) -> str:
    """All requests since the last look."""
    bodies = [json.dumps(request.body) for request in await sim.requests() if request.path.startswith("/v1/messages")]
    await sim.reset()
    return "\n".join(bodies)


@pytest.fixture
def hostile(tmp_path: Path) -> Path:
    """A workspace that tells the model something, and has a hook and an MCP server that leave a mark in it when they run."""
    folder = tmp_path / "workspace"
    (folder / ".claude").mkdir(parents=True)
    (folder / "CLAUDE.md").write_text(MEMORY)

    def touch(name: str) -> dict[str, Any]:
        return {"command": "/bin/sh", "args": ["-c", f"touch {folder / name}"]}

    hook = {"hooks": [{"type": "command", "command": f"touch {folder / 'hook'}"}]}
    settings = {"hooks": {"SessionStart": [hook]}, "enableAllProjectMcpServers": True}
    (folder / ".claude" / "settings.json").write_text(json.dumps(settings))
    (folder / ".mcp.json").write_text(json.dumps({"mcpServers": {"notes": touch("server")}}))
    return folder


def marks(folder: Path) -> set[str]:
    """Which of both ran."""
    return {name for name in ("hook", "server") if (folder / name).exists()}


async def test_what_a_workspace_says_is_not_read_and_what_it_brings_is_not_run(
    chat: Chat, sim: SimulatorControl, tmp_path: Path, hostile: Path
) -> None:
    assert MEMORY not in await as_here(chat, sim, tmp_path, "Hi.", workspace=hostile, **BASH)
    assert marks(hostile) == set()
    assert MEMORY in await by_default(sim, tmp_path, "Hi.", cwd=hostile)
    assert marks(hostile) == {"hook", "server"}


async def test_a_message_names_no_file_that_is_read(chat: Chat, sim: SimulatorControl, tmp_path: Path) -> None:
    assert "root:" not in await as_here(chat, sim, tmp_path, "@/etc/passwd")
    assert "root:" in await by_default(sim, tmp_path, "@/etc/passwd", cwd=tmp_path)


async def test_a_message_is_no_command(chat: Chat, sim: SimulatorControl, tmp_path: Path) -> None:
    assert "/cost" in await as_here(chat, sim, tmp_path, "/cost")
    assert await by_default(sim, tmp_path, "/cost", cwd=tmp_path) == ""


async def test_a_tool_sees_nothing_of_the_workers_environment(
    chat: Chat, sim: SimulatorControl, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://canary")
    look = '[[tool Bash {"command": "env"}]] [[then]] [[text Done.]]'
    here = await as_here(chat, sim, tmp_path, look, **BASH)
    assert "HOME=" in here
    assert "postgresql://canary" not in here
    assert "postgresql://canary" in await by_default(sim, tmp_path, look, cwd=tmp_path, **BASH)
