"""The model proxy between callers and the API: whose calls pass, what of them does, and how they end."""

import asyncio
import gzip
from collections.abc import Mapping

import httpx
import pytest

from jobs_core import Database
from sessions import TurnFailed
from simulator.client import SimulatorControl
from tests.support.model_proxy import MODEL, body, calling, one_run, proxied, raw_api
from tests.support.sessions import KEY

OK = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}"


async def test_an_answer_passes_as_it_comes(database: Database, sim: SimulatorControl) -> None:
    async with (
        one_run(database, sim.url) as caller,
        caller.client.stream("POST", "/v1/messages", json=body("[[text First.]] [[hold h]] [[text Then.]]")) as answer,
    ):
        chunks = answer.aiter_text()
        seen = ""
        while "First." not in seen:
            seen += await anext(chunks)
        assert "Then." not in seen
        await sim.release("h")
        seen += "".join([chunk async for chunk in chunks])
    assert "Then." in seen
    assert seen.endswith('data: {"type": "message_stop"}\n\n')


async def test_a_stream_passes_byte_for_byte(database: Database) -> None:
    """Whatever it holds and however it is cut: what is not an event, half an event at the end, every byte there is."""
    pieces = [b"event: x\r", b"\n", b"data: {\n\n", bytes(range(256)), b"data: {half"]

    async def answer(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n")
        for piece in pieces:
            writer.write(b"%x\r\n%b\r\n" % (len(piece), piece))
            await writer.drain()
        writer.write(b"0\r\n\r\n")

    async with raw_api(answer) as api, one_run(database, api.url) as caller:
        assert (await caller.ask()).content == b"".join(pieces)


async def test_an_answer_that_is_not_streamed_passes(database: Database, sim: SimulatorControl) -> None:
    async with one_run(database, sim.url) as caller:
        answer = await caller.ask("[[text Whole.]]", stream=False)
    assert answer.json()["content"] == [{"type": "text", "text": "Whole."}]


async def test_a_compressed_answer_is_unpacked_and_counted(database: Database) -> None:
    packed = gzip.compress(b'{"usage": {"input_tokens": 5, "output_tokens": 6}, "content": []}')
    head = f"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: {len(packed)}\r\nconnection: close\r\n\r\n"
    async with raw_api(head.encode() + packed) as api, one_run(database, api.url) as caller:
        answer = await caller.ask(stream=False)
        assert answer.json()["content"] == []
        assert "content-encoding" not in answer.headers
    assert (caller.run.used.input_tokens, caller.run.used.output_tokens) == (5, 6)


async def test_the_api_gets_the_key_and_the_caller_s_headers_and_not_its_credential(database: Database) -> None:
    async with raw_api(OK) as api, one_run(database, api.url) as caller:
        told = {"anthropic-beta": "a,b", "x-stainless-lang": "js", "proxy-authorization": "no", "te": "trailers"}
        await caller.client.post("/v1/messages?beta=true", json=body(), headers=told)
    (head,) = api.heads
    assert head.startswith("POST /v1/messages?beta=true HTTP/1.1\r\n")
    lines = head.lower().split("\r\n")
    assert f"x-api-key: {KEY}" in lines
    assert {"anthropic-beta: a,b", "anthropic-version: 2023-06-01", "x-stainless-lang: js"} <= set(lines)
    assert "accept-encoding: identity" in lines
    assert caller.run.credential.lower() not in head.lower()
    assert "proxy-authorization" not in head.lower()
    assert "\r\nte:" not in head.lower()


async def test_a_token_goes_to_the_api_as_a_token(database: Database) -> None:
    only_token = {"ANTHROPIC_API_KEY": "", "CLAUDE_CODE_OAUTH_TOKEN": "oauth"}
    async with (
        raw_api(OK) as api,
        proxied(database, api.url, **only_token) as proxy,
        calling(proxy, database) as caller,
    ):
        bearer = {"authorization": f"Bearer {caller.run.credential}"}
        async with httpx.AsyncClient(base_url=caller.client.base_url, headers=bearer, trust_env=False) as client:
            assert (await client.post("/v1/messages", json=body())).status_code == 200
    (head,) = api.heads
    assert "\r\nauthorization: bearer oauth\r\n" in head.lower()
    assert "x-api-key" not in head.lower()


@pytest.mark.parametrize(("status", "again"), [(529, "true"), (429, "false"), (401, "false")])
async def test_what_the_api_says_of_itself_passes(database: Database, status: int, again: str) -> None:
    """But that the CLI may try again, where everybody is to wait together (sessions/provider.py)."""
    said = b'{"type": "error", "error": {"type": "rate_limit_error", "message": "Slow down"}}'
    head = (
        f"HTTP/1.1 {status} No\r\nretry-after: 77\r\nanthropic-ratelimit-requests-reset: 3\r\nrequest-id: r\r\n"
        f"x-should-retry: true\r\nkeep-alive: 5\r\nset-cookie: a=b\r\ncontent-length: {len(said)}\r\nconnection: close\r\n\r\n"
    )
    async with raw_api(head.encode() + said) as api, one_run(database, api.url) as caller:
        answer = await caller.ask()
        await caller.ask()
    assert "cookie:" not in api.heads[1].lower(), "a cookie would go from run to run"
    assert (answer.status_code, answer.content) == (status, said)
    kept = {"retry-after": "77", "anthropic-ratelimit-requests-reset": "3", "request-id": "r", "x-should-retry": again}
    assert kept.items() <= dict(answer.headers).items()
    assert not {"keep-alive", "set-cookie"} & set(answer.headers)


async def test_a_credential_is_good_for_its_run_only(database: Database, sim: SimulatorControl) -> None:
    async with proxied(database, sim.url) as proxy:
        async with calling(proxy, database) as caller:
            assert (await caller.ask()).status_code == 200
            for wrong in ({"x-api-key": KEY}, {"x-api-key": ""}, {"x-api-key": caller.run.credential[:-1]}):
                refused = await caller.client.post("/v1/messages", json=body(), headers=wrong)
                assert refused.status_code == 401
                assert refused.json()["error"]["type"] == "authentication_error"
        async with calling(proxy, database) as other:
            dead = await other.client.post("/v1/messages", json=body(), headers={"x-api-key": caller.run.credential})
            assert dead.status_code == 401
            assert (await other.ask()).status_code == 200
    assert len(await sim.requests()) == 2


async def test_what_the_cli_does_not_need_is_not_passed(database: Database, sim: SimulatorControl) -> None:
    async with one_run(database, sim.url) as caller:
        for method, path in (("GET", "/v1/models"), ("GET", "/v1/messages"), ("POST", "/v1/files"), ("POST", "/")):
            assert (await caller.client.request(method, path)).status_code == 404
        for path in ("/", "/api/hello"):
            assert (await caller.client.get(path)).status_code == 200
        assert (await caller.client.post("/v1/messages", content=b"no json")).status_code == 400
    assert await sim.requests() == []


async def test_tokens_are_counted_by_the_api_at_no_cost(database: Database, sim: SimulatorControl) -> None:
    async with one_run(database, sim.url, cap_usd=0) as caller:
        request = {name: value for name, value in body().items() if name in {"model", "messages"}}
        answer = await caller.client.post("/v1/messages/count_tokens", json=request)
        assert answer.json()["input_tokens"] > 0
    assert (await caller.used()).calls == 0


async def test_a_model_that_the_run_may_not_use_is_refused(database: Database, sim: SimulatorControl) -> None:
    async with one_run(database, sim.url, models={"claude-haiku-4-5"}) as caller:
        refused = await caller.ask()
        assert (refused.status_code, refused.headers["x-should-retry"]) == (403, "false")
        assert isinstance(caller.run.refused, TurnFailed)
        assert (await caller.ask(model="claude-haiku-4-5")).status_code == 200
    assert len(await sim.requests()) == 1


async def test_a_speed_that_no_price_is_known_of_is_refused(database: Database, sim: SimulatorControl) -> None:
    """It is the body that asks for it, and an agent's shell can send one: it would be counted at a sixth."""
    async with one_run(database, sim.url) as caller:
        assert (await caller.ask(speed="fast")).status_code == 403
        assert isinstance(caller.run.refused, TurnFailed)
        assert [(await caller.ask(speed=speed)).status_code for speed in (None, "standard")] == [200, 200]
    assert len(await sim.requests()) == 2


@pytest.mark.parametrize("prompt", ["[[hold h]]", "[[text Half.]] [[hold h]]"])
async def test_when_its_caller_goes_the_api_s_request_is_closed_at_once(
    database: Database, sim: SimulatorControl, prompt: str
) -> None:
    async with one_run(database, sim.url) as caller:
        asking = asyncio.create_task(caller.ask(prompt))
        await sim.wait_for_request(holding="h")
        asking.cancel()
        await sim.wait_for_request(outcome="cut")
        used = await caller.recorded(lambda used: used.estimated_calls == 1 and used.duration_s > 0)
        assert used.input_tokens > 0


async def test_calls_end_with_their_run(database: Database, sim: SimulatorControl) -> None:
    async with proxied(database, sim.url) as proxy:
        async with calling(proxy, database) as caller:
            asking = asyncio.create_task(caller.ask("[[text Half.]] [[hold h]]"))
            await sim.wait_for_request(holding="h")
            proxy.cut_runs()
            await sim.wait_for_request(outcome="cut")
            assert (await caller.ask()).status_code == 401
            with pytest.raises(httpx.TransportError):
                await asking
        assert (await caller.used()).estimated_calls == 1


@pytest.mark.parametrize("prompt", ["[[reset]]", "[[text Half.]] [[reset]]"])
async def test_a_connection_that_the_api_resets_is_reset(
    database: Database, sim: SimulatorControl, prompt: str
) -> None:
    async with one_run(database, sim.url) as caller:
        with pytest.raises(httpx.ReadError):
            await caller.ask(prompt)
        assert (await caller.ask()).status_code == 200
    used = await caller.used()
    assert (used.calls, used.estimated_calls) == (2, 1)


async def test_an_api_that_is_not_there_is_a_reset_that_costs_nothing(database: Database) -> None:
    async with one_run(database, "http://127.0.0.1:9") as caller:
        with pytest.raises(httpx.ReadError):
            await caller.ask()
    used = await caller.used()
    assert (used.calls, used.estimated_calls, used.cost_usd) == (1, 0, 0)


async def test_the_api_is_reached_through_the_http_proxy_that_is_set(database: Database) -> None:
    async with (
        raw_api(OK) as http_proxy,
        proxied(database, "http://model.invalid", http_proxy=http_proxy.url) as proxy,
        calling(proxy, database) as caller,
    ):
        assert (await caller.ask()).status_code == 200
    assert http_proxy.heads[0].startswith("POST http://model.invalid/v1/messages HTTP/1.1\r\n")


async def test_the_environment_s_proxy_serves_but_for_an_api_on_this_machine(
    database: Database, sim: SimulatorControl, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with raw_api(OK) as http_proxy:
        monkeypatch.setenv("HTTP_PROXY", http_proxy.url)
        async with one_run(database, "http://model.invalid") as caller:
            assert (await caller.ask()).status_code == 200
        async with one_run(database, sim.url) as caller:
            assert (await caller.ask()).status_code == 200
    assert len(http_proxy.heads) == len(await sim.requests()) == 1


class Heard:
    """Notes what the provider's health is told."""

    def __init__(self) -> None:
        self.of_it: list[tuple[int | None, str | None, str | None]] = []

    def on_trouble(self, status: int | None, headers: Mapping[str, str], error_type: str | None) -> None:
        self.of_it.append((status, headers.get("retry-after"), error_type))

    def on_success(self) -> None:
        self.of_it.append((200, None, None))
        raise RuntimeError("what a watcher raises is its own affair")


@pytest.mark.parametrize(
    ("prompt", "told"),
    [
        ("[[error 429 retry-after=77]]", (429, "77", "rate_limit_error")),
        ("[[error 529]]", (529, None, "overloaded_error")),
        ("[[error 401]]", (401, None, "authentication_error")),
        ("[[error 400 Your credit balance is too low to access the API.]]", (400, None, "billing_error")),
        ("[[text Half.]] [[error 529]]", (200, None, "overloaded_error")),
        ("[[error 400 messages.0: no]]", None),
        ("[[text Fine.]]", (200, None, None)),
    ],
)
async def test_who_watches_the_provider_hears_of_each_answer(
    database: Database, sim: SimulatorControl, prompt: str, told: tuple[int, str | None, str | None] | None
) -> None:
    heard = Heard()
    async with proxied(database, sim.url, heard) as proxy, calling(proxy, database) as caller:
        await caller.ask(prompt)
    assert heard.of_it == ([told] if told else [])


async def test_who_watches_the_provider_hears_that_it_cannot_be_reached(database: Database) -> None:
    heard = Heard()
    async with proxied(database, "http://127.0.0.1:9", heard) as proxy, calling(proxy, database) as caller:
        with pytest.raises(httpx.ReadError):
            await caller.ask()
    assert heard.of_it == [(None, None, None)]


async def test_a_refusal_of_the_api_costs_nothing(database: Database, sim: SimulatorControl) -> None:
    async with one_run(database, sim.url) as caller:
        assert (await caller.ask("[[error 529]]")).status_code == 529
    used = await caller.used()
    assert (used.calls, used.estimated_calls, used.cost_usd) == (1, 0, 0)
    assert caller.run.refused is None
    assert MODEL in str((await sim.requests())[0].body)
