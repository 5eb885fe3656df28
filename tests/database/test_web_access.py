"""Every route with every kind of token, and with ids of somebody else: answered or refused just as it is declared."""

from collections.abc import AsyncIterator

import pytest

from gateways import api_tokens
from gateways.scopes import OF_PEOPLE
from gateways.web.access import OPEN
from gateways.web.routes import ROUTES, Route
from jobs_core import Connection, Database
from tests.database.test_web_routes import path_of
from tests.support.approvals import bench_on
from tests.support.web import TOKEN, Answer, asked
from tests.support.web_people import A_MOMENT, Cast, cast_on

REFUSED_TO_STRANGERS = {
    ("POST", "/api/chat"),  # by the chat in its body
    ("POST", "/api/notifications/read"),  # likewise: up to one that is none of theirs
    ("POST", "/api/chats/reset"),
}
"""Routes whose path has no id of anybody's, and whose body in the tests has."""


@pytest.fixture
async def cast(database: Database, conn: Connection) -> AsyncIterator[Cast]:
    async with bench_on(database, conn) as bench:
        yield await cast_on(bench)


async def ask(cast: Cast, route: Route, token: str | None) -> Answer:
    """A request to the route about what is eve's."""
    target = path_of(cast.path(route.path)) + ("?wait_s=0" if route.path == "/api/chat" else "")
    body = cast.bodies.get((route.method, route.path), {} if route.method != "GET" else None)
    return await asked(cast.served, route.method, target, token=token, body=body)


def refusal_of(route: Route, *, is_owner: bool) -> str | None:
    """The code by which somebody is refused who has all scopes of their role."""
    if route.access.who == "operator":
        return "operators_only"
    return "owners_only" if route.access.who == "owners" and not is_owner else None


CLOSED = [route for route in ROUTES if route.access is not OPEN]


async def test_no_route_is_reached_without_a_token_that_is_in_force(cast: Cast, conn: Connection) -> None:
    good = await cast.token(cast.ada)
    expired = await cast.token(cast.ada, expires_in=A_MOMENT)
    revoked = await cast.token(cast.ada, name="revoked")
    assert await api_tokens.revoke(conn, (await api_tokens.list_tokens(conn, limit=1))[0].id)
    before = await cast.kept(conn)
    forged = ("wrong", good[:-1], f"{good}x", good.upper(), f"Bearer {good}")
    for nth, route in enumerate(CLOSED):
        for token in (None, f"jobs_{'x' * 43}", forged[nth % len(forged)], expired, revoked):
            answer = await ask(cast, route, token)
            assert (answer.status, answer.code) == (401, "no_token"), (route, token)
    assert await cast.kept(conn) == before


async def test_a_token_is_good_for_no_more_than_its_scopes_and_its_persons_role(cast: Cast, conn: Connection) -> None:
    lacking = {
        (route, user.id): await cast.token(user, without=route.access.scope)
        for route in CLOSED
        for user in (cast.ada, cast.eve)
    }
    before = await cast.kept(conn)
    for route in CLOSED:
        for user in (cast.ada, cast.eve):
            refused = refusal_of(route, is_owner=user.is_owner) or (route.access.scope and "no_such_scope")
            if refused:
                answer = await ask(cast, route, lacking[route, user.id])
                assert (answer.status, answer.code) == (403, refused), (route, user)
    assert await cast.kept(conn) == before


async def test_nobody_reaches_what_is_somebody_elses(cast: Cast, conn: Connection) -> None:
    mallory = await cast.token(cast.mallory)
    before = await cast.kept(conn)
    for route in CLOSED:
        if route.access.who == "people" and (route.method == "GET" or is_about_somebody(route)):
            answer = await ask(cast, route, mallory)
            assert not reveals(cast, answer), (route, answer.body)
            assert answer.status in {403, 404} or not is_about_somebody(route), (route, answer.body)
            if "{" not in route.path and route.method in {"GET", "PUT"}:
                asking = await asked(cast.served, route.method, f"{route.path}?user_id={cast.eve.id}", token=mallory)
                assert asking.status in {403, 404, 422} or route.path.endswith("/events"), (route, asking.body)
                assert not reveals(cast, asking), (route, asking.body)
    assert await cast.kept(conn) == before


async def test_whoever_may_call_a_route_is_answered_about_what_is_theirs(cast: Cast) -> None:
    for token, is_owner in ((await cast.token(cast.eve), False), (await cast.token(cast.ada), True), (TOKEN, True)):
        for route in CLOSED:
            if token == TOKEN or refusal_of(route, is_owner=is_owner) is None:
                answer = await ask(cast, route, token)
                assert answer.status not in {401, 403, 500}, (route, answer.body)
                there_is_none = is_owner or route.path.endswith("/fork")  # of what owners ask for here; no answer yet
                assert answer.status != 404 or there_is_none, (route, answer.body)


def is_about_somebody(route: Route) -> bool:
    """Whether the tests' request to it names something of eve's."""
    return "_id}" in route.path or (route.method, route.path) in REFUSED_TO_STRANGERS


def reveals(cast: Cast, answer: Answer) -> bool:
    """Whether something of eve's stands in it that the request did not hold."""
    return any(text in answer.body.decode() for text in (cast.eve.id, "look at this", "cat.png", "spare"))


def test_scopes_of_people_are_those_that_their_routes_ask_for() -> None:
    assert set(OF_PEOPLE) == {route.access.scope for route in ROUTES if route.access.who == "people"}
