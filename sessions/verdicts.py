"""Tool calls, and what may be said of one before it runs. Who decides (`AgentSetup.decide`) stands in a higher room."""

import hashlib
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class ToolCall:
    """One call of a tool: `id` is the call's in the transcript and stays; `input` is what the model gave."""

    id: str
    name: str
    input: dict[str, Any]
    subagent: bool = False


@dataclass(frozen=True, slots=True)
class Allow:
    """It runs, with `input` where that is given. by: the rule or the person, for the audit; so in the others."""

    input: dict[str, Any] | None = None
    by: str = ""


@dataclass(frozen=True, slots=True)
class Deny:
    """It does not run, and the model is told the reason."""

    reason: str
    by: str = ""


@dataclass(frozen=True, slots=True)
class Ask:
    """A person must decide: the run ends, and the call waits in the transcript."""

    by: str = ""


Verdict = Allow | Deny | Ask


@dataclass(frozen=True, slots=True)
class ToolEnd:
    """A tool came to its end. result_digest: of what it returned."""

    failed: bool
    result_digest: str


Decide = Callable[[ToolCall], Awaitable[Verdict]]
OnToolEnd = Callable[[ToolCall, ToolEnd], Awaitable[None]]


def canonical(arguments: Mapping[str, Any]) -> str:
    """Arguments as the one JSON text that they have: keys sorted, no spaces, all but ASCII escaped."""
    return json.dumps(arguments, sort_keys=True, separators=(",", ":"))


def digest_of(text: str) -> str:
    """The SHA-256 of a canonical text, in hex."""
    return hashlib.sha256(text.encode("ascii")).hexdigest()
