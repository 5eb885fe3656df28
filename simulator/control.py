"""The control endpoints: scripts, holds and the recording, for whoever knows the control token.

POST   /control/script          {"script": "[[error 529]]", "match": "hello", "times": 2}
DELETE /control/script          forget all scripts, let go of everything held
POST   /control/release         {"name": "before"}
GET    /control/requests        ?match= &after= &holding= &outcome=
GET    /control/requests/wait   the same, and timeout_s= : answers with the first such request once there is one
DELETE /control/requests        forget the recording
"""

import asyncio
import hmac
from typing import Annotated, Any, Final, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route, Router
from starlette.types import Receive, Scope, Send

from simulator import body
from simulator.caller import while_connected
from simulator.director import Director
from simulator.errors import ApiError, ScriptError, invalid
from simulator.recorder import Filter, Recorder
from simulator.records import Outcome

MAX_WAIT_S: Final = 300.0
_MAX_SCRIPT_BYTES: Final = 8_000_000  # larger than any answer the CLI takes on one line


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class _Script(_Body):
    script: str
    match: str = ""
    times: Annotated[int, Field(ge=1, le=1000)] | None = None


class _Release(_Body):
    name: Annotated[str, Field(min_length=1, max_length=200)]


class _Wanted(_Body):
    match: str = ""
    after: int = 0
    holding: str | None = None
    outcome: Outcome | None = None
    timeout_s: Annotated[float, Field(gt=0, le=MAX_WAIT_S)] = 30.0


class Control:
    """An ASGI application that refuses everybody without the token."""

    def __init__(self, recorder: Recorder, director: Director, token: str) -> None:
        self._recorder = recorder
        self._director = director
        self._expected = f"Bearer {token}".encode()
        self._router = Router(
            routes=[
                Route("/script", self.add_script, methods=["POST"]),
                Route("/script", self.reset, methods=["DELETE"]),
                Route("/release", self.release, methods=["POST"]),
                Route("/requests", self.requests, methods=["GET"]),
                Route("/requests", self.clear, methods=["DELETE"]),
                Route("/requests/wait", self.wait, methods=["GET"]),
            ],
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Check the token, then route."""
        given = Request(scope).headers.get("authorization", "").encode()
        if not hmac.compare_digest(given, self._expected):
            raise ApiError(401, "the control endpoints want the header `Authorization: Bearer <control token>`")
        await self._router(scope, receive, send)

    async def add_script(self, request: Request) -> Response:
        """Queue a script."""
        wanted = _read(_Script, body.parse(await body.read(request, _MAX_SCRIPT_BYTES)))
        try:
            requests = self._director.add(wanted.script, wanted.match, wanted.times)
        except ScriptError as error:
            raise invalid(f"script: {error}") from None
        return JSONResponse({"requests": requests}, 201)

    async def reset(self, _request: Request) -> Response:
        """Forget all scripts and let go of everything held."""
        self._director.reset()
        return Response(status_code=204)

    async def release(self, request: Request) -> Response:
        """Release a hold."""
        wanted = _read(_Release, body.parse(await body.read(request, _MAX_SCRIPT_BYTES)))
        self._director.release(wanted.name)
        return Response(status_code=204)

    async def requests(self, request: Request) -> Response:
        """List recorded requests, oldest first."""
        wanted = _filter(_read(_Wanted, dict(request.query_params)))
        return JSONResponse({"requests": [entry.record().model_dump() for entry in self._recorder.find(wanted)]})

    async def clear(self, _request: Request) -> Response:
        """Forget the recording."""
        self._recorder.clear()
        return Response(status_code=204)

    async def wait(self, request: Request) -> Response:
        """Answer with the first request that fits, at the latest after `timeout_s`."""
        wanted = _read(_Wanted, dict(request.query_params))
        try:
            async with asyncio.timeout(wanted.timeout_s):
                entry = await while_connected(request.receive, self._recorder.wait(_filter(wanted)))
        except TimeoutError:
            raise ApiError(
                504, f"no such request within {wanted.timeout_s:g} s: {dict(request.query_params)}"
            ) from None
        return JSONResponse(entry.record().model_dump() if entry else None)  # None: nobody is there to read it


Wanted = TypeVar("Wanted", bound=_Body)


def _read(shape: type[Wanted], value: Any) -> Wanted:
    try:
        return shape.model_validate(value)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        raise invalid(f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from None


def _filter(wanted: _Wanted) -> Filter:
    return Filter(wanted.match, wanted.after, wanted.holding, wanted.outcome)
