"""Scripts: what the simulated model does, written as directives in plain text.

A script is a row of *responses*, one per request of a turn, separated by `[[then]]`; a response is a row of *steps*,
played in order. Text outside directives is ignored, so a script may stand inside an ordinary prompt:

    Please look. [[think Let me see.]] [[tool Bash {"command": "ls"}]] [[then]] [[text Two files.]]

Which names are directives is fixed; other double brackets (`[[ -f x ]]` in shell, wiki links) are left alone.
The README of this room lists them all.
"""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from simulator import values
from simulator.errors import ApiError, ScriptError

MAX_DELAY_S: Final = 3600.0  # longer is a mistake in the script: nothing in a demo or a test waits for an hour


@dataclass(frozen=True)
class Text:
    """Say `text`; neighbouring texts make one content block, also with a hold or a stall between them."""

    text: str


@dataclass(frozen=True)
class Think:
    """Give `text` as a thinking block."""

    text: str


@dataclass(frozen=True)
class ToolCall:
    """Call tool `name` with `arguments`; its id is drawn when it is played, as the API does."""

    name: str
    arguments: Mapping[str, Any]


@dataclass(frozen=True)
class Failure:
    """Refuse with `status`, or, once streaming, break off with an `error` event."""

    status: int
    message: str
    headers: Mapping[str, str]

    def error(self) -> ApiError:
        """Return a fresh exception for this failure."""
        return ApiError(self.status, self.message, self.headers)


@dataclass(frozen=True)
class Stall:
    """Send nothing for `delay_s` seconds; None is until the caller goes away."""

    delay_s: float | None


@dataclass(frozen=True)
class Slow:
    """Wait `delay_s` seconds before each further stream event of this response."""

    delay_s: float


@dataclass(frozen=True)
class Hold:
    """Send nothing until the hold called `name` is released."""

    name: str


@dataclass(frozen=True)
class Reset:
    """Cut the connection (TCP reset)."""


@dataclass(frozen=True)
class Stop:
    """End with this `stop_reason` instead of `end_turn` or `tool_use`."""

    reason: str


@dataclass(frozen=True)
class SetUsage:
    """Report these token counts in place of the estimated ones."""

    counts: Mapping[str, int]


Step = Text | Think | ToolCall | Failure | Stall | Slow | Hold | Reset | Stop | SetUsage
Response = tuple[Step, ...]

_MESSAGES: Final = {
    401: "invalid x-api-key",
    403: "Your API key does not have permission to use the specified resource.",
    413: "Request exceeds the maximum size",
    429: "This request would exceed your account's rate limit. Please try again later.",
    500: "Internal server error",
    529: "Overloaded",
}
_HEADER: Final = re.compile(r"(retry-after|x-should-retry)=([a-z0-9.]{1,20})")
_DELAY: Final = re.compile(r"(\d+(?:\.\d+)?)(ms|s)")


def _delay_s(words: str) -> float:
    match = _DELAY.fullmatch(words)
    delay_s = float(match[1]) / (1000 if match[2] == "ms" else 1) if match else None
    if delay_s is None or delay_s > MAX_DELAY_S:
        raise ScriptError(f"a delay is written 5s or 20ms, at most {MAX_DELAY_S:.0f}s, not {words[:40]!r}")
    return delay_s


def _text(words: str, value: Any) -> Text:
    return Text(words if value is None else value)


def _think(words: str, value: Any) -> Think:
    return Think(words if value is None else value)


def _tool(words: str, value: Any) -> ToolCall:
    name = words.strip()
    if not re.fullmatch(r"[a-zA-Z0-9_-]{1,128}", name) or not isinstance(value, dict):
        raise ScriptError('a tool call is written [[tool NAME {"argument": "value"}]], the braces holding valid JSON')
    return ToolCall(name, value)


def _failure(words: str, _value: Any) -> Failure:
    status, *rest = words.split() or [""]
    if not re.fullmatch(r"[45][0-9]{2}", status):
        raise ScriptError(f"an error is written [[error STATUS]], a status from 400 to 599, not {words[:40]!r}")
    headers = {match[1]: match[2] for word in rest if (match := _HEADER.fullmatch(word))}
    message = " ".join(word for word in rest if not _HEADER.fullmatch(word))
    return Failure(int(status), message or _MESSAGES.get(int(status), f"Simulated error {status}"), headers)


def _stall(words: str, _value: Any) -> Stall:
    return Stall(_delay_s(words.strip()) if words.strip() else None)


def _slow(words: str, _value: Any) -> Slow:
    return Slow(_delay_s(words.strip()))


def _hold(words: str, _value: Any) -> Hold:
    return Hold(words.strip() or "default")


def _reset(_words: str, _value: Any) -> Reset:
    return Reset()


def _stop(words: str, _value: Any) -> Stop:
    if not re.fullmatch(r"[a-z_]+", words.strip()):
        raise ScriptError(f"a stop is written [[stop REASON]], such as max_tokens, not {words[:40]!r}")
    return Stop(words.strip())


def _usage(_words: str, value: Any) -> SetUsage:
    counts = value if isinstance(value, dict) else {}
    if not counts or not all(type(count) is int and count >= 0 for count in counts.values()):
        raise ScriptError('usage is written [[usage {"output_tokens": 5000}]], each count a whole number')
    return SetUsage(counts)


_DIRECTIVES: Final[dict[str, Callable[[str, Any], Step]]] = {
    "text": _text,
    "think": _think,
    "tool": _tool,
    "error": _failure,
    "stall": _stall,
    "slow": _slow,
    "hold": _hold,
    "reset": _reset,
    "stop": _stop,
    "usage": _usage,
}
_OPENING: Final = re.compile(r"\[\[(" + "|".join([*_DIRECTIVES, "then"]) + r")(?=[\s\]])\s?")
_CLOSING: Final = re.compile(r"\s*\]\]")
# What may stand before the JSON of those directives that take some.
_BEFORE_JSON: Final = {
    "text": re.compile(r"\s*(?=\")"),
    "think": re.compile(r"\s*(?=\")"),
    "tool": re.compile(r"[^\[\]{]*(?={)"),
    "usage": re.compile(r"\s*(?={)"),
}
_DECODER: Final = json.JSONDecoder()


def parse(script: str) -> list[Response]:
    """Return the responses that `script` asks for, [] when it holds no directive.

    Raises ScriptError when a directive is not closed or its argument is wrong; nothing of the script is used then.
    """
    responses: list[list[Step]] = [[]]
    found, position = False, 0
    while match := _OPENING.search(script, position):
        found, name = True, match[1]
        words, value, position = _argument(script, match.end(), name)
        if name == "then":
            responses.append([])
        else:
            responses[-1].append(_DIRECTIVES[name](words, value))
    return [tuple(response) for response in responses] if found else []


def _argument(script: str, start: int, name: str) -> tuple[str, Any, int]:
    """Return the words, the JSON value after them (None without one) and where the directive ends.

    JSON is decoded rather than searched for its end, so that it may hold brackets, a whole script for a subagent too.
    """
    if name in _BEFORE_JSON and (before := _BEFORE_JSON[name].match(script, start)):
        try:
            value, end = _DECODER.raw_decode(script, before.end())
            values.check(value)
        except (ValueError, RecursionError):
            end = -1
        if end >= 0 and (closing := _CLOSING.match(script, end)):
            return before[0], value, closing.end()
    end = script.find("]]", start)
    if end < 0:
        raise ScriptError(f"the directive [[{name} is never closed with ]]")
    return script[start:end], None, end + 2
