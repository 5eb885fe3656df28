"""What a request to the Messages API asks for, and the most it can use.

A cap holds only if that bound does. No text has more tokens than bytes; an image has no more than 5,000 whatever its size;
and no request takes more than the largest context window. Where a request does not show how much the model will be given
(the API's own tools, files and links, PDFs, which are packed and read as pictures, too), that window is the bound.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from sessions.model_proxy.refusal import Refused
from sessions.prices import Tokens, cost_usd

_CONTEXT_WINDOW = 1_000_000
_IMAGE_TOKENS = 5_000
_BYTES_PER_TOKEN = 4  # the API's rule of thumb
_NO_MAX_TOKENS = 128_000
_MOST_MAX_TOKENS = 10_000_000
_MODEL = re.compile("[!-~]{1,256}")  # what no model is called need not fit the ledger
_INVALID = 400


@dataclass(frozen=True, slots=True)
class Asked:
    """A request's model, whether its answer is streamed, and its size in tokens: likely, and at most.

    fast: it asks for a speed that the price list knows no price of.
    """

    model: str
    stream: bool
    likely_input_tokens: int
    most_input_tokens: int
    max_tokens: int
    fast: bool = False

    @property
    def most_usd(self) -> Decimal:
        """The most it can cost: all of its input written to the cache for an hour, in the US alone, the dearest there is."""
        most = self.most_input_tokens
        tokens = Tokens(output=self.max_tokens, cache_write=most, cache_write_hour=most, us_only=True)
        return cost_usd(self.model, tokens)


def read(body: bytes) -> Asked:
    """What the body asks for. Raises Refused where it is no such request."""
    try:
        content = json.loads(body)
        model, limit = content["model"], content.get("max_tokens", _NO_MAX_TOKENS)
    except (ValueError, KeyError, TypeError, RecursionError):
        model = limit = None
    if not (
        isinstance(model, str) and _MODEL.fullmatch(model) and type(limit) is int and 0 <= limit <= _MOST_MAX_TOKENS
    ):
        raise Refused(_INVALID, "invalid_request_error", "The request is no JSON object with a model and max_tokens")
    size, hidden = len(body), _has_hidden_input(content)
    for block in _blocks(content.get("messages")):
        source = block.get("source")
        if not isinstance(source, dict):
            continue
        match block.get("type"), source.get("type"), source.get("data"):
            case "image", "base64", str(data):
                size += _IMAGE_TOKENS - len(data)
            case (_, "url" | "file", _) | ("document", "base64", _):
                hidden = True
    most = _CONTEXT_WINDOW if hidden else min(size, _CONTEXT_WINDOW)
    fast = (content.get("speed") or "standard") != "standard"
    return Asked(model, bool(content.get("stream")), size // _BYTES_PER_TOKEN, most, limit, fast)


def _has_hidden_input(content: dict[str, Any]) -> bool:
    """Whether tools of the API itself, or servers that it calls, bring the model more than the request shows."""
    tools = content.get("tools")
    listed = tools if isinstance(tools, list) else []
    own = any(tool.get("type") not in {None, "custom"} for tool in listed if isinstance(tool, dict))
    return own or bool(content.get("mcp_servers"))


def _blocks(messages: Any) -> Iterator[dict[str, Any]]:
    """All content blocks, those inside tool results and documents too."""
    for message in messages if isinstance(messages, list) else []:
        content = message.get("content") if isinstance(message, dict) else None
        for block in content if isinstance(content, list) else []:
            if isinstance(block, dict):
                yield block
                yield from _blocks([block, block.get("source")])
