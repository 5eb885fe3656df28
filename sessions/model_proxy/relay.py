"""The door of the proxy, as an ASGI application: whose request it is, and its end where the CLI goes away.

whose credential? ─▶ what is asked? ─▶ may it begin? ─▶ API ─▶ bytes pass as they come, and are counted
    401                  400, 404         403, 503       │
                                                         ├─ the CLI is gone: the API's connection is closed at once
                                                         └─ the API breaks off: the CLI's connection is reset
"""

import asyncio
from collections.abc import Coroutine, Mapping
from typing import Any, Final

from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse
from starlette.types import Receive, Scope, Send

from sessions.model_proxy.answering import COUNT, MESSAGES, Answering
from sessions.model_proxy.listener import cut
from sessions.model_proxy.news import News
from sessions.model_proxy.refusal import Refused
from sessions.model_proxy.run import ProxyRun
from sessions.model_proxy.upstream import Upstream

_MAX_BODY_BYTES: Final = 40 * 1024 * 1024  # the API takes 32 MB
_WARM_UP = {"/", "/api/hello"}


class Relay:
    """All requests of one process' CLIs. runs: by credential."""

    def __init__(self, runs: Mapping[str, ProxyRun], upstream: Upstream, news: News) -> None:
        self._runs = runs
        self._upstream = upstream
        self._news = news

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
        answering = Answering(request, body, run, send, self._upstream, self._news)
        if not await _while_connected(receive, answering.answer(), run.relays):
            cut(scope)
            await asyncio.sleep(0)  # uvicorn wants to have seen it before we return

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
        if request.method != "POST" or path not in {MESSAGES, COUNT}:
            raise Refused(404, "not_found_error", f"The model proxy passes no {request.method} {path}")
        return run


async def _body(request: Request) -> bytes:
    parts, size = [], 0
    async for part in request.stream():
        parts.append(part)
        size += len(part)
        if size > _MAX_BODY_BYTES:
            raise Refused(413, "request_too_large", f"The request has more than {_MAX_BODY_BYTES} bytes")
    return b"".join(parts)


async def _while_connected(receive: Receive, work: Coroutine[Any, Any, None], known: set[asyncio.Task[None]]) -> bool:
    """Do the work while its caller is there; False: it was not brought to its end.

    The task is in `known` meanwhile, so that it can be ended from outside.
    """
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
    return not working.cancelled()


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
