"""Token counts: made up, but deterministic and of the right size.

A token is taken as four bytes of JSON, the API's own rule of thumb. Where the request marks something for the cache,
everything up to the last answer counts as read from it and the rest as written to it, as in a conversation that goes on
inside the cache's five minutes.
"""

import json
from typing import Any, Final

_BYTES_PER_TOKEN: Final = 4
_UNCACHED: Final = 3  # what the API typically still bills as plain input behind the last cache mark


def tokens(value: Any) -> int:
    """Return the estimated tokens of a JSON value, 0 for nothing."""
    return -(-len(json.dumps(value, ensure_ascii=False)) // _BYTES_PER_TOKEN) if value else 0


def input_tokens(body: dict[str, Any]) -> int:
    """Return the estimated tokens of a whole request: system, tools and messages."""
    return tokens(body.get("system")) + tokens(body.get("tools")) + tokens(body["messages"])


def input_usage(body: dict[str, Any]) -> dict[str, int]:
    """Return the input side of a message's `usage`."""
    total = input_tokens(body)
    if '"cache_control"' not in json.dumps([body.get("system"), body.get("tools"), body["messages"]]):
        return {"input_tokens": total, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 0}
    messages = body["messages"]
    answers = [index for index, message in enumerate(messages) if message["role"] == "assistant"]
    fresh = tokens(messages[answers[-1] + 1 :]) if answers else total
    fresh = min(fresh, total)
    return {
        "input_tokens": _UNCACHED,
        "cache_creation_input_tokens": fresh,
        "cache_read_input_tokens": total - fresh,
    }
