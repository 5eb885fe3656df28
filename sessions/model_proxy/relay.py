"""Passes requests on: the proxy as an ASGI application.

whose credential? ─▶ what is asked? ─▶ may it begin? ─▶ API ─▶ bytes pass as they come, and are counted
    401                  400, 404         403, 503       │
                                                         ├─ the CLI is gone: the API's connection is closed at once
                                                         └─ the API breaks off: the CLI's connection is reset
"""

import asyncio
import json
import time
from collections.abc import Callable, Coroutine, Mapping
from contextlib import suppress
from typing import Any, Final

import httpx
import structlog
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send

from sessions.model_proxy.listener import cut
from sessions.model_proxy.meter import Meter
from sessions.model_proxy.refusal import Refused
from sessions.model_proxy.request import Asked, read
from sessions.model_proxy.run import ProxyRun
from sessions.model_proxy.upstream import Upstream, passed_on
from sessions.model_proxy.watch import ProviderWatch

_MAX_BODY_BYTES: Final = 40 * 1024 * 1024  # the API takes 32 MB
_WARM_UP = {"/", "/api/hello"}
_MESSAGES, _COUNT = "/v1/messages", "/v1/messages/count_tokens"
_FIRST_ERROR, _SERVER_ERROR = 400, 500
_TROUBLE = {401, 402, 403, 408, 409, 429}
_NEVER_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.ProxyError, httpx.UnsupportedProtocol)

log = structlog.get_logger()


