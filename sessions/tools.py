"""Tools of our own: functions of this program that an agent may call, served to its CLI from within this process.

    AgentSetup.own_tools ─▶ one MCP server `jobs` a CLI ─▶ the model sees mcp__jobs__NAME
                              call ─▶ gate ─▶ Input ─▶ fn ─▶ result, cut      (else: one line that the model can act on)

A server is made for each CLI and knows nothing of another's, so that a tool made for one person's run cannot be reached from
another's. `mcp.server` is used as it is, not the SDK's helper: that checks the input by its JSON schema before we see it, and
repeats a value that does not fit, however long, to the model.
"""

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from traceback import extract_tb
from typing import TYPE_CHECKING, Any, Generic, TypeVar
from uuid import UUID, uuid4

import structlog
from pydantic import BaseModel, ValidationError

from jobs_core import InvalidInput, LeaseLost, db, gate
from sessions.errors import ToolRefused

if TYPE_CHECKING:
    from claude_agent_sdk import McpServerConfig
    from mcp.server import ServerRequestContext
    from mcp.types import CallToolRequestParams, CallToolResult, ListToolsResult, PaginatedRequestParams

InputT = TypeVar("InputT", bound=BaseModel)

SERVER = "jobs"
MAX_RESULT_CHARS = 20_000
"""What a model is given of a result. Of 60,000 the CLI keeps all but the beginning in a file; 49,000 passed whole."""
_LONGEST_CALL_S = 120.0  # less than a CLI may be silent (SessionSettings.silence_s)
_MOST_FAULTS = 5
_NAME = re.compile(r"[a-z][a-z0-9_]{0,47}")  # with the server's name before it, within the API's 64 characters
_CALL_ID = "claudecode/toolUseId"

log = structlog.get_logger()

_call: ContextVar["Call"] = ContextVar("call")


@dataclass(frozen=True, slots=True)
class Call:
    """A call under way. id: the call's in the transcript. run_id: of the CLI that calls, a new one each time one is started.

    known: the calls by earlier CLIs whose results the model has seen; of what any other one did it knows nothing.
    """

    id: str | None
    run_id: UUID
    known: frozenset[str]


@dataclass(frozen=True, slots=True)
class Tool(Generic[InputT]):
    """A function that a model may call; what `description` and the fields of `Input` say is all it knows of it.

    name: lower-case letters, digits and underscores, 48 at most. fn: gets a valid `Input`, and returns text or a model; the
    first 20,000 characters are shown. It is cancelled after 120 s, or with its run. It raises ToolRefused, or
    jobs_core.InvalidInput, with a text for the model; of whatever else it raises the model hears only that it failed. gated: a
    person is asked before it runs, unless a rule allows it.
    """

    name: str
    description: str
    Input: type[InputT]
    fn: Callable[[InputT], Awaitable[str | BaseModel]]
    gated: bool = False

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise ValueError(f"{self.name!r} is no name for a tool: lower-case letters, digits and _, 48 at most")


def shown_names(tools: Sequence[Tool[Any]]) -> list[str]:
    """The tools' names as the model, the gate and the transcript have them. Raises ValueError where two are the same."""
    names = [f"mcp__{SERVER}__{tool.name}" for tool in tools]
    if len(set(names)) < len(names):
        raise ValueError(f"two tools have one name: {', '.join(sorted(names))}")
    return names


def current_call() -> Call:
    """Inside a tool: the call that it is for."""
    return _call.get()


