"""What an agent is and may do in one run, as whoever runs a turn says it: the row of an agent, seen from this room."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sessions.tools import Tool


@dataclass(frozen=True, slots=True)
class AgentSetup:
    """An agent in one run. Of built-in tools, `tools` exist for it, and `allowed_tools` run without being asked about.

    model: None is the settings' one. workspace: the folder that tools work in, the caller's to make and clear, under one
    path on all hosts; None is an empty one. own_tools: what this program itself offers, made for this run. result_schema: the
    JSON schema of an object that the turn is to come to, in place of an answer in words.
    """

    system_prompt: str
    model: str | None = None
    tools: Sequence[str] = ()
    allowed_tools: Sequence[str] = ()
    workspace: Path | None = None
    own_tools: Sequence[Tool[Any]] = ()
    result_schema: Mapping[str, Any] | None = None
