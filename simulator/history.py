"""The rules between messages, refused in the API's words.

A history that is ill-formed here is ill-formed there, so a session that was resumed wrongly fails in a test and not
at the provider. Neighbouring messages of one role count as one, as in the API; `system` messages, which the CLI puts
between the others, stand outside the alternation.

Not checked, because the API's answer depends on the model: that an assistant turn begins with thinking while thinking
is on, and that a prefill is allowed at all.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

from simulator.errors import invalid
from simulator.shapes import (
    Block,
    CountRequest,
    Message,
    MessagesRequest,
    RedactedThinkingBlock,
    TextBlock,
    ThinkingBlock,
    ToolResultBlock,
    ToolUseBlock,
)
from simulator.signatures import sign


@dataclass
class _Turn:
    """Neighbouring messages of one role, each block with the place that a refusal names."""

    role: str
    first: int
    blocks: list[tuple[str, Block]] = field(default_factory=list)


def check(request: CountRequest) -> None:
    """Raise ApiError 400 when the API would refuse this request's messages or tools."""
    messages = request.messages
    if not messages:
        raise invalid("messages: at least one message is required")
    if messages[0].role != "user":
        raise invalid('messages: first message must use the "user" role')
    for index, message in enumerate(messages):
        _check_content(index, message, last=index == len(messages) - 1)
    turns = list(_turns(messages))
    _check_thinking(turns)
    _check_tool_ids(turns)
    _check_tool_pairs(turns)
    _check_ending(messages[-1])
    _check_options(request)


def _check_content(index: int, message: Message, *, last: bool) -> None:
    if not message.content and not (last and message.role == "assistant"):
        raise invalid(
            f"messages.{index}: all messages must have non-empty content "
            "except for the optional final assistant message"
        )
    for position, block in enumerate(message.content):
        place = f"messages.{index}.content.{position}"
        if isinstance(block, TextBlock) and not block.text:
            raise invalid("messages: text content blocks must be non-empty")
        if isinstance(block, TextBlock) and not block.text.strip():
            raise invalid("messages: text content blocks must contain non-whitespace text")
        if isinstance(block, ToolUseBlock) and message.role != "assistant":
            raise invalid(f"{place}: `tool_use` blocks can only be in `assistant` messages")
        if isinstance(block, ToolResultBlock) and message.role != "user":
            raise invalid(f"{place}: `tool_result` blocks can only be in `user` messages")
        if isinstance(block, ThinkingBlock | RedactedThinkingBlock) and message.role != "assistant":
            raise invalid(f"{place}: `{block.type}` blocks can only be in `assistant` messages")


def _turns(messages: list[Message]) -> Iterator[_Turn]:
    turn: _Turn | None = None
    for index, message in enumerate(messages):
        if message.role == "system":
            continue
        if turn is None or turn.role != message.role:
            if turn:
                yield turn
            turn = _Turn(message.role, index)
        turn.blocks += [(f"messages.{index}.content.{at}", block) for at, block in enumerate(message.content)]
    if turn:
        yield turn


def _check_thinking(turns: list[_Turn]) -> None:
    for turn in turns:
        for place, block in turn.blocks:
            if isinstance(block, ThinkingBlock) and block.signature != sign(block.thinking):
                raise invalid(f"{place}: Invalid `signature` in `thinking` block")
        if turn.blocks and isinstance(turn.blocks[-1][1], ThinkingBlock | RedactedThinkingBlock):
            raise invalid(f"messages.{turn.first}: The final block in an assistant message cannot be `thinking`.")


def _check_tool_ids(turns: list[_Turn]) -> None:
    seen: set[str] = set()
    for turn in turns:
        for place, block in turn.blocks:
            if isinstance(block, ToolUseBlock):
                if block.id in seen:
                    raise invalid(f"{place}: `tool_use` ids must be unique")
                seen.add(block.id)


def _check_tool_pairs(turns: list[_Turn]) -> None:
    """Every call is answered at the start of the very next message, and only there, and only once."""
    previous = _Turn("user", 0)
    for turn in turns:
        calls = [block.id for _, block in previous.blocks if isinstance(block, ToolUseBlock)]
        _check_results(turn, calls)
        missing = [call for call in calls if call not in _leading_results(turn)]
        if missing:
            raise _unanswered(previous.first, missing)
        previous = turn
    open_calls = [block.id for _, block in previous.blocks if isinstance(block, ToolUseBlock)]
    if open_calls:
        raise _unanswered(previous.first, open_calls)


def _check_results(turn: _Turn, calls: list[str]) -> None:
    answered: set[str] = set()
    for place, block in turn.blocks:
        if not isinstance(block, ToolResultBlock):
            continue
        if block.tool_use_id not in calls:
            raise invalid(
                f"{place}: unexpected `tool_use_id` found in `tool_result` blocks: {block.tool_use_id}. Each "
                "`tool_result` block must have a corresponding `tool_use` block in the previous message."
            )
        if block.tool_use_id in answered:
            raise invalid(
                f"{place}: each tool_use must have a single result. Found multiple `tool_result` blocks with id: "
                f"{block.tool_use_id}"
            )
        answered.add(block.tool_use_id)


def _leading_results(turn: _Turn) -> set[str]:
    """Return the calls answered before anything else is said: the API wants results to come first."""
    results: set[str] = set()
    for _, block in turn.blocks:
        if not isinstance(block, ToolResultBlock):
            break
        results.add(block.tool_use_id)
    return results


def _unanswered(index: int, calls: list[str]) -> Exception:
    return invalid(
        f"messages.{index}: `tool_use` ids were found without `tool_result` blocks immediately after: "
        f"{', '.join(calls)}. Each `tool_use` block must have a corresponding `tool_result` block in the next message."
    )


def _check_ending(message: Message) -> None:
    """A final assistant message is a prefill: the model goes on right behind its last character."""
    last = message.content[-1] if message.content else None
    if message.role == "assistant" and isinstance(last, TextBlock) and last.text != last.text.rstrip():
        raise invalid("messages: final assistant content cannot end with trailing whitespace")


def _check_options(request: CountRequest) -> None:
    names = [tool.name for tool in request.tools]
    if len(names) != len(set(names)):
        raise invalid("tools: Tool names must be unique.")
    for index, block in enumerate(request.system):
        if not block.text:
            raise invalid(f"system.{index}: text content blocks must be non-empty")
    budget = request.thinking.budget_tokens if request.thinking else None
    if isinstance(request, MessagesRequest) and budget is not None and request.max_tokens <= budget:
        raise invalid("`max_tokens` must be greater than `thinking.budget_tokens`.")
