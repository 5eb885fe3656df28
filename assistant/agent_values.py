"""What may be said of an agent: names, models, tools, rules and MCP servers, each held to a shape before it is kept.

Some of it ends on a command line or in a file that the CLI reads, so that a name is never more than a name there. What an MCP
server is given in secret is shown to nobody: it is masked on its way out, and a mask that comes back stands for what is kept.
"""

import json
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Discriminator, Field, StringConstraints, Tag
from pydantic_core import PydanticCustomError

from assistant import policy
from jobs_core import InvalidInput, gate

MASK = "********"
"""Stands in what is shown for a value that is secret."""
OWN_SERVER = "jobs"
"""The name of the in-process MCP server, which no other may take."""
_LONGEST_PROMPT = 50_000
_MOST_RULE_BYTES = 64 * 1024


def _text(text: str) -> str:
    try:
        return gate.check_text(text, field="text")
    except InvalidInput as error:  # told as pydantic's, which knows the place
        raise PydanticCustomError("text", "{why}", {"why": str(error).removeprefix("text: ")}) from None


def _built_in(name: str) -> str:
    if name.startswith("mcp__"):
        raise PydanticCustomError("tool", "is a tool of an MCP server, and comes with it: tools are built-in ones")
    return name


def _small(rules: list[dict[str, Any]]) -> list[dict[str, Any]]:
    if (size := len(json.dumps(rules))) > _MOST_RULE_BYTES:
        raise PydanticCustomError("size", f"{size} bytes as JSON, at most {_MOST_RULE_BYTES} are allowed")
    return rules


def _rules(rules: list[dict[str, Any]]) -> list[dict[str, Any]]:
    try:
        policy.parse(rules, role="owner")
    except InvalidInput as error:
        raise PydanticCustomError("rule", "{why}", {"why": str(error)}) from None
    return rules


AgentName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_-]*$", max_length=63)]
"""Lower-case letters, digits, `_` and `-`: it stands in ids of chats."""
Prompt = Annotated[str, Field(min_length=1, max_length=_LONGEST_PROMPT), AfterValidator(_text)]
ModelName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.:@/\[\]-]*$", max_length=100)]
ToolName = Annotated[
    str, StringConstraints(pattern=r"^[A-Za-z][A-Za-z0-9_]*$", max_length=64), AfterValidator(_built_in)
]
"""A built-in tool's name. Patterns (`Bash(ls:*)`) are the gate's; tools of MCP servers come with their server."""
Policy = Annotated[list[dict[str, Any]], AfterValidator(_small), AfterValidator(_rules)]
"""Rules of the gate (assistant/policy.py)."""
ServerName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$", max_length=64)]
Word = Annotated[str, Field(max_length=4_000), AfterValidator(_text)]
VariableName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$", max_length=200)]
HeaderName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9!#$%&'*+.^_`|~-]+$", max_length=200)]
HeaderValue = Annotated[str, StringConstraints(pattern=r"^[\x20-\x7e\t]*$", max_length=8_000)]
Url = Annotated[str, StringConstraints(pattern=r"^https?://[^/?#@\s]+([/?#][\x21-\x7e]*)?$", max_length=2_000)]
"""Without user and password: a URL is shown."""
Usd = Annotated[float, Field(strict=True, gt=0, le=1_000_000, allow_inf_nan=False)]


class _Closed(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class CommandServer(_Closed):
    """An MCP server that is a program, started by the CLI beside the agent, on the worker's host."""

    type: Literal["stdio"] = "stdio"
    command: Annotated[Word, Field(min_length=1)]
    args: Annotated[tuple[Word, ...], Field(max_length=100)] = ()
    env: Annotated[dict[VariableName, Word], Field(max_length=100, repr=False)] = {}


class UrlServer(_Closed):
    """An MCP server that is reached by its URL."""

    type: Literal["http", "sse"]
    url: Url
    headers: Annotated[dict[HeaderName, HeaderValue], Field(max_length=100, repr=False)] = {}


def _kind(server: Any) -> str:
    kind = server.get("type", "stdio") if isinstance(server, dict) else getattr(server, "type", "stdio")
    return "url" if isinstance(kind, str) and kind in {"http", "sse"} else "command"


McpServer = Annotated[Annotated[CommandServer, Tag("command")] | Annotated[UrlServer, Tag("url")], Discriminator(_kind)]


class Budget(_Closed):
    """What an agent may spend, in US dollars: a turn, and all its turns of a day; None: what holds for everybody."""

    turn_usd: Usd | None = None
    day_usd: Usd | None = None


class Limits(_Closed):
    """How long an agent may go on: max_turns, the answers of the model in one turn, tool calls in between."""

    max_turns: Annotated[int, Field(ge=1, le=1_000, strict=True)] | None = None


def masked(server: dict[str, Any]) -> dict[str, Any]:
    """An MCP server as it is shown: the values of its environment and headers are secret."""
    return {name: dict.fromkeys(value, MASK) if name in {"env", "headers"} else value for name, value in server.items()}


def unmasked(server: dict[str, Any], kept: dict[str, Any], *, field: str) -> dict[str, Any]:
    """An MCP server as it is to be kept: a mask stands for the value that is kept now. Raises InvalidInput where none is."""
    whole = dict(server)
    for part in {"env", "headers"} & server.keys():
        for name in [name for name, value in server[part].items() if value == MASK]:
            if name not in kept.get(part, {}):
                place = f"{field}.{part}.{name}"
                raise InvalidInput(
                    f"{place}: {MASK} stands for a value that is kept, and none is: give it", field=place
                )
            whole[part] = whole[part] | {name: kept[part][name]}
    return whole
