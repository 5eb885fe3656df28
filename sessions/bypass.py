"""Options under which a tool call would run that its gate was not asked about, or asked too late."""

from typing import TYPE_CHECKING, Any

from sessions.errors import TurnFailed

if TYPE_CHECKING:
    from claude_agent_sdk import ClaudeAgentOptions

_ASKING = (None, "default", "dontAsk")
_HARMLESS = frozenset({"resume", "resume-session-at", "fork-session", "mcp-config"})
"""Extra arguments that say nothing of permissions."""


def refuse_bypass(options: "ClaudeAgentOptions") -> None:
    """Raise TurnFailed naming the option under which a call would run that was not decided here."""
    passes_by = {
        f"allowed_tools={options.allowed_tools}": options.allowed_tools,
        f"permission_mode={options.permission_mode}": options.permission_mode not in _ASKING,
        f"setting_sources={options.setting_sources}": options.setting_sources != [],
        "strict_mcp_config=False": not options.strict_mcp_config,
        "settings": options.settings,
        "mcp_servers from a file": not isinstance(options.mcp_servers, dict),
        "plugins": options.plugins,
        "hooks beside the gate's": options.hooks or options.can_use_tool or options.permission_prompt_tool_name,
        f"extra_args={sorted(options.extra_args)}": set(options.extra_args) - _HARMLESS,
        "agents with a permission mode of their own": any(
            agent.permissionMode not in _ASKING for agent in (options.agents or {}).values()
        ),
    }
    for name, set_ in passes_by.items():
        if set_:
            raise TurnFailed(f"The agent was not started: with {name} tool calls would pass its gate; leave that out")


def has_own_server(options: "ClaudeAgentOptions") -> bool:
    """Whether there is an in-process server, which the CLI waits for before it begins."""
    servers: Any = options.mcp_servers
    return any(server.get("type") == "sdk" for server in servers.values())
