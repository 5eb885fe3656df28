"""How the CLI of one run is started: what it may do, what it sees, and where it keeps its files.

The defaults of the SDK open a host to whoever writes to the agent or to its folder: `@/etc/passwd` in a message is read,
commands and hooks in a workspace are run, all variables of the worker reach every tool. All of that is off here.

`CLAUDE_CODE_SUBPROCESS_ENV_SCRUB` is not used: it does not start without bubblewrap. The wrapper `claude` beside this file
takes away what nobody may see instead. Its only way out is the model proxy, by a credential that ends with its run.
"""

import json
import os
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, cast

from jobs_core import ConfigurationError
from sessions.agent import AgentSetup
from sessions.processes import mark_of
from sessions.scratch import RunFolder
from sessions.settings import SessionSettings
from sessions.store import TranscriptStore
from sessions.tools import served, shown_names

if TYPE_CHECKING:
    from claude_agent_sdk import ClaudeAgentOptions
    from claude_agent_sdk.types import SessionStore

WRAPPER = Path(__file__).with_name("claude")

_INHERITED = ("PATH", "LANG", "LC_ALL", "LC_CTYPE", "TERM", "TZ", "SHELL", "USER", "LOGNAME")
_SET_BY_SDK = ("PWD", "CLAUDE_CODE_ENTRYPOINT", "CLAUDE_AGENT_SDK_VERSION", "CLAUDE_CODE_SDK_READS_SESSION_STATE")
_OF_SILENCE = 0.8  # a tool ends before a CLI that only waits for it counts as silent
_LONGEST_TOOL_S = 24 * 3600.0  # a timer of the CLI's that is set to 25 days and more is over at once
_BASH_DEFAULT_S = 120.0  # the CLI's own, where the model names no time
_MAX_LINE_BYTES = 64 * 1024 * 1024  # of one message from the CLI: an answer over the SDK's 1 MiB loses its result

CONTINUE_TURN = {
    "CLAUDE_CODE_RESUME_INTERRUPTED_TURN": "1",
    "CLAUDE_CODE_RESUME_SHOWS_CUT_OFF_CALLS": "1",  # or the model is not told that a call of its was cut off
    "CLAUDE_CODE_RESUME_INTERRUPTED_TURN_MAX_AGE_MS": "0",  # however long ago that was
}
"""Environment under which a resumed CLI goes on with the turn it finds interrupted. Documented nowhere; e2e tests hold it."""
CONTINUE_WITH = "CLAUDE_CODE_RESUME_PROMPT"
"""What it is told then, in place of "Continue from where you left off."; as much documented, and held likewise."""


@dataclass(frozen=True, slots=True)
class Access:
    """How a run reaches the model: the proxy's URL, and a credential that is worth something only there."""

    url: str
    credential: str


def find_cli(settings: SessionSettings) -> Path:
    """The Claude Code CLI that runs are started with.

    Raises ConfigurationError where it, or the wrapper around it, is missing or cannot be executed.
    """
    cli = settings.claude_cli or _bundled_cli()
    for program in (cli, WRAPPER):
        if not (program.is_file() and os.access(program, os.X_OK)):
            raise ConfigurationError(
                f"The Claude Code CLI cannot be run: {program} is missing or not executable; "
                "install the requirements again, or set JOBS_CLAUDE_CLI to a CLI"
            )
    return cli


def _bundled_cli() -> Path:
    spec = find_spec("claude_agent_sdk")  # finds it without importing it: that takes 30 MiB
    if spec is None or spec.origin is None:
        raise ConfigurationError("claude-agent-sdk is not installed: install the requirements again")
    return Path(spec.origin).parent / "_bundled" / "claude"


