"""What an agent is and may do in one run, as whoever runs a turn says it: the row of an agent, seen from this room."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from sessions.tools import Tool
from sessions.verdicts import Decide, OnToolEnd

Effort = Literal["low", "medium", "high", "xhigh", "max"]
"""How much a model thinks before it answers; those that know no such thing leave it."""


@dataclass(frozen=True, slots=True)
class AgentSetup:
    """An agent in one run. Of built-in tools, `tools` exist for it, and `allowed_tools` run without being asked about.

    model: None is the settings' one. fallback_model: answers where the model is overloaded or unknown. workspace: the folder
    that tools work in, the caller's to make and clear, under one path on all hosts; None is an empty one. mcp_servers: by name,
    as the CLI's configuration has them. max_turns: so many answers of the model, with tool calls between, are one turn at most.
    own_tools: what this program itself offers, made for this run. result_schema: the JSON schema of an object that the turn
    is to come to, in place of an answer in words.

    decide: asked about every tool call before it runs (sessions/gate.py); nothing is allowed by itself then, so that
    `allowed_tools` must be empty. on_tool_end: told of each call that was let through once its tool has ended, before the
    model goes on. Both may raise: the run ends, and `run_turn` raises it.
    """

    system_prompt: str
    model: str | None = None
    tools: Sequence[str] = ()
    allowed_tools: Sequence[str] = ()
    workspace: Path | None = None
    own_tools: Sequence[Tool[Any]] = ()
    fallback_model: str | None = None
    effort: Effort | None = None
    mcp_servers: Mapping[str, Any] = field(default_factory=dict)
    max_turns: int | None = None
    decide: Decide | None = None
    on_tool_end: OnToolEnd | None = None
    result_schema: Mapping[str, Any] | None = None
