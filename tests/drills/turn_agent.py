"""What the turn drill adds to real worker processes, by way of JOBS_HANDLERS: Bash for the chat's agent, and points to wait at.

It is all that the agent has. Everything else is as in life: `chat_turn`'s handler, its sessions, its settle.
Outside the worker nothing knows this module; JOBS_DRILL_FOLDER is where the two meet, as files.
"""

import asyncio
import os
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest.mock import patch
from uuid import uuid4

from assistant.gatekeeper import Gatekeeper
from jobs_core import HandlerTable
from sessions import AgentSetup, Allow, SessionSettings, ToolCall, Verdict, cli_host, runner
from sessions.options import build_options
from sessions.resume import TurnState, classify
from sessions.runner import ClaudeSessions
from sessions.scratch import RunFolder

if TYPE_CHECKING:
    from claude_agent_sdk import ClaudeAgentOptions

FOLDER = "JOBS_DRILL_FOLDER"
MUTANT = "JOBS_DRILL_MUTANT"

GATE, ISSUED = "gate", "issued"
"""While the first file exists, a tool call waits before it starts, and makes the second."""
_LOOK_EVERY_S = 0.02


def register(_: HandlerTable) -> None:
    """Called by the worker for the modules in JOBS_HANDLERS."""
    patch.object(cli_host, "build_options", _with_bash).start()
    patch.object(Gatekeeper, "decide", _waiting(Path(os.environ[FOLDER]))).start()
    if name := os.environ.get(MUTANT):
        MUTANTS[name]()


def _with_bash(settings: SessionSettings, folder: RunFolder, agent: AgentSetup, **named: Any) -> "ClaudeAgentOptions":
    return build_options(settings, folder, replace(agent, tools=["Bash"]), **named)


def _waiting(folder: Path) -> Callable[[Gatekeeper, ToolCall], Awaitable[Verdict]]:
    async def decide(_: Gatekeeper, __: ToolCall) -> Verdict:
        while (folder / GATE).exists():
            (folder / ISSUED).touch()
            await asyncio.sleep(_LOOK_EVERY_S)
        return Allow(by="the drill")

    return decide


def _ask_anew() -> None:
    """The transcript is not looked at: every run asks, as the first one did."""

    async def look(*_: object) -> tuple[list[Any], TurnState]:
        return [], TurnState("absent")

    patch.object(ClaudeSessions, "_look", look).start()


def _send_the_prompt_again() -> None:
    """A turn that was interrupted is asked again, under another uuid."""

    def unseen(entries: list[Any], turn_id: str) -> TurnState:
        stands = classify(entries, turn_id)
        return TurnState("unseen") if stands.state == "interrupted" else stands

    user_message = cli_host._user_message
    patch.object(runner, "classify", unseen).start()
    patch.object(cli_host, "_user_message", lambda turn: user_message(replace(turn, turn_id=uuid4()))).start()


MUTANTS = {"ask_anew": _ask_anew, "send_the_prompt_again": _send_the_prompt_again}
"""What may be taken out of the workers' code, to see the drill break."""