def served(tools: Sequence[Tool[Any]], known: frozenset[str] = frozenset()) -> "dict[str, McpServerConfig]":
    """What `mcp_servers` of one CLI's options are: our server with these tools; none where there are none.

    known: the calls whose results stand in the transcript that the CLI begins with.
    """
    from mcp.server import Server
    from mcp.types import ListToolsResult
    from mcp.types import Tool as Listed

    if not tools:
        return {}
    run_id, by_name = uuid4(), {tool.name: tool for tool in tools}
    listed = [
        Listed(name=tool.name, description=tool.description, input_schema=tool.Input.model_json_schema())
        for tool in tools
    ]

    async def list_tools(_: "ServerRequestContext[Any]", __: "PaginatedRequestParams | None") -> "ListToolsResult":
        return ListToolsResult(tools=listed)

    async def call_tool(context: "ServerRequestContext[Any]", call: "CallToolRequestParams") -> "CallToolResult":
        call_id = (context.meta or {}).get(_CALL_ID)
        of_call = _call.set(Call(call_id if isinstance(call_id, str) else None, run_id, known))
        try:
            with structlog.contextvars.bound_contextvars(tool=call.name, call_id=call_id):
                return await _answer(by_name[call.name], call.arguments or {})  # none but these are known to the CLI
        finally:
            _call.reset(of_call)

    server = Server(SERVER, on_list_tools=list_tools, on_call_tool=call_tool)
    return {SERVER: {"type": "sdk", "name": SERVER, "instance": server}}


async def _answer(tool: Tool[Any], arguments: Mapping[str, Any]) -> "CallToolResult":
    """The result of a call, or why there is none, as the model is told it. Never raises but a cancel."""
    try:
        given = _fitted(tool.Input, arguments)
        async with asyncio.timeout(_LONGEST_CALL_S):
            result = await tool.fn(given)
        return _result(result if isinstance(result, str) else result.model_dump_json(), failed=False)
    except Exception as error:  # noqa: BLE001 - whatever it is, the model must have an answer, and no more than it may know
        return _result(_told(error), failed=True)


def _fitted(model: type[BaseModel], arguments: Mapping[str, Any]) -> BaseModel:
    """The arguments as the tool's Input. Raises InvalidInput, or ToolRefused that names each unfit field, not its value."""
    gate.to_json(arguments, field="input", max_bytes=gate.MAX_INPUT_BYTES)
    try:
        return model.model_validate(arguments)
    except ValidationError as error:
        faults = error.errors(include_url=False, include_context=False, include_input=False)
        told = [f"{'.'.join(map(str, fault['loc'])) or 'input'}: {fault['msg']}" for fault in faults[:_MOST_FAULTS]]
        more = [f"and {len(faults) - _MOST_FAULTS} more"] if len(faults) > _MOST_FAULTS else []
        raise ToolRefused(f"The input does not fit. {'; '.join([*told, *more])}") from None


def _told(error: Exception) -> str:
    """What the model hears of an error, in one line. The log has its kind and place, not its text, which may hold secrets."""
    match error:
        case ToolRefused() | InvalidInput():
            log.info("tool.refused", error=type(error).__name__)
            return " ".join(str(error).split())
        case LeaseLost():
            log.info("tool.lost_its_run")
            return "This run was taken over by another one: nothing was done. Stop."
        case TimeoutError():
            log.warning("tool.timed_out")
            return "The tool took too long and was stopped; what it did is not known."
    if db.will_pass(error):
        log.warning("tool.had_no_database", error=db.describe(error))
        return "The database was away: whether anything was done is not known. Try again."
    frames = extract_tb(error.__traceback__)
    at = f"{frames[-1].filename}:{frames[-1].lineno}" if frames else None
    log.error("tool.broke", error=db.describe(error), at=at)
    return "The tool failed by a fault of its own; its operator was told. Calling it again will not help."


def _result(text: str, *, failed: bool) -> "CallToolResult":
    from mcp.types import CallToolResult, TextContent

    if len(text) > MAX_RESULT_CHARS:
        text = f"{text[:MAX_RESULT_CHARS]}… (cut: {len(text)} characters in all)"
    kept = gate.clean_text(text, max_chars=2 * MAX_RESULT_CHARS)
    return CallToolResult(content=[TextContent(text=kept)], is_error=failed)
