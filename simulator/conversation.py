"""What a request's history says about the turn it belongs to.

The simulator keeps no memory of conversations. Which response of a script is due follows from the history alone, so
that a retry, or a resume by another worker on another host, gets the same answer:

    user   prompt  [[tool A …]] [[then]] [[text done]]       ← the last text that a person wrote: the prompt
    assistant      tool_use A                                ← one assistant message since: round 1
    user           tool_result, "Continue from where …"      ← the CLI's own notes are not prompts
    assistant      ?                                         ← response number 1 of the script
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

# How the CLI (2.1.329) begins the text blocks that it adds on its own; measured in request bodies.
_NOTES: Final = (
    "<system-reminder>",
    "Continue from where you left off.",
    "[Request interrupted by user",
    "[Image: source:",
    "[structured-output-enforce]",
    "Output token limit hit",
    "[Your previous response had no visible output.",
)


@dataclass(frozen=True)
class Conversation:
    """The turn a request belongs to: the person's `prompts`, how far it got, what the last message brought; its tools."""

    prompts: tuple[str, ...]
    round: int
    tool_results: tuple[str, ...]
    asked: str
    tools: tuple[str, ...] = ()

    @property
    def prompt(self) -> str:
        """The last text that a person wrote, "" when there is none."""
        return self.prompts[-1] if self.prompts else ""


def read(messages: list[Any], tools: Sequence[Any] = ()) -> Conversation:
    """Return the conversation that valid API `messages` hold; `tools` as the request has them."""
    prompts: list[str] = []
    answers, previous = 0, ""
    for message in messages:
        role = message["role"]
        if role == "user" and (own := list(_own_texts(message["content"]))):
            prompts += own
            answers = 0
        if role == "assistant" and previous != "assistant":
            answers += 1
        previous = role if role != "system" else previous
    last = _last_user_blocks(messages)
    results = tuple(_flat(block.get("content")) for block in last if block["type"] == "tool_result")
    texts = [block["text"] for block in last if block["type"] == "text"]
    asked = "\n".join([*prompts[-1:], *results, *(text for text in texts if text not in prompts[-1:])])
    names = tuple(str(tool.get("name")) for tool in tools if isinstance(tool, dict))
    return Conversation(tuple(prompts), answers, results, asked, names)


def blocks(content: Any) -> list[dict[str, Any]]:
    """Return message content as a list of blocks; a plain string is one text block."""
    return [{"type": "text", "text": content}] if isinstance(content, str) else content


def _own_texts(content: Any) -> Iterator[str]:
    for block in blocks(content):
        if block["type"] == "text" and not block["text"].startswith(_NOTES):
            yield block["text"]


def _last_user_blocks(messages: list[Any]) -> list[dict[str, Any]]:
    """Return the blocks of all user messages since the last assistant message."""
    last: list[dict[str, Any]] = []
    for message in messages:
        if message["role"] == "assistant":
            last = []
        elif message["role"] == "user":
            last += blocks(message["content"])
    return last


def _flat(content: Any) -> str:
    """Return the text of a tool result; what is not text is named by its type."""
    return "\n".join(block.get("text", f"[{block['type']}]") for block in blocks(content or ""))