class Relay:
    """All requests of one process' CLIs. runs: by credential."""

    def __init__(self, runs: Mapping[str, ProxyRun], upstream: Upstream, watch: ProviderWatch | None) -> None:
        self._runs = runs
        self._upstream = upstream
        self._watch = watch

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or end it when its CLI goes away."""
        request = Request(scope, receive)
        try:
            run = self._run_of(request)
            body = await _body(request)
        except Refused as refused:
            await refused.response()(scope, receive, send)
            return
        except ClientDisconnect:
            return
        if run is None:
            await JSONResponse({})(scope, receive, send)
            return
        relay = _Answering(self, request, body, run, send)
        await _while_connected(receive, relay.answer(), run.relays)

    def _run_of(self, request: Request) -> ProxyRun | None:
        """The run that asks; None: what the CLI asks to warm its connection up. Raises Refused."""
        path = request.url.path
        if request.method in {"GET", "HEAD"} and path in _WARM_UP:
            return None
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        given = request.headers.get("x-api-key") or (token if scheme.lower() == "bearer" else "")
        run = self._runs.get(given)  # 256 random bits: how long the look takes tells nobody anything
        if run is None:
            raise Refused(
                401, "authentication_error", "This credential belongs to no run of this worker, or to none any more"
            )
        if request.method != "POST" or path not in {_MESSAGES, _COUNT}:
            raise Refused(404, "not_found_error", f"The model proxy passes no {request.method} {path}")
        return run

    async def send(self, request: Request, body: bytes) -> httpx.Response:
        """Ask the API; its answer is not read yet. Raises httpx.HTTPError."""
        return await self._upstream.client.send(self._upstream.request(request, body), stream=True)

    def tell(self, status: int | None, headers: Mapping[str, str], error_type: str | None) -> None:
        """Tell who watches the provider of an answer that is no success."""
        if self._watch and (status is None or status < _FIRST_ERROR or _is_trouble(status, error_type)):
            _told(lambda watch: watch.on_trouble(status, headers, error_type), self._watch)

    def tell_success(self) -> None:
        """Likewise of one that is."""
        if self._watch:
            _told(lambda watch: watch.on_success(), self._watch)


class _Answering:
    """One request while it is answered."""

    def __init__(self, relay: Relay, request: Request, body: bytes, run: ProxyRun, send: Send) -> None:
        self._relay = relay
        self._request = request
        self._body = body
        self._run = run
        self._send = send

    async def answer(self) -> None:
        """Answer, or cut the connection where the API did."""
        try:
            asked = read(self._body)
            self._run.check(asked.model)
            if self._request.url.path == _COUNT:
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
        response = await self._relay.send(self._request, self._body)
        await self._give_whole(response, await _read(response))

    async def _call(self, asked: Asked) -> None:
        call = await self._run.begin(asked)
        meter, reached, began_s = Meter(asked), True, time.monotonic()
        ended = False

        def end() -> None:
            nonlocal ended
            if not ended:
                ended = True
                self._run.end(call, meter.used(time.monotonic() - began_s, reached=reached))

        try:
            response = await self._relay.send(self._request, self._body)
            if response.status_code >= _FIRST_ERROR:
                reached = False
                await self._fail(response, end)
            elif response.headers.get("content-type", "").startswith("text/event-stream"):
                await self._stream(response, meter, end)
            else:
                body = await _read(response)
                meter.whole(body)
                end()
                self._tell(response, meter)
                await self._give_whole(response, body)
        except httpx.HTTPError as error:
            reached = reached and not isinstance(error, _NEVER_SENT)
            self._relay.tell(None, {}, None)
            raise
        finally:
            end()

    async def _stream(self, response: httpx.Response, meter: Meter, end: Callable[[], None]) -> None:
        """Pass a stream on, chunk by chunk as they come."""
        try:
            await self._start(response)
            async for chunk in response.aiter_bytes():
                meter.feed(chunk)
                if meter.final:
                    end()  # before the CLI can see the end, and ask again
                await self._send({"type": "http.response.body", "body": chunk, "more_body": True})
        finally:
            await response.aclose()
        end()
        self._tell(response, meter)
        await self._send({"type": "http.response.body", "body": b""})

    async def _fail(self, response: httpx.Response, end: Callable[[], None]) -> None:
        body = await _read(response)
        end()
        self._relay.tell(response.status_code, response.headers, _error_type(body))
        await self._give_whole(response, body)

    def _tell(self, response: httpx.Response, meter: Meter) -> None:
        if meter.error_type:
            self._relay.tell(response.status_code, response.headers, meter.error_type)
        elif meter.final:
            self._relay.tell_success()

    async def _start(self, response: httpx.Response, *more: tuple[bytes, bytes]) -> None:
        headers = [*passed_on(response), *more]
        await self._send({"type": "http.response.start", "status": response.status_code, "headers": headers})

    async def _give_whole(self, response: httpx.Response, body: bytes) -> None:
        await self._start(response, (b"content-length", str(len(body)).encode()))
        await self._send({"type": "http.response.body", "body": body})

    async def _give(self, response: Response) -> None:
        await response(self._request.scope, self._request.receive, self._send)


async def _body(request: Request) -> bytes:
    parts, size = [], 0
    async for part in request.stream():
        parts.append(part)
        size += len(part)
        if size > _MAX_BODY_BYTES:
            raise Refused(413, "request_too_large", f"The request has more than {_MAX_BODY_BYTES} bytes")
    return b"".join(parts)


async def _read(response: httpx.Response) -> bytes:
    try:
        return await response.aread()
    finally:
        await response.aclose()


async def _while_connected(receive: Receive, work: Coroutine[Any, Any, None], known: set[asyncio.Task[None]]) -> None:
    """Do the work while its caller is there; the task is in `known` meanwhile, so that it can be ended from outside."""
    working = asyncio.create_task(work)
    known.add(working)
    watching = asyncio.create_task(_gone(receive))
    try:
        await asyncio.wait({working, watching}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        working.cancel()
        watching.cancel()
        await asyncio.gather(working, watching, return_exceptions=True)
        known.discard(working)


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _is_trouble(status: int, error_type: str | None) -> bool:
    return status in _TROUBLE or status >= _SERVER_ERROR or error_type == "billing_error"


def _error_type(body: bytes) -> str | None:
    """The API's word for an error; `billing_error` for the 400 that says it in its text only."""
    with suppress(ValueError, KeyError, TypeError, AttributeError):
        error = json.loads(body)["error"]
        if "credit balance" in str(error.get("message")).lower():
            return "billing_error"
        return str(error["type"])
    return None


def _told(tell: Callable[[ProviderWatch], None], watch: ProviderWatch) -> None:
    try:
        tell(watch)
    except Exception:  # the answer belongs to the CLI, whatever becomes of its news
        log.exception("provider_watch.broke")
