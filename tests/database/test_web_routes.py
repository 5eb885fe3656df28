"""Every route is declared, with who may call it, and asks for the token unless it is declared open."""

import pytest
from fastapi.routing import APIRoute
from httpx import AsyncClient

from gateways.scopes import SCOPES
from gateways.web import app as put_together
from gateways.web.access import OPEN, Access
from gateways.web.routes import ROUTES, Route, is_open
from jobs_core import Jobs
from tests.support.web import calling, door, error_of

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")


def path_of(template: str) -> str:
    return (
        template.replace("{session_id}", "web_unknown")
        .replace("{job_id}", "1")
        .replace("{task_id}", "1")
        .replace("{notification_id}", "1")
        .replace("{delivery_id}", "1")
        .replace("{event}", "e")
        .replace("{event_id}", "1")
        .replace("{name}", "a")
        .replace("{user_id}", "u")
        .replace("{action_id}", "1")
        .replace("{message_id}", "1")
        .replace("{nth}", "1")
        .replace("{token_id}", "1")
        .replace("{always_id}", "1")
        .replace("{key:path}", "a")
        .replace("{lane:path}", "a")
        .replace("{scope:path}", "day")
    )


async def test_no_route_is_served_that_is_not_declared(jobs: Jobs) -> None:
    served = set[tuple[str, str]]()
    for route in door(jobs).routes:
        assert isinstance(route, APIRoute), f"{route} is not declared in gateways/web/routes.py"
        served |= {(method, route.path) for method in route.methods}
    assert served == {(route.method, route.path) for route in ROUTES}
    opened = sorted((route.method, route.path) for route in ROUTES if route.access is OPEN)
    assert opened == [("GET", "/health"), ("GET", "/metrics"), ("GET", "/openapi.json")]


def test_every_route_says_who_may_call_it_and_with_which_scope() -> None:
    missing = {(route.method, route.path): undeclared(route) for route in ROUTES}
    assert {route: why for route, why in missing.items() if why} == {}


def undeclared(route: Route) -> str | None:
    """What is missing in a route's declaration."""
    match route.access:
        case Access("open" | "anybody" | "operator", None):
            return None
        case Access("people" | "owners", scope) if scope in SCOPES:
            reads = route.method == "GET"
            return None if reads == scope.endswith(":read") else f"{scope} does not go with {route.method}"
    return f"{route.access} is nobody"


@pytest.mark.parametrize(
    "access", [None, Access("people", None), Access("people", "chats"), Access("owners", "chats:write")]
)
def test_a_route_that_declares_nothing_is_found(access: Access) -> None:
    """The check above is one that fails."""
    assert undeclared(Route("GET", "/api/chats", put_together, access))


async def status_of(client: AsyncClient, method: str, path: str) -> int:
    return (await client.request(method, path)).status_code


async def test_every_route_and_method_but_the_open_ones_asks_for_the_token(jobs: Jobs) -> None:
    served = door(jobs)
    paths = {path_of(route.path) for route in ROUTES} | {"/", "/docs", "/redoc", "/api", "/api/jobs/"}
    async with calling(served, token=None) as stranger, calling(served, token="wrong" * 8) as forger:
        for path in paths:
            for method in METHODS:
                for client in (stranger, forger):
                    status = await status_of(client, method, path)
                    assert (status != 401) is is_open(method, path), (method, path, status)


async def test_what_is_not_there_is_told_like_any_other_error(jobs: Jobs) -> None:
    async with calling(door(jobs)) as client:
        for path in ("/", "/docs", "/redoc", "/api/jobs/1/", "/api/chat/a/b"):
            assert error_of(await client.get(path), 404)["code"] == "not_found"
        refused = await client.delete("/api/jobs")
        assert error_of(refused, 405)["code"] == "method_not_allowed"
        assert refused.headers["allow"]
        assert error_of(await client.get("/api/jobs/no-number"), 422)["field"] == "job_id"
