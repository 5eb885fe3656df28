"""A chat on a terminal as it happens: text as it comes, calls of tools as dim lines, until the answer to our message is there.

GET /api/chat/{session}/events ─▶ event ─▶ printed ─▶ `answer` to our message: done
             └─ broke, or silent: what we know by then; the caller looks by polling
"""

import json
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from typing import Any

import httpx

from cli.printing import line, plain

HEARD_S = 20.0
"""The door says something each 15 s: silence for longer means that it is gone."""
_WIDTH = 100

Lines = Callable[[float], AbstractContextManager[Iterator[str]]]
"""Opens the stream, given how long it may be silent; raises httpx.HTTPError where it breaks."""
Reply = dict[str, Any]


class Terminal:
    """Prints what a turn shows. Told to begin anew, it says so, unless what it printed still stands."""

    def __init__(self, write: Callable[[str], object]) -> None:
        self._write = write
        self._printed = ""
        self.text = ""
        """What the agent has said since its last call."""

    def show(self, kind: str, about: Mapping[str, Any]) -> None:
        """Print an event, if it is one to be seen."""
        match kind:
            case "reset":
                self._begin_anew(about["items"])
            case "text" if about["parent"] is None:
                self.text += about["text"]
                self._print(plain(about["text"]))
            case "tool_call":
                self._print_line(_call(about))
                self.text = ""
            case "tool_result":
                self._print_line(_result(about))
            case "end" if about["how"] == "deferred":
                self.end()  # what was said stands; the run that follows a decision shows what comes then
            case "status" if about["state"] == "retrying":
                self._print_line(f"the model's API did not answer ({about['because']}): trying again")
            case "remark":
                self.end()  # likewise
                self._write(f"{_dim(plain(about['text']))}\n")

    def end(self, said: str = "") -> None:
        """End the turn's output, with a dim line if there is something to say; what comes next is another turn's."""
        if said and self._printed:
            self._print_line(said)
        elif self._printed and not self._printed.endswith("\n"):
            self._write("\n")
        self._printed = self.text = ""

    def _begin_anew(self, items: Iterable[Mapping[str, Any]]) -> None:
        anew = Terminal(lambda _: None)
        for item in items:
            anew.show(item["kind"], item)
            if "result" in item:
                anew.show("tool_result", item["result"])
        if anew._printed.startswith(self._printed):
            more = anew._printed[len(self._printed) :]
        else:
            self.end("what was said is void; it begins anew")
            more = anew._printed
        self._print(more)
        self.text = anew.text

    def _print_line(self, text: str) -> None:
        start = "" if not self._printed or self._printed.endswith("\n") else "\n"
        self._print(f"{start}{_dim(text)}\n")

    def _print(self, text: str) -> None:
        if text:
            self._printed += text
            self._write(text)


def follow(lines: Lines, reply: Reply, look: Callable[[Reply], Reply], terminal: Terminal, *, until: float) -> Reply:
    """Print what happens until the message has its reply, or the stream broke, or `until` (time.monotonic); the reply by then.

    look: asks for the reply otherwise; a job may end without a word in the chat.
    """
    try:
        with lines(min(HEARD_S, max(until - time.monotonic(), 0.1))) as stream:
            for kind, about in events(stream):
                if kind == "answer" and reply["message_id"] in about["answers"]:
                    return {**reply, "status": about["state"], "response": about["text"]}
                if kind == "answer":
                    terminal.end("this was for an earlier message")
                elif kind:
                    terminal.show(kind, about)
                else:
                    reply = look(reply)
                if reply["status"] != "waiting" or time.monotonic() >= until:
                    break
    except (httpx.HTTPError, ValueError, KeyError):  # also what is no stream of ours
        terminal.end()
    return reply


def events(lines: Iterable[str]) -> Iterator[tuple[str, dict[str, Any]]]:
    """The events of a stream: kind and data; of a comment, both empty."""
    kind = data = ""
    for one in lines:
        name, _, value = one.partition(": ")
        if name == "event":
            kind = value
        elif name == "data":
            data = value
        elif one.startswith(":"):
            yield "", {}
        elif not one and kind:
            yield kind, json.loads(data)
            kind = data = ""


def on_terminal() -> bool:
    """Whether a person sees stdout as it comes."""
    return sys.stdout.isatty()


def _call(about: Mapping[str, Any]) -> str:
    return f"{'  ' if about['parent'] else ''}• {_short(about['name'] + ' ' + about['input'])}"


def _result(about: Mapping[str, Any]) -> str:
    return f"  {'✗' if about['is_error'] else '↳'} {_short(about['text'])}"


def _short(text: str) -> str:
    shown = line(text)
    return shown if len(shown) <= _WIDTH else f"{shown[:_WIDTH]}…"


def _dim(text: str) -> str:
    if os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        return text
    return f"\x1b[2m{text}\x1b[0m"
