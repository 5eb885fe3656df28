"""/openapi.json: what each route takes and gives, and who may call it, read off the routes' declarations and their functions.

Routes read their bodies themselves, bounded and through the gate, so that FastAPI knows nothing of them. It is shown functions
with the same parameters and a body, which nobody calls.
"""

import inspect
import json
from collections.abc import Iterable
from http import HTTPStatus
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import Body, FastAPI, Request, Response
from pydantic import BaseModel

from gateways.web.access import OPEN
from gateways.web.forms import SCHEMA

if TYPE_CHECKING:
    from gateways.web.routes import Route

_ABOUT = """Chats with agents, what they wait for, and the queue behind them.

Send `Authorization: Bearer TOKEN`. A token is a person's, and good for its scopes; each operation names the one it asks for.
Errors are `{"error": {"code", "message", "field"}}`; programs go by the code."""


class Told(BaseModel):
    """What went wrong, and in which field of the request, if it is one's fault."""

    code: str
    message: str
    field: str | None


class Error(BaseModel):
    """Every error."""

    error: Told


def document(request: Request) -> Response:
    """This API in OpenAPI 3.1."""
    return Response(request.app.state.describe(), media_type="application/json")


def describe(routes: Iterable["Route"], version: str) -> str:
    """The document, as JSON."""
    shown = FastAPI(title="Jobs", version=version, description=_ABOUT)
    for route in routes:
        _add(shown, route)
    told = shown.openapi()
    told["components"]["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
    return json.dumps(told)


def errors_of(route: "Route") -> set[int]:
    """The statuses by which a route refuses: who may not, what is not there, what does not fit, what cannot be now."""
    found = {403, 421, 500, *route.errors}
    if route.access is not OPEN:
        found |= {401, 422, 503}
    if "{" in route.path:
        found |= {404}
    if route.takes:
        found |= {400, 413}
    return found


def _add(shown: FastAPI, route: "Route") -> None:
    scopes = [route.access.scope] if route.access.scope else []
    extra: dict[str, Any] = {
        "security": [] if route.access is OPEN else [{"token": scopes}],
        "x-access": route.access.who,
    }
    if route.is_form_too:
        extra["requestBody"] = {"content": {"multipart/form-data": {"schema": SCHEMA}}}
    shown.add_api_route(
        route.path,
        _function(route),
        methods=[route.method],
        name=route.answer.__name__,
        operation_id=f"{route.answer.__module__.rpartition('.')[2]}_{route.answer.__name__}",
        tags=[route.answer.__module__.rpartition(".")[2]],
        status_code=route.status,
        openapi_extra=extra,
        **_answers(route),
    )


def _answers(route: "Route") -> dict[str, Any]:
    """What FastAPI is to say of a route's answers."""
    responses: dict[int | str, dict[str, Any]] = {
        status: {"model": Error, "description": HTTPStatus(status).phrase} for status in sorted(errors_of(route))
    }
    for status in route.or_status:
        responses[status] = {"description": HTTPStatus(status).phrase}
    match route.gives:
        case None:
            model = inspect.signature(route.answer, eval_str=True).return_annotation
            for status in route.or_status:
                responses[status]["model"] = model
            return {"responses": responses}
        case str(media_type):
            responses[route.status] = {"content": {media_type: {}}}
            return {"responses": responses, "response_model": None, "response_class": Response}
        case model:
            for status in route.or_status:
                responses[status]["model"] = model
            return {"responses": responses, "response_model": model}


def _function(route: "Route") -> Any:
    """A function that looks like the route's, with its body as a parameter."""
    signature = inspect.signature(route.answer, eval_str=True)
    parameters = list(signature.parameters.values())
    if route.takes:
        default = route.takes() if route.or_nothing else inspect.Parameter.empty
        parameters.append(
            inspect.Parameter(
                "wanted_body",
                inspect.Parameter.KEYWORD_ONLY,
                annotation=Annotated[route.takes, Body()],
                default=default,
            )
        )

    def nothing() -> None:
        """Nobody calls it."""

    nothing.__doc__ = route.answer.__doc__
    nothing.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]  # what inspect reads
    return nothing
