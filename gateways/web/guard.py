"""Who may ask at all, looked at before anything of a request's body is read.

Any web page that a person opens can send requests to 127.0.0.1, and by a name that it resolves to it (DNS rebinding) read
the answers. So the Host must be one of ours, an Origin, which browsers add, our own, and all but the open routes need the
token. No CORS header is ever sent: no other page is meant to read anything here.
"""

import hmac
from collections.abc import Callable

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateways.web.caller import OPERATOR, note_caller
from gateways.web.errors import Refused, refusal

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
    """Lets in requests to our own name, from no foreign page, that carry the token or go to an open route.

    hosts: Host headers that are ours. is_open: of a method and a path, whether they need no token.
    """

    def __init__(
        self, inner: ASGIApp, *, hosts: frozenset[str], token: str, is_open: Callable[[str, str], bool]
    ) -> None:
        self._inner = inner
        self._hosts = hosts
        self._token = token.encode()
        self._is_open = is_open

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008, "reason": "there are no websockets here"})
            return
        if scope["type"] == "http":
            try:
                self._check(scope)
            except Refused as error:
                await refusal(error)(scope, receive, send)
                return
        await self._inner(scope, receive, send)

    def _check(self, scope: Scope) -> None:
        headers = Headers(scope=scope)
        host = self._our_host(headers.getlist("host"))
        if any(origin != f"{scope['scheme']}://{host}" for origin in headers.getlist("origin")):
            raise Refused(403, "foreign_origin", "Requests from web pages of other origins are not taken")
        if not self._is_open(scope["method"], scope["path"]):
            self._require_token(headers.getlist("authorization"))
            note_caller(scope, OPERATOR)

    def _our_host(self, hosts: list[str]) -> str:
        if len(hosts) != 1 or hosts[0].lower() not in self._hosts:
            names = ", ".join(sorted(self._hosts))
            raise Refused(421, "wrong_host", f"The Host header is none of this door's; it answers to {names}")
        return hosts[0].lower()

    def _require_token(self, given: list[str]) -> None:
        scheme, _, token = (given[0] if len(given) == 1 else "").partition(" ")
        right = hmac.compare_digest(token.strip().encode("latin-1"), self._token)
        if scheme.lower() != "bearer" or not right:
            message = "The token is missing or wrong: send 'Authorization: Bearer TOKEN' (./jobs token prints it)"
            raise Refused(401, "no_token", message, headers={"WWW-Authenticate": 'Bearer realm="jobs"'})
