"""Who may ask at all, looked at before anything of a request's body is read.

Any web page that a person opens can send requests to 127.0.0.1, and by a name that it resolves to it (DNS rebinding) read
the answers. So the Host must be one of ours, an Origin, which browsers add, our own, and all but the open routes need the
token. No CORS header is ever sent: no other page is meant to read anything here.
"""

import time
from collections.abc import Awaitable, Callable
from contextlib import suppress

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateways.web.caller import Caller, caller_in, note_caller
from gateways.web.errors import Refused, refusal, unavailable
from jobs_core import db

LOOK_AGAIN_S = 15.0
"""A stream ends so long after its token was revoked, when there is something to tell: a heartbeat at the latest. Likewise a
body that comes slowly is read no further."""
_ALWAYS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}


class SecurityHeaders:
    """Adds to every answer what keeps browsers from doing more with it than was meant."""

    def __init__(self, inner: ASGIApp) -> None:
        self._inner = inner

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def adding(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(_ALWAYS)
            await send(message)

        await self._inner(scope, receive, adding)


class Guard:
    """Lets in requests to our own name, from no foreign page, that carry a token or go to an open route, and notes whose it is.

    hosts: Host headers that are ours. is_open: of a method and a path, whether they need no token. known_by: who shows a token;
    None: nobody may. How often somebody tries is not counted: a token cannot be guessed, and a proxy in front knows addresses.
    """

    def __init__(
        self,
        inner: ASGIApp,
        *,
        hosts: frozenset[str],
        is_open: Callable[[str, str], bool],
        known_by: Callable[[str], Awaitable[Caller | None]],
    ) -> None:
        self._inner = inner
        self._hosts = hosts
        self._is_open = is_open
        self._known_by = known_by

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008, "reason": "there are no websockets here"})
            return
        if scope["type"] != "http":
            await self._inner(scope, receive, send)
            return
        try:
            token = await self._check(scope)
        except Refused as error:
            await refusal(error)(scope, receive, send)
            return
        except Exception as error:
            if not db.will_pass(error):
                raise
            await refusal(unavailable(error))(scope, receive, send)
            return
        if token is not None:
            receive, send = self._while_good(token, scope, receive, send)
        with suppress(_OverError):
            await self._inner(scope, receive, send)

    async def _check(self, scope: Scope) -> str | None:
        """The request's token; None where the route needs none."""
        headers = Headers(scope=scope)
        host = self._our_host(headers.getlist("host"))
        if any(origin != f"{scope['scheme']}://{host}" for origin in headers.getlist("origin")):
            raise Refused(403, "foreign_origin", "Requests from web pages of other origins are not taken")
        if self._is_open(scope["method"], scope["path"]):
            return None
        token = _token_in(headers.getlist("authorization"))
        caller = await self._known_by(token) if token else None
        if caller is None:
            raise _no_token()
        note_caller(scope, caller)
        return token

    def _our_host(self, hosts: list[str]) -> str:
        if len(hosts) != 1 or hosts[0].lower() not in self._hosts:
            names = ", ".join(sorted(self._hosts))
            raise Refused(421, "wrong_host", f"The Host header is none of this door's; it answers to {names}")
        return hosts[0].lower()

    def _while_good(self, token: str, scope: Scope, receive: Receive, send: Send) -> tuple[Receive, Send]:
        """Reads a body, and sends a stream, no longer than the token is good for what it was when the request began.

        Else who is about to be blocked begins requests, and ends them when they please.
        """
        began_as, look_at_s = caller_in(scope), time.monotonic() + LOOK_AGAIN_S

        async def is_over() -> bool:
            nonlocal look_at_s
            if time.monotonic() < look_at_s:
                return False
            look_at_s = time.monotonic() + LOOK_AGAIN_S
            return not await self._is_still(began_as, token)

        async def receiving() -> Message:
            message = await receive()
            if message["type"] == "http.request" and scope["method"] != "GET" and await is_over():
                raise _no_token()
            return message

        async def sending(message: Message) -> None:
            if message.get("more_body") and await is_over():
                await send({"type": "http.response.body", "body": b"", "more_body": False})
                raise _OverError
            await send(message)

        return receiving, sending

    async def _is_still(self, caller: Caller, token: str) -> bool:
        try:
            return await self._known_by(token) == caller
        except Exception as error:
            if not db.will_pass(error):
                raise
            return True  # nothing comes out of a database that is away, either


class _OverError(Exception):
    """The answer has ended before its route had."""


def _no_token() -> Refused:
    message = (
        "The token is missing or wrong, or no longer good: send 'Authorization: Bearer TOKEN' (./jobs token prints "
        "the operator's)"
    )
    return Refused(401, "no_token", message, headers={"WWW-Authenticate": 'Bearer realm="jobs"'})


def _token_in(given: list[str]) -> str:
    """The token of the headers, "" where there is none, or several."""
    scheme, _, token = (given[0] if len(given) == 1 else "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""