def build_options(
    settings: SessionSettings,
    folder: RunFolder,
    agent: AgentSetup,
    *,
    cwd: Path,
    access: Access,
    store: TranscriptStore | None = None,
    max_retries: int = 2,
    known_calls: frozenset[str] = frozenset(),
) -> "ClaudeAgentOptions":
    """The SDK's options for one run of an agent in `folder`; which session it is about is the caller's to add.

    `max_retries` is how often the CLI itself asks the API again; two, because the queue can wait longer than it. `known_calls`:
    the tool calls whose results the session's model has seen.
    """
    from claude_agent_sdk import ClaudeAgentOptions

    prompt_file = folder.path / "system_prompt"  # in a file: arguments are seen by every user and have a largest size
    prompt_file.write_text(agent.system_prompt, encoding="utf-8")
    model = agent.model or settings.model
    return ClaudeAgentOptions(
        cli_path=WRAPPER,
        model=model,
        fallback_model=agent.fallback_model if agent.fallback_model != model else None,  # or the CLI refuses to start
        effort=agent.effort,
        max_turns=agent.max_turns,
        system_prompt={"type": "file", "path": str(prompt_file)},
        tools=list(agent.tools),
        allowed_tools=[*agent.allowed_tools, *(() if agent.decide else shown_names(agent.own_tools))],
        mcp_servers=served(agent.own_tools, known_calls),
        output_format={"type": "json_schema", "schema": dict(agent.result_schema)} if agent.result_schema else None,
        permission_mode="dontAsk",
        setting_sources=[],
        strict_mcp_config=True,
        skills=[],
        verbatim_prompts=True,
        include_partial_messages=True,
        session_store=cast(
            "SessionStore | None", store
        ),  # it asks for two methods of the protocol; the rest may be absent
        session_store_flush="eager",
        max_buffer_size=_MAX_LINE_BYTES,
        cwd=cwd,
        extra_args=_mcp_config(folder, agent),
        env=_environment(settings, folder, access, max_retries),
    )


def _mcp_config(folder: RunFolder, agent: AgentSetup) -> dict[str, str | None]:
    """The argument that names the agent's MCP servers, in a file: the SDK's own option puts their secrets into arguments."""
    if not agent.mcp_servers:
        return {}
    file = folder.path / "mcp.json"
    file.write_text(json.dumps({"mcpServers": dict(agent.mcp_servers)}), encoding="utf-8")
    return {"mcp-config": str(file)}


def _environment(settings: SessionSettings, folder: RunFolder, access: Access, max_retries: int) -> dict[str, str]:
    # Of the kind that the API will get: to a token the CLI says other things of itself than to a key.
    variable = "ANTHROPIC_API_KEY" if settings.api_key else "CLAUDE_CODE_OAUTH_TOKEN"
    longest_s = min(_OF_SILENCE * settings.silence_s, _LONGEST_TOOL_S)
    own = {
        "HOME": str(folder.home),
        "TMPDIR": str(folder.temporary),
        "CLAUDE_CODE_TMPDIR": str(folder.temporary),
        "CLAUDE_CONFIG_DIR": str(folder.config),
        "CLAUDE_CODE_MAX_RETRIES": str(max_retries),
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
        "CLAUDE_CODE_DISABLE_BACKGROUND_TASKS": "1",  # what runs on after the answer is nobody's
        # Where a call is made, decided about and run are the same place, though a later CLI runs it that knows of no `cd`.
        "CLAUDE_BASH_MAINTAIN_PROJECT_WORKING_DIR": "1",
        "BASH_DEFAULT_TIMEOUT_MS": str(int(1000 * min(_BASH_DEFAULT_S, longest_s))),
        "BASH_MAX_TIMEOUT_MS": str(int(1000 * longest_s)),
        "MCP_TOOL_TIMEOUT": str(int(1000 * longest_s)),
        "ANTHROPIC_BASE_URL": access.url,
        variable: access.credential,
    }
    keeps = (*own, *CONTINUE_TURN, CONTINUE_WITH, *_INHERITED, *_SET_BY_SDK)
    of_wrapper = {"CLI": str(find_cli(settings)), "KEEPS": " ".join(keeps), "MARK": str(mark_of(folder.home))}
    return own | {f"JOBS_RUN_{name}": value for name, value in of_wrapper.items()}
