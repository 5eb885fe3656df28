"""Counts what one call uses, from the bytes that pass by.

A stream says at its start what went in, and with the `message_delta` that ends it what came out; an answer that is not streamed
says both in its body. Of one that is cut, what went in is known or guessed by the request's size, and what came out is guessed
by the size of the deltas.
"""

import json
from contextlib import suppress
from typing import Any

from sessions.account import Usage
from sessions.model_proxy.request import Asked
from sessions.prices import Tokens, cost_usd

_DELTA = b'"content_block_delta"'
_TYPE_WITHIN = 64  # bytes: an event begins with its type
_DELTA_FRAME_BYTES = 90  # of a delta's event that are not the delta
_BYTES_PER_TOKEN = 4
_ILL_FORMED = (ValueError, AttributeError, KeyError, TypeError)  # what is not as the API writes it tells nothing
_COUNTS = {
    "input": "input_tokens",
    "output": "output_tokens",
    "cache_read": "cache_read_input_tokens",
    "cache_write": "cache_creation_input_tokens",
}


class Meter:
    """The meter of one call. `final`: the API has said what it used. `error_type`: of the error that ended the stream."""

    def __init__(self, asked: Asked) -> None:
        self.final = False
        self.error_type: str | None = None
        self._asked = asked
        self._tokens = Tokens()
        self._told_input = False
        self._tool_calls = 0
        self._delta_bytes = 0
        self._rest = b""

    def feed(self, chunk: bytes) -> None:
        """Take the next bytes of a stream of events."""
        *lines, self._rest = (self._rest + chunk).split(b"\n")
        for line in lines:
            if line.startswith(b"data:"):
                self._event(line)

    def whole(self, body: bytes) -> None:
        """Take an answer that was not streamed."""
        with suppress(*_ILL_FORMED):
            message = json.loads(body)
            self._count(message.get("usage"))
            self._tool_calls += sum(block.get("type") == "tool_use" for block in message.get("content") or [])
            self.final = self._told_input

    def used(self, duration_s: float, *, reached: bool) -> Usage:
        """What the call used, as far as it has come. reached: the API may have taken it up; else it cost nothing."""
        if not reached:
            return Usage(calls=1, duration_s=duration_s)
        tokens = self._tokens
        if not self.final:
            tokens.output = max(tokens.output, -(-self._delta_bytes // _BYTES_PER_TOKEN))
            if not self._told_input:
                tokens.input = self._asked.likely_input_tokens
        return Usage(
            calls=1,
            estimated_calls=0 if self.final else 1,
            input_tokens=tokens.input,
            output_tokens=tokens.output,
            cache_read_tokens=tokens.cache_read,
            cache_write_tokens=tokens.cache_write,
            tool_calls=self._tool_calls,
            duration_s=duration_s,
            cost_usd=cost_usd(self._asked.model, tokens),
        )

    def _event(self, line: bytes) -> None:
        if _DELTA in line[:_TYPE_WITHIN]:  # by far the most, and nothing of them is needed but their size
            self._delta_bytes += max(0, len(line) - _DELTA_FRAME_BYTES)
            return
        with suppress(*_ILL_FORMED):
            event = json.loads(line[len(b"data:") :])
            match event.get("type"):
                case "message_start":
                    self._count(event["message"].get("usage"))
                case "content_block_start":
                    self._tool_calls += event["content_block"].get("type") == "tool_use"
                case "message_delta":  # there may be several; the last one gives the reason why the model stopped
                    self._count(event["usage"])
                    self.final = self._told_input and bool(event["delta"]["stop_reason"])
                case "error":
                    self.error_type = event["error"].get("type")

    def _count(self, usage: dict[str, Any] | None) -> None:
        """Take counts over; each is the sum so far."""
        if not usage:
            return
        for name, key in _COUNTS.items():
            if isinstance(usage.get(key), int):
                setattr(self._tokens, name, usage[key])
        if isinstance(usage.get("input_tokens"), int):
            self._told_input = True
        hour = (usage.get("cache_creation") or {}).get("ephemeral_1h_input_tokens")
        if isinstance(hour, int):
            self._tokens.cache_write_hour = hour
        searches = (usage.get("server_tool_use") or {}).get("web_search_requests")
        if isinstance(searches, int):
            self._tokens.searches = searches
        self._tokens.us_only = self._tokens.us_only or usage.get("inference_geo") == "us"
