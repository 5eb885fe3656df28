"""One CLI from start to end: connect, ask or let it go on, listen until the result, leave.

    connect ─▶ (prompt) ─▶ message, message, … ─▶ result ─▶ leave
                 └─ no first message in 30 s, then silence, the CLI's end, a refused mirror: kill, leave, raise

Leaving a CLI that is busy takes it 5 s and more, so whatever ends a conversation early kills the CLI's processes first.
That is a crash, as far as the transcript can tell, and those a later run can go on from; an interrupt marks the turn as
stopped by a person, for good, and is for that alone (`Manners.stop`).
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from jobs_core.tasks import end_task
from sessions.errors import MirrorFailed
from sessions.failures import Failure

if TYPE_CHECKING:
    from claude_agent_sdk import AssistantMessage, ClaudeAgentOptions, ClaudeSDKClient, Message, ResultMessage

Content = str | list[dict[str, Any]]

FIRST_MESSAGE_S = 30.0
_LONGEST_REASON = 300
_TOOL_GONE = "tool_deferred_unavailable"


class CliBroke(Exception):
    """The CLI did not start, died or fell silent; the transcript says what became of the turn.

    silent: it had begun, and then said nothing: most likely it waited for the model's API.
    """

    def __init__(self, reason: str, *, silent: bool = False) -> None:
        super().__init__(reason)
        self.silent = silent


@dataclass(frozen=True, slots=True)
class DeferredCall:
    """A tool call that a hook put off until somebody decides; `id` is the call's in the transcript and stays."""

    id: str
    name: str
    input: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Heard:
    """What a conversation came to: an answer with the turn's usage, a call that waits for a decision, or a failure.

    cost_usd: by the CLI's own count, since the session's last `cost-state`. tool_gone: of the call that was to
    be decided, there is no tool any more; nothing was asked of the model.
    """

    answer: str = ""
    usage: dict[str, Any] | None = None
    failure: Failure | None = None
    deferred: DeferredCall | None = None
    cost_usd: float | None = None
    tool_gone: bool = False


@dataclass(frozen=True, slots=True)
class Manners:
    """How to talk: `silence_s` between messages, how many may start at once, how to kill the CLI, who hears each message.

    `hear` returns at once, and raises nothing. stop: set when a person wants the turn stopped, which soon ends as a failure.
    """

    silence_s: float
    starts: asyncio.Semaphore
    kill: Callable[[], object]
    hear: "Callable[[Message], object] | None" = None
    stop: asyncio.Event = field(default_factory=asyncio.Event)


async def converse(options: "ClaudeAgentOptions", prompt: dict[str, Any] | None, manners: Manners) -> Heard:
    """Run one CLI to the end of one turn; `prompt` None lets it go on with the turn it was resumed in.

    Raises CliBroke, MirrorFailed; no process is left then.
    """
    from claude_agent_sdk import ClaudeSDKClient, ClaudeSDKError

    complaints: deque[str] = deque(maxlen=1)
    client = ClaudeSDKClient(replace(options, stderr=complaints.append))
    try:
        await _connect(client, manners)
        try:
            if prompt is not None:
                await _ask(client, prompt)
            async with _interrupted_on(manners.stop, client):
                return await _listen(client, manners)
        except BaseException:
            manners.kill()
            raise
        finally:
            await client.disconnect()
    except (ClaudeSDKError, CliBroke) as error:
        silent = isinstance(error, CliBroke) and error.silent
        raise CliBroke(_one_line(error, complaints), silent=silent) from error


@asynccontextmanager
async def _interrupted_on(stop: asyncio.Event, client: "ClaudeSDKClient") -> AsyncIterator[None]:
    async def interrupt() -> None:
        await stop.wait()
        with suppress(Exception):  # one that is ending by itself cannot be; whoever stopped it kills it in the end
            await client.interrupt()

    task = asyncio.create_task(interrupt())
    try:
        yield
    finally:
        await end_task(task)


async def _connect(client: "ClaudeSDKClient", manners: Manners) -> None:
    async with manners.starts:
        try:
            async with asyncio.timeout(FIRST_MESSAGE_S):
                await client.connect()
        except Exception as error:  # the SDK raises a bare Exception when a time limit of its own is over
            raise CliBroke(f"did not start: {error or 'it took too long'}") from error


async def _ask(client: "ClaudeSDKClient", prompt: dict[str, Any]) -> None:
    try:
        async with asyncio.timeout(FIRST_MESSAGE_S):  # a prompt that fills the pipe waits for a CLI that reads
            await client.query(_once(prompt))
    except TimeoutError:
        raise CliBroke(f"did not take the prompt in {FIRST_MESSAGE_S:g} s") from None


def _one_line(error: Exception, complaints: Iterable[str]) -> str:
    """What broke the CLI, in one line, with the last line that it wrote on stderr."""
    return " · ".join([str(error).partition("\n")[0], *complaints])[:_LONGEST_REASON]


async def _once(prompt: dict[str, Any]) -> AsyncIterator[dict[str, Any]]:
    yield prompt


async def _listen(client: "ClaudeSDKClient", manners: Manners) -> Heard:
    from claude_agent_sdk import AssistantMessage, ResultMessage
    from claude_agent_sdk.types import MirrorErrorMessage

    said: list[AssistantMessage] = []
    async for message in _messages(client, manners.silence_s):
        if isinstance(message, MirrorErrorMessage):
            raise MirrorFailed("The transcript could not be stored in Postgres; the run was stopped")
        if manners.hear:
            manners.hear(message)
        if isinstance(message, AssistantMessage) and message.parent_tool_use_id is None:
            said.append(message)
        elif isinstance(message, ResultMessage):
            return replace(_heard(message, said), cost_usd=message.total_cost_usd)
    raise CliBroke("ended without a result")


async def _messages(client: "ClaudeSDKClient", silence_s: float) -> AsyncIterator["Message"]:
    """The CLI's messages; raises CliBroke when none comes in time."""
    messages = client.receive_messages()
    patience_s, began = FIRST_MESSAGE_S, False
    while True:
        try:
            async with asyncio.timeout(patience_s):
                message = await anext(messages, None)
        except TimeoutError:
            raise CliBroke(f"said nothing for {patience_s:g} s", silent=began) from None
        if message is None:
            return
        yield message
        patience_s, began = silence_s, True


def _heard(result: "ResultMessage", said: "list[AssistantMessage]") -> Heard:
    """The answer is all text of the last message, of which the result names only the last block."""
    from claude_agent_sdk import TextBlock

    if result.stop_reason == _TOOL_GONE:
        return Heard(tool_gone=True)
    if call := result.deferred_tool_use:
        return Heard(usage=result.usage, deferred=DeferredCall(call.id, call.name, call.input))
    if result.subtype == "success" and not result.is_error:
        blocks = [block for message in said if message.message_id == said[-1].message_id for block in message.content]
        return Heard("".join(block.text for block in blocks if isinstance(block, TextBlock)), result.usage)
    text = result.result or "; ".join(result.errors or []) or result.subtype
    error = said[-1].error if said else None
    return Heard(
        failure=Failure(error, result.api_error_status, text, stop=result.stop_reason, ended=result.terminal_reason)
    )
