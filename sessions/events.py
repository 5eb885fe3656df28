"""What happens in a running turn, in the words of somebody who watches it: small values, bounded, with no SDK behind them.

| kind          | about                                                                                         |
|---------------|-----------------------------------------------------------------------------------------------|
| `text`        | `text`: a piece of what the model says; `message`: which of its messages                      |
| `void`        | `message`: what was said in it does not count, the model begins that message anew             |
| `tool_call`   | `id`, `name`, `input`: JSON text                                                              |
| `tool_result` | `id`: of the call; `text`, `is_error`                                                         |
| `status`      | `state`, one of STATES, and of `calling` the `tool`, of `retrying` `attempt`, `of`, `because`  |
| `cost`        | what this run has used so far, by the ledger, subagents included: `calls`, tokens, `cost_usd`  |
| `end`         | `how` this run ended: `answered`, `deferred` (a call waits for a decision), `broke`           |

`parent` in the first four is the id of the call whose subagent it was, None for the agent itself.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

Kind = Literal["text", "void", "tool_call", "tool_result", "status", "cost", "end"]

STATES = ("starting", "thinking", "writing", "calling", "retrying", "waiting_for_approval")
MAX_INPUT_CHARS = 4_000
MAX_RESULT_CHARS = 2_000


@dataclass(frozen=True, slots=True)
class TurnEvent:
    """Something that happened in a run of a turn; `about` is JSON."""

    kind: Kind
    about: Mapping[str, Any]


OnEvent = Callable[[TurnEvent], object]
"""Told each event as it happens, in the run's own task. It returns at once; where it raises, it is told nothing more."""


def cut(text: str, max_chars: int) -> str:
    """The text, or its beginning with a mark that says how much more there was."""
    more = len(text) - max_chars
    return text if more <= 0 else f"{text[:max_chars]}… ({more:,} more characters)"


def tool_call(call_id: str, name: str, given: Any, parent: str | None) -> TurnEvent:
    """A call, its input cut to 4,000 characters."""
    shown = cut(json.dumps(given, ensure_ascii=False), MAX_INPUT_CHARS)
    return TurnEvent("tool_call", {"id": call_id, "name": name, "input": shown, "parent": parent})


def tool_result(call_id: str, content: Any, parent: str | None, *, is_error: bool) -> TurnEvent:
    """What a call brought, as text of 2,000 characters at most; of a block that is no text, its type stands there."""
    blocks = content if isinstance(content, list) else [{"type": "text", "text": content or ""}]
    texts = (str(block["text"]) if block.get("type") == "text" else f"[{block.get('type')}]" for block in blocks)
    shown = cut("\n".join(texts), MAX_RESULT_CHARS)
    return TurnEvent("tool_result", {"id": call_id, "text": shown, "is_error": is_error, "parent": parent})
