"""A gate before each tool call, until the project has one: a hook that decides, added to the options of the runs meanwhile."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, Literal
from unittest.mock import patch

from claude_agent_sdk import ClaudeAgentOptions, HookMatcher, create_sdk_mcp_server
from claude_agent_sdk.types import SyncHookJSONOutput

from sessions import cli_host
from sessions.options import build_options

Decision = Literal["defer", "allow", "deny"]
REASON = "Somebody said no."


@contextmanager
def gate(decide: Callable[[str], Decision]) -> Iterator[None]:
    """Runs of this process ask `decide`, with the id of the call, before each tool call.

    The MCP server is there because the CLI waits for it: a resumed one runs a deferred call as soon as it has started, and
    would not ask a hook that was registered later.
    """

    async def ask(given: Any, tool_use_id: str | None, _: Any) -> SyncHookJSONOutput:
        assert tool_use_id
        decision = {"hookEventName": "PreToolUse", "permissionDecision": decide(tool_use_id)}
        return {"hookSpecificOutput": decision | {"permissionDecisionReason": REASON}}  # type: ignore[typeddict-item] # built in two parts

    def options(*given: Any, **named: Any) -> ClaudeAgentOptions:
        hooks: Any = {"PreToolUse": [HookMatcher(hooks=[ask], on_failure="block")]}
        return replace(build_options(*given, **named), hooks=hooks, mcp_servers={"gate": create_sdk_mcp_server("gate")})

    with patch.object(cli_host, "build_options", options):
        yield
