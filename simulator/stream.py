"""One answer of the model as the API's stream events, and as the message they add up to.

    message_start ping (content_block_start content_block_delta… content_block_stop)… message_delta message_stop

`message_start` goes out with the first event that follows it, so that a failure scripted first is still an HTTP status.
"""

import json
import secrets
from collections.abc import Iterator, Mapping
from typing import Any, Final

from simulator.signatures import sign
from simulator.usage import tokens

Event = dict[str, Any]

_CHUNK_CHARACTERS: Final = 20  # about five tokens: several deltas even for a sentence
_MAX_CHUNKS: Final = 500  # a text of a megabyte is not worth 50,000 events


def encode(event: Event) -> bytes:
    """Return an event as server-sent bytes."""
    return f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode()


class MessageBuilder:
    """Collects a message block by block and yields the events that say so.

    The order is the caller's; a text block stays open for more text until another block or the end closes it.
    """

    def __init__(self, model: str, input_usage: Mapping[str, int]) -> None:
        self.content: list[dict[str, Any]] = []
        self.usage: dict[str, int] = {**input_usage, "output_tokens": 1}
        self.stop_reason: str | None = None
        self._model = model
        self._id = f"msg_{secrets.token_hex(12)}"
        self._started = False
        self._text_open = False

    def message(self) -> dict[str, Any]:
        """Return the message so far, as the non-streaming answer has it."""
        return {
            "id": self._id,
            "type": "message",
            "role": "assistant",
            "model": self._model,
            "content": list(self.content),
            "stop_reason": self.stop_reason,
            "stop_sequence": None,
            "usage": dict(self.usage),
        }

    def text(self, text: str) -> Iterator[Event]:
        """Say `text`, in the open text block if there is one."""
        if not text:
            return
        if not self._text_open:
            yield from self._open({"type": "text", "text": ""})
            self._text_open = True
        for chunk in _chunks(text):
            self.content[-1]["text"] += chunk
            yield self._delta({"type": "text_delta", "text": chunk})

    def think(self, thinking: str) -> Iterator[Event]:
        """Give a whole thinking block, signed."""
        yield from self._open({"type": "thinking", "thinking": "", "signature": ""})
        for chunk in _chunks(thinking):
            yield self._delta({"type": "thinking_delta", "thinking": chunk})
        self.content[-1] |= {"thinking": thinking, "signature": sign(thinking)}
        yield self._delta({"type": "signature_delta", "signature": sign(thinking)})
        yield self._stop_event()

    def call(self, name: str, arguments: Mapping[str, Any]) -> Iterator[Event]:
        """Give a whole tool_use block; the caller's CLI runs it as soon as it has the block's last event.

        The id is random: a request that is sent again calls the tool under a new id, as at the provider.
        """
        block = {"type": "tool_use", "id": f"toolu_{secrets.token_hex(12)}", "name": name, "input": {}}
        yield from self._open(block)
        self.content[-1]["input"] = dict(arguments)
        for chunk in _chunks(json.dumps(arguments)):
            yield self._delta({"type": "input_json_delta", "partial_json": chunk})
        yield self._stop_event()

    def finish(self, stop_reason: str | None, usage: Mapping[str, int]) -> Iterator[Event]:
        """End the message: the given reason or the natural one, the estimated usage with `usage` laid over it."""
        yield from self._close_text()
        yield from self._start()
        called = any(block["type"] == "tool_use" for block in self.content)
        self.stop_reason = stop_reason or ("tool_use" if called else "end_turn")
        self.usage |= {"output_tokens": max(1, tokens(self.content)), **usage}
        delta = {"stop_reason": self.stop_reason, "stop_sequence": None}
        yield {"type": "message_delta", "delta": delta, "usage": dict(self.usage)}
        yield {"type": "message_stop"}

    def _start(self) -> Iterator[Event]:
        if not self._started:
            self._started = True
            yield {"type": "message_start", "message": self.message()}
            yield {"type": "ping"}

    def _open(self, block: dict[str, Any]) -> Iterator[Event]:
        yield from self._close_text()
        yield from self._start()
        self.content.append(block)
        yield {"type": "content_block_start", "index": len(self.content) - 1, "content_block": dict(block)}

    def _close_text(self) -> Iterator[Event]:
        if self._text_open:
            self._text_open = False
            yield self._stop_event()

    def _delta(self, delta: dict[str, Any]) -> Event:
        return {"type": "content_block_delta", "index": len(self.content) - 1, "delta": delta}

    def _stop_event(self) -> Event:
        return {"type": "content_block_stop", "index": len(self.content) - 1}


def _chunks(text: str) -> Iterator[str]:
    size = max(_CHUNK_CHARACTERS, -(-len(text) // _MAX_CHUNKS))
    return (text[start : start + size] for start in range(0, len(text), size))
