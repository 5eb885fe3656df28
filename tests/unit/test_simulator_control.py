"""The control endpoints, and the world stopped where a test wants it."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from simulator.app import create_app

KEY = {"x-api-key": "k", "anthropic-version": "2023-06-01"}


@pytest.fixture
async def api() -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(create_app(control_token="token"))
    headers = {**KEY, "authorization": "Bearer token"}
    async with httpx.AsyncClient(transport=transport, base_url="http://simulator", headers=headers) as client:
        yield client


async def ask(api: httpx.AsyncClient, prompt: str) -> httpx.Response:
    message = {"role": "user", "content": prompt}
    return await api.post("/v1/messages", json={"model": "claude-x", "max_tokens": 9, "messages": [message]})


async def wait(api: httpx.AsyncClient, **wanted: Any) -> dict[str, Any]:
    response = await api.get("/control/requests/wait", params=wanted)
    assert response.status_code == 200, response.text
    return response.json()  # type: ignore[no-any-return]  # JSON


@pytest.mark.parametrize("authorization", ["", "Bearer wrong", "token", "Bearer tokén"])
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/control/script"),
        ("DELETE", "/control/script"),
        ("POST", "/control/release"),
        ("GET", "/control/requests"),
        ("GET", "/control/requests/wait"),
        ("DELETE", "/control/requests"),
        ("GET", "/control/other"),
    ],
)
async def test_without_the_token_nothing_is_controlled(
    api: httpx.AsyncClient, method: str, path: str, authorization: str
) -> None:
    response = await api.request(method, path, headers=[(b"authorization", authorization.encode())])
    assert (response.status_code, response.json()["error"]["type"]) == (401, "authentication_error")


async def test_failures_can_be_counted(api: httpx.AsyncClient) -> None:
    script = {"script": "[[error 529]]", "match": "tea", "times": 2}
    assert (await api.post("/control/script", json=script)).json() == {"requests": 2}
    prompts = ["tea", "coffee", "tea", "tea"]
    assert [(await ask(api, prompt)).status_code for prompt in prompts] == [529, 200, 529, 200]


@pytest.mark.parametrize(
    "script",
    [
        {},
        {"script": 1},
        {"script": "nothing to do"},
        {"script": "[[error x]]"},
        {"script": "[[text a]]", "times": 0},
        {"script": "[[text a]]", "time": 1},
    ],
)
async def test_a_script_that_cannot_be_read_is_refused(api: httpx.AsyncClient, script: Any) -> None:
    response = await api.post("/control/script", json=script)
    assert (response.status_code, response.json()["error"]["type"]) == (400, "invalid_request_error")


async def test_a_request_is_held_before_its_answer_until_released(api: httpx.AsyncClient) -> None:
    asking = asyncio.create_task(ask(api, "[[hold gate]] [[text done]]"))
    held = await wait(api, holding="gate")
    assert (held["outcome"], held["status"]) == ("open", None)
    assert not asking.done()
    assert (await api.post("/control/release", json={"name": "gate"})).status_code == 204
    assert (await asking).json()["content"][0]["text"] == "done"
    assert (await wait(api, outcome="finished"))["number"] == held["number"]


async def test_a_reset_forgets_scripts_and_lets_go_of_what_is_held(api: httpx.AsyncClient) -> None:
    await api.post("/control/script", json={"script": "[[hold gate]] [[text scripted]]"})
    asking = asyncio.create_task(ask(api, "[[text own]]"))
    await wait(api, holding="gate")
    assert (await api.delete("/control/script")).status_code == 204
    assert (await asking).json()["content"][0]["text"] == "scripted"
    assert (await ask(api, "[[text own]]")).json()["content"][0]["text"] == "own"


async def test_what_was_sent_can_be_read_and_forgotten(api: httpx.AsyncClient) -> None:
    await ask(api, "tea")
    await ask(api, "[[error 500]]")
    await api.post("/v1/messages", content=b"{")
    tea, failed, refused = (await api.get("/control/requests")).json()["requests"]
    assert tea["body"]["messages"] == [{"role": "user", "content": "tea"}]
    assert (tea["path"], tea["prompt"], tea["outcome"], tea["status"]) == ("/v1/messages", "tea", "finished", 200)
    assert (failed["outcome"], failed["status"]) == ("failed", 500)
    assert (refused["body"], refused["outcome"], refused["status"]) == (None, "failed", 400)
    assert "k" not in tea["headers"].values()
    assert [found["number"] for found in (await api.get("/control/requests?match=tea")).json()["requests"]] == [1]
    assert (await api.delete("/control/requests")).status_code == 204
    assert (await api.get("/control/requests")).json() == {"requests": []}


async def test_waiting_for_what_does_not_come_ends(api: httpx.AsyncClient) -> None:
    response = await api.get("/control/requests/wait", params={"match": "never", "timeout_s": 0.01})
    assert response.status_code == 504
    assert "no such request within 0.01 s" in response.json()["error"]["message"]


@pytest.mark.parametrize("query", ["timeout_s=0", "timeout_s=301", "timeout_s=nan", "outcome=well", "after=x", "x=1"])
async def test_a_wait_that_makes_no_sense_is_refused(api: httpx.AsyncClient, query: str) -> None:
    assert (await api.get(f"/control/requests/wait?{query}")).status_code == 400


async def test_a_caller_that_goes_away_ends_its_answer_at_once() -> None:
    """Played by hand, message by message, because the in-process transport of httpx never goes away."""
    app = create_app(control_token="token")
    message = {"role": "user", "content": "[[text half]] [[stall]]"}
    sent = json.dumps({"model": "claude-x", "max_tokens": 9, "stream": True, "messages": [message]}).encode()
    streaming, gone = asyncio.Event(), asyncio.Event()
    incoming = iter([{"type": "http.request", "body": sent, "more_body": False}])

    async def receive() -> dict[str, Any]:
        if (first := next(incoming, None)) is not None:
            return first
        await gone.wait()
        return {"type": "http.disconnect"}

    async def send(outgoing: Any) -> None:
        if b"half" in outgoing.get("body", b""):
            streaming.set()

    headers = [(name.encode(), value.encode()) for name, value in KEY.items()]
    scope = {"type": "http", "method": "POST", "path": "/v1/messages", "query_string": b"", "headers": headers}
    answering = asyncio.create_task(app(scope, receive, send))
    await streaming.wait()
    gone.set()
    await answering
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(
        transport=transport, base_url="http://simulator", headers={"authorization": "Bearer token"}
    ) as client:
        [record] = (await client.get("/control/requests")).json()["requests"]
    assert record["outcome"] == "cut"
