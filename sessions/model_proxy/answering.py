"""Answers one request: passes it to the API, and the API's bytes to the CLI as they come, and counts them.

may it begin? ─▶ API ─▶ bytes ─▶ counted ─▶ CLI
                  └─ breaks off: the CLI's connection is reset
"""

import time

import httpx
import structlog
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Send

from sessions.failures import retry_after_s
from sessions.model_proxy.listener import cut
from sessions.model_proxy.meter import Meter
from sessions.model_proxy.news import News, error_type
from sessions.model_proxy.refusal import Refused
from sessions.model_proxy.request import Asked, read
from sessions.model_proxy.run import ProxyRun
from sessions.model_proxy.upstream import Upstream, passed_on
from sessions.usage import OpenCall

MESSAGES, COUNT = "/v1/messages", "/v1/messages/count_tokens"
_FIRST_ERROR = 400
_NOT_AGAIN = dict.fromkeys((401, 429), ((b"x-should-retry", b"false"),))
"""What the CLI would wait out while others run into the same: all wait together instead (sessions/provider.py)."""
_NEVER_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.ProxyError, httpx.UnsupportedProtocol)

log = structlog.get_logger()


class Answering:
    """One request while it is answered."""

    def __init__(  # noqa: PLR0917 - what a request comes with, and what answers it
        self, request: Request, body: bytes, run: ProxyRun, send: Send, upstream: Upstream, news: News
    ) -> None:
        self._request = request
        self._body = body
        self._run = run
        self._send = send
        self._upstream = upstream
        self._news = news

    async def answer(self) -> None:
        """Answer, or cut the connection where the API did."""
        try:
            asked = read(self._body)
            self._run.check(asked.model, fast=asked.fast)
            if self._request.url.path == COUNT:
                await self._count()
            else:
                await self._call(asked)
        except Refused as refused:
            await self._give(refused.response())
        except httpx.HTTPError as error:
            log.info("model_call.was_cut", error=type(error).__name__)
            cut(self._request.scope)
        except Exception:
            log.exception("model_call.broke")
            cut(self._request.scope)

    async def _count(self) -> None:
        response = await self._upstream.send(self._request, self._body)
        await self._give_whole(response, await _read(response))

    async def _call(self, asked: Asked) -> None:
        call = _Call(self._run, await self._run.begin(asked), asked)
        try:
            response = await self._upstream.send(self._request, self._body)
            if response.status_code >= _FIRST_ERROR:
                call.reached = False
                await self._fail(response, call)
            elif response.headers.get("content-type", "").startswith("text/event-stream"):
                await self._stream(response, call)
            else:
                body = await _read(response)
                call.meter.whole(body)
                self._ended(response, call)
                await self._give_whole(response, body)
        except httpx.HTTPError as error:
            call.reached = call.reached and not isinstance(error, _NEVER_SENT)
            self._news.trouble(None, {}, None)
            raise
        finally:
            call.end()

    async def _stream(self, response: httpx.Response, call: "_Call") -> None:
        """Pass a stream on, chunk by chunk as they come."""
        try:
            await self._start(response)
            async for chunk in response.aiter_bytes():
                call.meter.feed(chunk)
                if call.meter.final:
                    call.end()  # before the CLI can see the end, and ask again
                await self._send({"type": "http.response.body", "body": chunk, "more_body": True})
        finally:
            await response.aclose()
        self._ended(response, call)
        await self._send({"type": "http.response.body", "body": b""})

    async def _fail(self, response: httpx.Response, call: "_Call") -> None:
        body = await _read(response)
        call.end()
        self._news.trouble(response.status_code, response.headers, error_type(body))
        self._run.retry_after_s = retry_after_s(response.headers)
        await self._give_whole(response, body, *_NOT_AGAIN.get(response.status_code, ()))

    def _ended(self, response: httpx.Response, call: "_Call") -> None:
        """Count a call whose answer has come to its end; done before its caller can know of that end."""
        call.end()
        if call.meter.error_type:
            self._news.trouble(response.status_code, response.headers, call.meter.error_type)
        elif call.meter.final:
            self._news.success()

    async def _start(self, response: httpx.Response, *more: tuple[bytes, bytes]) -> None:
        replaced = {name for name, _ in more}
        headers = [*(pair for pair in passed_on(response) if pair[0] not in replaced), *more]
        await self._send({"type": "http.response.start", "status": response.status_code, "headers": headers})

    async def _give_whole(self, response: httpx.Response, body: bytes, *more: tuple[bytes, bytes]) -> None:
        await self._start(response, (b"content-length", str(len(body)).encode()), *more)
        await self._send({"type": "http.response.body", "body": body})

    async def _give(self, response: Response) -> None:
        await response(self._request.scope, self._request.receive, self._send)


class _Call:
    """A call that is under way. reached: the API may have taken it up; where it has not, it costs nothing."""

    def __init__(self, run: ProxyRun, recorded: OpenCall, asked: Asked) -> None:
        self.meter = Meter(asked)
        self.reached = True
        self._run = run
        self._recorded = recorded
        self._began_s = time.monotonic()
        self._ended = False

    def end(self) -> None:
        """Count what it used, the first time."""
        if not self._ended:
            self._ended = True
            used = self.meter.used(time.monotonic() - self._began_s, reached=self.reached)
            self._run.end(self._recorded, used)


async def _read(response: httpx.Response) -> bytes:
    try:
        return await response.aread()
    finally:
        await response.aclose()
