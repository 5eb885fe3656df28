"""Every route against what is sent to any API sooner or later: each is refused as what it is, and nothing comes of it."""

import json
import re
from collections.abc import AsyncIterator
from itertools import product
from typing import Any

import pytest
from fastapi import FastAPI
from pydantic import BaseModel
from starlette.routing import compile_path

from gateways.web import chat
from gateways.web.access import OPEN
from gateways.web.body import MAX_BODY_BYTES
from gateways.web.routes import ROUTES
from jobs_core import Connection, Database, Jobs
from tests.database.test_web_routes import path_of
from tests.support.approvals import bench_on
from tests.support.web import TOKEN, Answer, asked, door
from tests.support.web_people import Cast, cast_on

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "get")
SQL = ("x' OR '1'='1", "x'; DROP TABLE jobs.users; --", "%(user_id)s\\")
TAKING = [route for route in ROUTES if route.takes]


@pytest.fixture
async def cast(database: Database, conn: Connection) -> AsyncIterator[Cast]:
    async with bench_on(database, conn) as bench:
        yield await cast_on(bench)


@pytest.fixture
def served(jobs: Jobs) -> FastAPI:
    """A door at which nobody has anything."""
    return door(jobs, chat_wait_s=0.0)


def told(answer: Answer) -> dict[str, Any]:
    """The error of a refusal, which has the one form of all."""
    assert answer.headers["content-type"] == "application/json", answer
    error: dict[str, Any] = json.loads(answer.body)["error"]
    assert error.keys() == {"code", "message", "field"}
    return error


async def test_a_method_that_is_not_declared_is_none(cast: Cast, conn: Connection) -> None:
    before = await cast.kept(conn)
    for path in {path_of(cast.path(route.path)) for route in ROUTES}:
        for method in METHODS:
            if not any(route.method == method and compile_path(route.path)[0].fullmatch(path) for route in ROUTES):
                answer = await asked(cast.served, method, path, body={})
                assert (answer.status, told(answer)["code"]) == (405, "method_not_allowed"), (method, path)
                assert answer.headers["allow"]
    assert await cast.kept(conn) == before


async def test_no_field_is_taken_that_is_not_declared(cast: Cast, conn: Connection) -> None:
    """Whatever a body could set, somebody has tried to set: `role`, `is_owner`, `state`, an id."""
    before = await cast.kept(conn)
    for route in TAKING:
        assert route.takes
        assert not loose(route.takes), route
        path = path_of(cast.path(route.path))
        for name in ("id", "role", "is_owner", "is_active", "created_at", "version", "__class__"):
            if name not in route.takes.model_fields:
                body = (cast.bodies.get((route.method, route.path)) or {}) | {name: "owner"}
                answer = await asked(cast.served, route.method, path, body=body)
                assert answer.status == 422, (route, name, answer.body)
    assert await cast.kept(conn) == before


def loose(model: type[BaseModel]) -> bool:
    """Whether a model takes fields that it does not declare."""
    return model.model_config.get("extra") != "forbid"


async def test_another_host_is_refused_by_every_route_whatever_a_proxy_is_said_to_have_seen(served: FastAPI) -> None:
    hosts = (b"evil.example", b"127.0.0.1:8080@evil.example")
    for route, host in product(ROUTES, hosts):
        forged = {b"host": host, b"x-forwarded-host": b"127.0.0.1:8080", b"forwarded": b"host=127.0.0.1:8080"}
        answer = await asked(served, route.method, path_of(route.path), headers=forged)
        assert (answer.status, told(answer)["code"]) == (421, "wrong_host"), route
        assert b"evil" not in answer.body


async def test_who_is_said_to_ask_by_other_headers_is_nobody(served: FastAPI) -> None:
    """Only `Authorization` says who asks; it is not in the path or the query either."""
    for header in (b"x-user-id", b"x-forwarded-user", b"remote-user", b"cookie", b"x-api-key", b"proxy-authorization"):
        answer = await asked(served, "GET", "/api/me", token=None, headers={header: f"Bearer {TOKEN}".encode()})
        assert answer.status == 401, header
    for query in (f"token={TOKEN}", f"access_token={TOKEN}", f"Authorization=Bearer%20{TOKEN}"):
        assert (await asked(served, "GET", f"/api/me?{query}", token=None)).status == 401
    for method in (b"GET", b"DELETE"):
        overriding = {b"x-http-method-override": method, b"x-method-override": method}
        answer = await asked(served, "POST", "/api/me", headers=overriding)
        assert answer.status == 405


async def test_sql_in_a_filter_is_a_text_that_nothing_matches(cast: Cast, conn: Connection) -> None:
    document = json.loads((await asked(cast.served, "GET", "/openapi.json")).body)
    token, before = await cast.token(cast.ada), await cast.kept(conn)
    for route in ROUTES:
        if route.method != "GET" or route.gives == "text/event-stream" or route.access is OPEN:
            continue
        operation = document["paths"][route.path.replace(":path}", "}")]["get"]
        names = (
            [one["name"] for one in operation["parameters"] if one["in"] == "query"]
            if "parameters" in operation
            else []
        )
        for name in names:
            for text in SQL:
                query = "".join(f"%{byte:02x}" for byte in text.encode())
                answer = await asked(
                    cast.served, "GET", f"{path_of(cast.path(route.path))}?{name}={query}", token=token
                )
                assert answer.status in {200, 404, 422}, (route, name, text, answer.body)
                if answer.status == 200 and name not in {"after", "text"}:
                    assert set(map(len, filter(listy, json.loads(answer.body).values()))) <= {0}, (
                        route,
                        name,
                        answer.body,
                    )
    assert await cast.kept(conn) == before


def listy(value: object) -> bool:
    return isinstance(value, list)


async def test_line_breaks_and_bytes_that_are_no_text_end_nowhere_in_a_header(served: FastAPI) -> None:
    texts = ("%0d%0aX-Evil:%201%0d%0a%0d%0a<script>", "%ff%fe", "%ed%a0%80", "%00")
    for route in ROUTES:
        filled = [re.sub(r"\{[^}]+\}", text, route.path) for text in texts if "{" in route.path]
        for target in (*filled, *(f"{path_of(route.path)}?limit={text}&user_id={text}" for text in texts[:2])):
            answer = await asked(served, route.method, target, body={} if route.takes else None)
            assert answer.status < 500 or route.path == "/health", (route, target, answer.body)
            assert "x-evil" not in answer.headers
            assert answer.headers["x-content-type-options"] == "nosniff"


async def test_a_body_that_is_none_or_too_long_is_refused_before_it_is_read(cast: Cast, conn: Connection) -> None:
    before = await cast.kept(conn)
    bodies = [b"\xff\xfe{", b'{"a": NaN}', b"[" * 100_000, b'{"a": "\\ud800"}', b'{"a": 1e400}', b"null", b'""', b"[]"]
    for route in TAKING:
        path = path_of(cast.path(route.path))
        longest = chat.MAX_BODY_BYTES if path == "/api/chat" or path.endswith("/try") else MAX_BODY_BYTES
        for body, statuses in [(body, {400, 422}) for body in bodies] + [(b" " * (longest + 1), {413})]:
            answer = await asked(cast.served, route.method, path, body=body)
            assert answer.status in statuses, (route, body[:20], answer.body)
            assert told(answer)["message"]
    assert await cast.kept(conn) == before
