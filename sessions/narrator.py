"""Makes events out of what a CLI says while it runs: `hear` is given each of its messages.

    message_start ─▶ deltas ─▶ (AssistantMessage, a block each) ─▶ message_delta ─▶ message_stop: said for good
                        └─▶ message_stop without message_delta, another message_start, the CLI's end: void

So a request that failed in the middle is known by its end. What the CLI then asks without streaming comes as an
AssistantMessage alone, under an id of its own. All of this was measured with Claude Code 2.1.329.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import structlog

from sessions.account import Usage
from sessions.events import OnEvent, TurnEvent, tool_call, tool_result

if TYPE_CHECKING:
    from claude_agent_sdk import AssistantMessage, Message, ResultMessage, SystemMessage, UserMessage

log = structlog.get_logger()


@dataclass(slots=True)
class _Message:
    """A message of the model's, as far as it has come. streamed: its text was told piece by piece."""

    id: str
    streamed: bool
    whole: bool


class Narrator:
    """Tells the events of one run of a turn, through all the CLIs that it takes. Nothing here raises: nobody need watch."""

    def __init__(self, *tell: OnEvent) -> None:
        self._tell = tell
        self._saying = dict[str | None, _Message]()  # by whose it is: the agent's own, or a subagent's (its call's id)
        self._status: dict[str, Any] = {}

    def begin(self) -> None:
        """A CLI is being started; what the one before it left in the middle is void."""
        self._safely(self._begin)

    def hear(self, message: "Message") -> None:
        """Tell what this message means."""
        self._safely(lambda: self._hear(message))

    def spent(self, used: Usage) -> None:
        """Tell what the run has used so far."""
        about = {
            "calls": used.calls,
            "input_tokens": used.input_tokens,
            "output_tokens": used.output_tokens,
            "cache_read_tokens": used.cache_read_tokens,
            "cache_write_tokens": used.cache_write_tokens,
            "cost_usd": float(used.cost_usd),
        }
        self._safely(lambda: self._say(TurnEvent("cost", about)))

    def _safely(self, tell: Callable[[], None]) -> None:
        try:
            if self._tell:
                tell()
        except Exception:
            log.exception("narrator.broke", meaning="the turn goes on, but nothing more of this run is shown")
            self._tell = ()

    def _begin(self) -> None:
        for parent in list(self._saying):
            self._void_unfinished(parent)
        self._saying.clear()
        self._say_status("starting")

    def _hear(self, message: "Message") -> None:
        from claude_agent_sdk import AssistantMessage, ResultMessage, StreamEvent, SystemMessage, UserMessage

        match message:
            case StreamEvent():
                self._on_stream(message.event, message.parent_tool_use_id)
            case AssistantMessage():
                self._on_assistant(message)
            case UserMessage():
                self._on_results(message)
            case ResultMessage():
                self._on_end(message)
            case SystemMessage():
                self._on_system(message)

    def _on_stream(self, event: dict[str, Any], parent: str | None) -> None:
        match event:
            case {"type": "message_start", "message": {"id": str(message_id)}}:
                self._void_unfinished(parent)
                self._saying[parent] = _Message(message_id, streamed=True, whole=False)
                self._say_status("thinking")
            case {"type": "content_block_start", "content_block": {"type": "tool_use", "name": str(name)}}:
                self._say_status("calling", tool=name)
            case {"type": "content_block_start", "content_block": {"type": "text"}}:
                self._say_status("writing")
            case {"type": "content_block_delta", "delta": {"type": "text_delta", "text": str(text)}}:
                self._say_text(text, parent)
            case {"type": "message_delta"} if parent in self._saying:
                self._saying[parent].whole = True
            case {"type": "message_stop"}:
                self._void_unfinished(parent)

    def _on_assistant(self, message: "AssistantMessage") -> None:
        """A block of a message; its text is new only where it was not streamed."""
        from claude_agent_sdk import TextBlock, ToolUseBlock

        if message.error or message.model == "<synthetic>":
            return  # the CLI's own words for what went wrong
        parent, message_id = message.parent_tool_use_id, message.message_id or ""
        saying = self._saying.get(parent)
        if saying is None or saying.id != message_id:
            self._void_unfinished(parent)
            saying = self._saying[parent] = _Message(message_id, streamed=False, whole=True)
        for block in message.content:
            if isinstance(block, TextBlock) and not saying.streamed:
                self._say_text(block.text, parent)
            elif isinstance(block, ToolUseBlock):
                self._say_status("calling", tool=block.name)
                self._say(tool_call(block.id, block.name, block.input, parent))

    def _on_results(self, message: "UserMessage") -> None:
        from claude_agent_sdk import ToolResultBlock

        blocks = message.content if isinstance(message.content, list) else []
        for block in blocks:
            if isinstance(block, ToolResultBlock):
                parent = message.parent_tool_use_id
                self._say(tool_result(block.tool_use_id, block.content, parent, is_error=bool(block.is_error)))
                self._say_status("thinking")

    def _on_system(self, message: "SystemMessage") -> None:
        if message.subtype == "api_retry":
            told = message.data
            because = told.get("error_status") or told.get("error")
            self._say_status("retrying", attempt=told.get("attempt"), of=told.get("max_retries"), because=because)

    def _on_end(self, result: "ResultMessage") -> None:
        if result.deferred_tool_use:
            self._say_status("waiting_for_approval", tool=result.deferred_tool_use.name)

    def _void_unfinished(self, parent: str | None) -> None:
        saying = self._saying.get(parent)
        if saying and not saying.whole:
            del self._saying[parent]
            self._say(TurnEvent("void", {"message": saying.id, "parent": parent}))

    def _say_text(self, text: str, parent: str | None) -> None:
        if text and (saying := self._saying.get(parent)):
            self._say(TurnEvent("text", {"text": text, "message": saying.id, "parent": parent}))

    def _say_status(self, state: str, **more: Any) -> None:
        status = {"state": state, **more}
        if status != self._status:
            self._status = status
            self._say(TurnEvent("status", status))

    def _say(self, event: TurnEvent) -> None:
        for tell in self._tell:
            tell(event)
