"""Who gets past the door's guard, over a route that answers everything."""

import json
from types import SimpleNamespace
from typing import Any

import pytest
from starlette.types import Message, Receive, Scope, Send

from gateways.web import hosts_at
from gateways.web.caller import OPERATOR, Caller
from gateways.web.caller import known_by as known_at
from gateways.web.errors import Surprises
from gateways.web.guard import Guard, SecurityHeaders

TOKEN = "a-token-for-tests-only"
HOST = (b"host", b"127.0.0.1:8080")
AUTHORIZED = (b"authorization", f"Bearer {TOKEN}".encode())


async def known_by(token: str) -> Caller | None:
    return OPERATOR if token == TOKEN else None


async def yes(_scope: Scope, _receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"yes"})


async def ask(
    *headers: tuple[bytes, bytes], path: str = "/api/jobs", method: str = "GET", inner: Any = yes
) -> tuple[int, dict[str, str], bytes]:
    """Status, headers and body of the answer."""
    sent = list[Message]()

    async def send(message: Message) -> None:
        sent.append(message)

    async def receive() -> Message:
        raise AssertionError("the guard read the body")

    guard = Guard(inner, hosts=hosts_at(8080), is_open=lambda *asked: asked == ("GET", "/health"), known_by=known_by)
    scope = {"type": "http", "scheme": "http", "method": method, "path": path, "headers": list(headers)}
    await SecurityHeaders(guard)(scope, receive, send)
    told = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    return sent[0]["status"], told, b"".join(message["body"] for message in sent[1:])


@pytest.mark.parametrize("name", [b"127.0.0.1:8080", b"localhost:8080", b"LOCALHOST:8080", b"[::1]:8080"])
async def test_the_loopbacks_names_are_ours(name: bytes) -> None:
    assert (await ask((b"host", name), AUTHORIZED))[0] == 200


@pytest.mark.parametrize(
    "hosts",
    [
        [],
        [b"evil.example"],
        [b"evil.example:8080"],
        [b"127.0.0.1"],
        [b"127.0.0.1:8081"],
        [b"127.0.0.1:8080.evil.example"],
        [b"evil.example@127.0.0.1:8080"],
        [b"127.0.0.1:8080", b"evil.example"],
        [b""],
    ],
)
@pytest.mark.parametrize("path", ["/api/jobs", "/health"])
async def test_a_request_to_another_name_is_refused_before_all_else(hosts: list[bytes], path: str) -> None:
    """A page whose name was made to resolve to 127.0.0.1 sends its own name."""
    status, _, body = await ask(*[(b"host", host) for host in hosts], AUTHORIZED, path=path)
    assert status == 421
    assert json.loads(body)["error"]["code"] == "wrong_host"


@pytest.mark.parametrize(
    "origin",
    [b"http://evil.example", b"null", b"http://127.0.0.1", b"http://127.0.0.1:3000", b"https://127.0.0.1:8080", b""],
)
@pytest.mark.parametrize("path", ["/api/jobs", "/health"])
async def test_a_page_of_another_origin_is_refused_even_with_the_token(origin: bytes, path: str) -> None:
    status, headers, _ = await ask(HOST, AUTHORIZED, (b"origin", origin), path=path)
    assert status == 403
    assert not any(name.startswith("access-control") for name in headers)


async def test_a_page_of_our_own_origin_is_let_in() -> None:
    assert (await ask(HOST, AUTHORIZED, (b"origin", b"http://127.0.0.1:8080")))[0] == 200
    assert (await ask(HOST, AUTHORIZED, (b"origin", b"http://localhost:8080")))[0] == 403


@pytest.mark.parametrize(
    "given",
    [
        [],
        [b""],
        [b"Bearer"],
        [b"Bearer "],
        [b"Bearer wrong"],
        [TOKEN.encode()],
        [f"Basic {TOKEN}".encode()],
        [f"Bearer {TOKEN}x".encode()],
        [f"Bearer {TOKEN[:-1]}".encode()],
        [f"Bearer {TOKEN}".encode(), b"Bearer wrong"],
        [b"Bearer \xff\xfe"],
    ],
)
@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/api/jobs"), ("POST", "/health"), ("GET", "/health/"), ("GET", "/no")]
)
async def test_without_the_token_nothing_but_open_routes_is_reached(given: list[bytes], method: str, path: str) -> None:
    status, headers, body = await ask(HOST, *[(b"authorization", value) for value in given], method=method, path=path)
    assert status == 401
    assert headers["www-authenticate"] == 'Bearer realm="jobs"'
    assert TOKEN not in body.decode()


async def test_open_routes_need_no_token_and_the_scheme_is_written_as_one_likes() -> None:
    assert (await ask(HOST, path="/health"))[0] == 200
    assert (await ask(HOST, (b"authorization", f"bearer  {TOKEN}".encode())))[0] == 200


async def test_the_operators_token_is_compared_in_constant_time(monkeypatch: pytest.MonkeyPatch) -> None:
    compared = list[bytes]()
    monkeypatch.setattr("hmac.compare_digest", lambda given, _right: not compared.append(given))
    door = SimpleNamespace(token=TOKEN)  # a database is not asked
    assert await known_at(door, "not it") is OPERATOR  # type: ignore[arg-type]  # all of a context that is looked at
    assert compared == [b"not it"]


@pytest.mark.parametrize("headers", [[HOST, AUTHORIZED], [HOST], []])
async def test_every_answer_tells_browsers_to_do_nothing_with_it(headers: list[tuple[bytes, bytes]]) -> None:
    _, told, _ = await ask(*headers)
    assert told["x-content-type-options"] == "nosniff"
    assert told["x-frame-options"] == "DENY"
    assert told["cache-control"] == "no-store"
    assert "default-src 'none'" in told["content-security-policy"]


async def test_websockets_are_closed() -> None:
    sent = list[Message]()

    async def send(message: Message) -> None:
        sent.append(message)

    async def receive() -> Message:
        raise AssertionError

    guard = Guard(yes, hosts=hosts_at(8080), is_open=lambda *_: False, known_by=known_by)
    await guard({"type": "websocket", "path": "/api/chat", "headers": [HOST, AUTHORIZED]}, receive, send)
    assert [message["type"] for message in sent] == ["websocket.close"]


async def test_a_surprise_is_a_bare_500() -> None:
    async def breaks(*_: Any) -> None:
        raise ZeroDivisionError("secret")

    status, told, body = await ask(HOST, AUTHORIZED, inner=Surprises(breaks))
    assert status == 500
    assert told["x-content-type-options"] == "nosniff"
    assert json.loads(body)["error"]["code"] == "internal_error"
    assert b"secret" not in body


@pytest.mark.parametrize(
    ("port", "names", "host", "ours"),
    [
        (80, [], "localhost", True),
        (8080, [], "localhost", False),
        (8080, ["Jobs.Example"], "jobs.example", True),
        (8080, ["jobs.example"], "jobs.example:8080", True),
        (8080, ["jobs.example:443"], "jobs.example:443", True),
        (8080, ["jobs.example"], "x.jobs.example", False),
    ],
)
def test_a_door_is_known_by_its_names_and_its_port(port: int, names: list[str], host: str, ours: bool) -> None:  # noqa: FBT001 - a case's expectation
    assert (host in hosts_at(port, names)) is ours
