"""The routes: the Messages API for the CLI, and the control endpoints for tests."""

import hmac
import secrets
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.types import ASGIApp, Scope

from simulator import body, conversation, history, usage
from simulator.answer import Answer, Cut
from simulator.control import Control
from simulator.conversation import Conversation
from simulator.director import Director
from simulator.errors import ApiError, invalid
from simulator.recorder import Entry, Recorder
from simulator.shapes import CountRequest, MessagesRequest, shaped
from simulator.stream import MessageBuilder

_MODELS = ("claude-",)


def no_cut(_scope: Scope) -> None:
    """Stand in for a connection that cannot be cut: the answer just stops."""


class Simulator:
    """The Messages API over one recorder and one director."""

    def __init__(self, recorder: Recorder, director: Director, *, api_key: str | None, cut: Cut) -> None:
        self._recorder = recorder
        self._director = director
        self._api_key = api_key
        self._cut = cut

    async def messages(self, request: Request) -> ASGIApp:
        """`POST /v1/messages`."""
        entry = self._recorder.open(request.url.path, request.headers)
        content, said = await self._accept(request, entry, MessagesRequest)
        return Answer(
            self._director.choose(said),
            MessageBuilder(content["model"], usage.input_usage(content)),
            stream=bool(content.get("stream")),
            request_id=request.state.request_id,
            entry=entry,
            recorder=self._recorder,
            director=self._director,
            cut=self._cut,
        )

    async def count_tokens(self, request: Request) -> Response:
        """`POST /v1/messages/count_tokens`."""
        entry = self._recorder.open(request.url.path, request.headers)
        content, _ = await self._accept(request, entry, CountRequest)
        self._recorder.close(entry, "finished", 200)
        return JSONResponse({"input_tokens": usage.input_tokens(content)})

    async def hello(self, _request: Request) -> Response:
        """`/` and `/api/hello`, which the CLI calls to warm its connection up."""
        return JSONResponse({"message": "This is a simulator of the Messages API; no model stands behind it."})

    async def _accept(
        self, request: Request, entry: Entry, shape: type[CountRequest]
    ) -> tuple[dict[str, Any], Conversation]:
        """Return the body of a request that the API would take, and what it says; record and raise a refusal."""
        request.state.request_id = f"req_{secrets.token_hex(12)}"
        try:
            raw = await body.read(request)
            self._authenticate(request)
            content = _valid(raw, shape)
        except ApiError as error:
            self._recorder.close(entry, "failed", error.status)
            raise
        said = conversation.read(content["messages"], content.get("tools") or ())
        self._recorder.understood(entry, raw, said)
        return content, said

    def _authenticate(self, request: Request) -> None:
        key = request.headers.get("x-api-key")
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        bearer = token if scheme.lower() == "bearer" else None
        if key is None and bearer is None:
            raise ApiError(401, "x-api-key header is required")
        given = key if key is not None else bearer or ""
        if self._api_key is not None and not hmac.compare_digest(given.encode(), self._api_key.encode()):
            raise ApiError(401, "invalid x-api-key" if key is not None else "Invalid bearer token")
        if "anthropic-version" not in request.headers:
            raise invalid("anthropic-version: header is required")


def create_app(*, api_key: str | None = None, control_token: str | None = None, cut: Cut = no_cut) -> Starlette:
    """Return the simulator as an ASGI application.

    `api_key` None takes any key; `control_token` None turns the control endpoints off; `cut` resets the connection of a
    scope.
    """
    recorder, director = Recorder(), Director()
    api = Simulator(recorder, director, api_key=api_key, cut=cut)
    routes: list[BaseRoute] = [
        Route("/v1/messages", api.messages, methods=["POST"]),
        Route("/v1/messages/count_tokens", api.count_tokens, methods=["POST"]),
        Route("/", api.hello),
        Route("/api/hello", api.hello),
    ]
    if control_token:
        routes.append(Mount("/control", Control(recorder, director, control_token)))
    handlers = {ApiError: _refused, HTTPException: _no_route, Exception: _broken}
    return Starlette(routes=routes, exception_handlers=handlers)


def _valid(raw: bytes, shape: type[CountRequest]) -> dict[str, Any]:
    content = body.parse(raw)
    request = shaped(shape, content)
    if not request.model.startswith(_MODELS):
        raise ApiError(404, f"model: {request.model}")
    history.check(request)
    return content


def _refusal(request: Request, error: ApiError) -> Response:
    request_id = getattr(request.state, "request_id", f"req_{secrets.token_hex(12)}")
    return JSONResponse(error.body(request_id), error.status, {**error.headers, "request-id": request_id})


def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, ApiError)
    return _refusal(request, error)


def _no_route(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    message = "Not found" if error.status_code == 404 else error.detail  # noqa: PLR2004 - HTTP's own number
    return _refusal(request, ApiError(error.status_code, message, error.headers))


def _broken(request: Request, _error: Exception) -> Response:
    """Answer a fault of the simulator itself as the API would; Starlette still logs it."""
    return _refusal(request, ApiError(500, "Internal server error"))
