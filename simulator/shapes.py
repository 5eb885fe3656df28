"""The shape of a Messages API request, field by field.

pydantic words its complaints as the API does ("messages.0.content.0.text.text: Field required"), because the API uses
it too. What one field cannot tell, the order of messages and the pairing of tool calls, is in history.py.
"""

from typing import Annotated, Any, Literal, TypeVar

from pydantic import (
    BaseModel,
    BeforeValidator,
    Discriminator,
    FailFast,
    Field,
    StrictBool,
    StrictInt,
    StrictStr,
    ValidationError,
)

from simulator.errors import ApiError, invalid

_Id = Annotated[StrictStr, Field(pattern=r"^[a-zA-Z0-9_-]+$")]


class TextBlock(BaseModel):
    """Words."""

    type: Literal["text"]
    text: StrictStr


class ThinkingBlock(BaseModel):
    """Reasoning, with the signature that proves where it comes from."""

    type: Literal["thinking"]
    thinking: StrictStr
    signature: StrictStr


class RedactedThinkingBlock(BaseModel):
    """Reasoning that is encrypted."""

    type: Literal["redacted_thinking"]
    data: StrictStr


class ToolUseBlock(BaseModel):
    """A tool call."""

    type: Literal["tool_use"]
    id: _Id
    name: Annotated[StrictStr, Field(min_length=1, max_length=200)]
    input: dict[str, Any]


class SourceBlock(BaseModel):
    """A picture or a document."""

    type: Literal["image", "document"]
    source: dict[str, Any]


class OtherBlock(BaseModel):
    """A block the simulator passes by: what server tools and the CLI's tool search leave in a history."""

    type: Literal[
        "search_result",
        "server_tool_use",
        "web_search_tool_result",
        "web_fetch_tool_result",
        "code_execution_tool_result",
        "bash_code_execution_tool_result",
        "text_editor_code_execution_tool_result",
        "tool_search_tool_result",
        "mcp_tool_use",
        "mcp_tool_result",
        "container_upload",
        "tool_reference",
        "tool_addition",
        "tool_removal",
    ]


def _as_blocks(content: Any) -> Any:
    """Take a string as one text block, as the API does, and null as nothing."""
    if content is None:
        return []
    return [{"type": "text", "text": content}] if isinstance(content, str) else content


_ResultPart = Annotated[TextBlock | SourceBlock | OtherBlock, Discriminator("type")]


class ToolResultBlock(BaseModel):
    """What a tool call brought."""

    type: Literal["tool_result"]
    tool_use_id: _Id
    content: Annotated[list[_ResultPart], FailFast(), BeforeValidator(_as_blocks)] = []
    is_error: bool | None = None


Block = Annotated[
    TextBlock | ThinkingBlock | RedactedThinkingBlock | ToolUseBlock | ToolResultBlock | SourceBlock | OtherBlock,
    Discriminator("type"),
]


class Message(BaseModel):
    """One message; `system` between the others is what the CLI's mid-conversation betas send."""

    role: Literal["user", "assistant", "system"]
    content: Annotated[list[Block], FailFast(), BeforeValidator(_as_blocks)]


class Tool(BaseModel):
    """A tool the model may call; server tools have a type and no schema."""

    name: Annotated[StrictStr, Field(pattern=r"^[a-zA-Z0-9_-]{1,128}$")]


class Thinking(BaseModel):
    """Whether and how long the model may reason."""

    type: Literal["enabled", "disabled", "adaptive"]
    budget_tokens: Annotated[StrictInt, Field(ge=1024)] | None = None


class CountRequest(BaseModel):
    """The body of `POST /v1/messages/count_tokens`."""

    model: Annotated[StrictStr, Field(min_length=1, max_length=256)]
    messages: Annotated[list[Message], FailFast()]
    system: Annotated[list[TextBlock], FailFast(), BeforeValidator(_as_blocks)] = []
    tools: Annotated[list[Tool], FailFast(), BeforeValidator(_as_blocks)] = []
    thinking: Thinking | None = None


class MessagesRequest(CountRequest):
    """The body of `POST /v1/messages`."""

    max_tokens: Annotated[StrictInt, Field(ge=1)]
    stream: StrictBool = False


Shape = TypeVar("Shape", bound=CountRequest)


def shaped(shape: type[Shape], body: Any) -> Shape:
    """Return `body` as a `shape`; raises ApiError 400 that names the first field which does not fit."""
    try:
        return shape.model_validate(body)
    except ValidationError as error:
        raise _refusal(error) from None


def _refusal(error: ValidationError) -> ApiError:
    first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    where = ".".join(str(part) for part in first["loc"])
    if first["type"] == "union_tag_not_found":
        return invalid(f"{where}.type: Field required")
    return invalid(f"{where}: {first['msg']}" if where else first["msg"])
