"""Plays one response to one caller.

step by step ─▶ events ─▶ the connection          a caller that goes away ends it at once
     │
     ├─ stall, slow, hold: wait here
     ├─ error: a status, or once streaming an `error` event
     └─ reset: cut the connection
"""

import asyncio
import contextlib
from collections.abc import Callable, Iterable

from starlette.responses import JSONResponse
from starlette.types import Message, Receive, Scope, Send

from simulator.caller import while_connected
from simulator.director import Director
from simulator.errors import ApiError
from simulator.recorder import Entry, Recorder
from simulator.script import (
    Failure,
    Hold,
    Reset,
    Response,
    SetUsage,
    Slow,
    Stall,
    Step,
    Stop,
    Text,
    Think,
    ToolCall,
)
from simulator.stream import Event, MessageBuilder, encode

Cut = Callable[[Scope], None]


class _Reset(Exception):
    """The script wants the connection cut."""


class Answer:
    """An ASGI application that gives `response`, streamed or whole, and records how that ended."""

    def __init__(
        self,
        response: Response,
        builder: MessageBuilder,
        *,
        stream: bool,
        request_id: str,
        entry: Entry,
        recorder: Recorder,
        director: Director,
        cut: Cut,
    ) -> None:
        self._response = response
        self._builder = builder
        self._stream = stream
        self._request_id = request_id
        self._entry = entry
        self._recorder = recorder
        self._director = director
        self._cut = cut
        self._delay_s = 0.0
        self._headers_sent = False
        self._stop_reason: str | None = None
        self._usage: dict[str, int] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Play until the answer is complete or the caller is gone."""
        try:
            await while_connected(receive, self._play(scope, receive, send))
        finally:
            self._recorder.close(self._entry, "cut")  # counts only where nothing else ended it

    async def _play(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            for step in self._response:
                await self._take(step, send)
            await self._give(self._builder.finish(self._stop_reason, self._usage), send)
            await self._end(scope, receive, send)
            self._recorder.close(self._entry, "finished", 200)
        except ApiError as error:
            await self._fail(error, scope, receive, send)
        except _Reset:
            self._recorder.close(self._entry, "reset")
            self._cut(scope)

    async def _take(self, step: Step, send: Send) -> None:  # noqa: C901 - one flat case for each kind of step
        builder = self._builder
        match step:
            case Text(text):
                await self._give(builder.text(text), send)
            case Think(text):
                await self._give(builder.think(text), send)
            case ToolCall(name, arguments):
                await self._give(builder.call(name, arguments), send)
            case Stall(delay_s):
                await _stall(delay_s)
            case Slow(delay_s):
                self._delay_s = delay_s
            case Hold(name):
                self._recorder.hold(self._entry, name)
                await self._director.hold(name)
                self._recorder.hold(self._entry, None)
            case Failure():
                raise step.error()
            case Reset():
                raise _Reset
            case Stop(reason):
                self._stop_reason = reason
            case SetUsage(counts):
                self._usage |= counts

    async def _give(self, events: Iterable[Event], send: Send) -> None:
        """Send events as they come, at the script's pace; without a stream they only build the message."""
        for event in events:
            await asyncio.sleep(self._delay_s)
            if self._stream:
                await self._send(encode(event), send)

    async def _end(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._stream:
            await send({"type": "http.response.body", "body": b""})
        else:
            message = self._builder.message()
            await JSONResponse(message, headers={"request-id": self._request_id})(scope, receive, send)

    async def _fail(self, error: ApiError, scope: Scope, receive: Receive, send: Send) -> None:
        body = error.body(self._request_id)
        if self._headers_sent:
            await send({"type": "http.response.body", "body": encode(body)})
            self._recorder.close(self._entry, "failed", 200)
        else:
            headers = {**error.headers, "request-id": self._request_id}
            await JSONResponse(body, error.status, headers)(scope, receive, send)
            self._recorder.close(self._entry, "failed", error.status)

    async def _send(self, data: bytes, send: Send) -> None:
        if not self._headers_sent:
            self._headers_sent = True
            headers: list[tuple[bytes, bytes]] = [
                (b"content-type", b"text/event-stream; charset=utf-8"),
                (b"cache-control", b"no-cache"),
                (b"request-id", self._request_id.encode()),
            ]
            start: Message = {"type": "http.response.start", "status": 200, "headers": headers}
            await send(start)
        await send({"type": "http.response.body", "body": data, "more_body": True})


async def _stall(delay_s: float | None) -> None:
    """Wait; with None for ever, which the caller's leaving ends."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(delay_s):
            await asyncio.Event().wait()
