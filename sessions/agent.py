"""What an agent is and may do in one run, as whoever runs a turn says it: the row of an agent, seen from this room."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from sessions.verdicts import Acting, Decide, OnToolEnd


@dataclass(frozen=True, slots=True)
class AgentSetup:
    """An agent in one run. Of built-in tools, `tools` exist for it, and `allowed_tools` run without being asked about.

    model: None is the settings' one. workspace: the folder that tools work in, the caller's to make and clear, under one
    path on all hosts; None is an empty one.

    decide: asked about every tool call before it runs (sessions/gate.py); nothing is allowed by itself then, so that
    `allowed_tools` must be empty. on_tool_end: told of each call that was let through once its tool has ended, before the
    model goes on. Both may raise: the run ends, and `run_turn` raises it. acting: for whom, in the audit of decisions.
    """

    system_prompt: str
    model: str | None = None
    tools: Sequence[str] = ()
    allowed_tools: Sequence[str] = ()
    workspace: Path | None = None
    decide: Decide | None = None
    on_tool_end: OnToolEnd | None = None
    acting: Acting = field(default_factory=Acting)
