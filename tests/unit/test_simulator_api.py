"""The routes as the CLI meets them, without a socket."""

import json
import tracemalloc
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.requests import Request

from simulator import body
from simulator.app import create_app
from simulator.errors import ApiError

HEADERS = {"x-api-key": "right", "anthropic-version": "2023-06-01"}


@pytest.fixture
async def api() -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(create_app(api_key="right"))
    async with httpx.AsyncClient(transport=transport, base_url="http://simulator", headers=HEADERS) as client:
        yield client


def request(prompt: Any, **fields: Any) -> dict[str, Any]:
    return {"model": "claude-x", "max_tokens": 100, "messages": [{"role": "user", "content": prompt}], **fields}


async def answer(api: httpx.AsyncClient, prompt: str) -> dict[str, Any]:
    response = await api.post("/v1/messages", json=request(prompt))
    assert response.status_code == 200
    return response.json()  # type: ignore[no-any-return]  # JSON


async def events(api: httpx.AsyncClient, prompt: str) -> list[dict[str, Any]]:
    response = await api.post("/v1/messages", json=request(prompt, stream=True))
    assert response.headers["content-type"].startswith("text/event-stream")
    frames = [frame.split("\n") for frame in response.text.split("\n\n") if frame]
    data = [json.loads(line.removeprefix("data: ")) for _, line in frames]
    assert [f"event: {event['type']}" for event in data] == [name for name, _ in frames]
    return data


SCRIPT = '[[think Why?]] [[text Hel]] [[text lo.]] [[tool Bash {"command": "ls"}]] [[tool Read {"path": "é"}]]'


async def test_a_stream_adds_up_to_the_message_that_is_given_whole(api: httpx.AsyncClient) -> None:
    """What a client puts together from the deltas is what the non-streaming answer holds; only the ids are new."""
    blocks: list[dict[str, Any]] = []
    pieces: list[str] = []
    stream = await events(api, SCRIPT)
    for event in stream:
        if event["type"] == "content_block_start":
            assert event["index"] == len(blocks)
            blocks.append(event["content_block"])
            pieces = []
        if event["type"] == "content_block_delta":
            match event["delta"]:
                case {"type": "text_delta", "text": piece}:
                    blocks[-1]["text"] += piece
                case {"type": "thinking_delta", "thinking": piece}:
                    blocks[-1]["thinking"] += piece
                case {"type": "signature_delta", "signature": piece}:
                    blocks[-1]["signature"] = piece
                case {"type": "input_json_delta", "partial_json": piece}:
                    pieces.append(piece)
        if event["type"] == "content_block_stop" and pieces:
            blocks[-1]["input"] = json.loads("".join(pieces))
    whole = await answer(api, SCRIPT)
    assert [block.pop("id") for block in blocks[2:]] != [block.pop("id") for block in whole["content"][2:]]
    assert blocks == whole["content"]
    assert [block["type"] for block in blocks] == ["thinking", "text", "tool_use", "tool_use"]
    assert blocks[1]["text"] == "Hello."
    assert stream[-2]["delta"]["stop_reason"] == whole["stop_reason"] == "tool_use"
    assert stream[-2]["usage"] == whole["usage"]


async def test_the_events_of_a_stream_come_in_the_order_of_the_api(api: httpx.AsyncClient) -> None:
    assert [event["type"] for event in await events(api, "[[text Hello.]]")] == [
        "message_start",
        "ping",
        "content_block_start",
        "content_block_delta",
        "content_block_stop",
        "message_delta",
        "message_stop",
    ]


async def test_a_history_that_the_simulator_made_is_taken_back(api: httpx.AsyncClient) -> None:
    made = await answer(api, SCRIPT)
    results = [
        {"type": "tool_result", "tool_use_id": block["id"], "content": "ok"}
        for block in made["content"]
        if block["type"] == "tool_use"
    ]
    history = [
        {"role": "user", "content": SCRIPT + "[[then]] [[text done]]"},
        {"role": "assistant", "content": made["content"]},
        {"role": "user", "content": results},
    ]
    response = await api.post("/v1/messages", json=request("") | {"messages": history})
    assert response.json()["content"] == [{"type": "text", "text": "done"}]


async def test_stop_reason_and_usage_can_be_scripted(api: httpx.AsyncClient) -> None:
    made = await answer(api, '[[text a]] [[stop max_tokens]] [[usage {"output_tokens": 5000}]]')
    assert (made["stop_reason"], made["usage"]["output_tokens"]) == ("max_tokens", 5000)


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, "invalid_request_error"),
        (401, "authentication_error"),
        (403, "permission_error"),
        (404, "not_found_error"),
        (413, "request_too_large"),
        (429, "rate_limit_error"),
        (500, "api_error"),
        (529, "overloaded_error"),
    ],
)
async def test_an_error_has_the_status_and_the_body_of_the_api(api: httpx.AsyncClient, status: int, kind: str) -> None:
    response = await api.post("/v1/messages", json=request(f"[[error {status} retry-after=3 Because.]]", stream=True))
    assert response.status_code == status
    assert response.headers["retry-after"] == "3"
    assert response.json() == {
        "type": "error",
        "error": {"type": kind, "message": "Because."},
        "request_id": response.headers["request-id"],
    }


async def test_an_error_behind_text_breaks_the_stream_off(api: httpx.AsyncClient) -> None:
    last = (await events(api, "[[text Hel]] [[error 529]]"))[-1]
    assert (last["type"], last["error"]) == ("error", {"type": "overloaded_error", "message": "Overloaded"})


async def test_an_error_behind_text_is_a_status_where_nothing_is_streamed(api: httpx.AsyncClient) -> None:
    assert (await api.post("/v1/messages", json=request("[[text Hel]] [[error 529]]"))).status_code == 529


async def test_a_response_without_steps_has_no_content(api: httpx.AsyncClient) -> None:
    assert (await answer(api, "[[stop end_turn]]"))["content"] == []
    assert (await events(api, "[[stop end_turn]]"))[0]["type"] == "message_start"


@pytest.mark.parametrize(
    ("headers", "message"),
    [
        ({"x-api-key": "wrong"}, "invalid x-api-key"),
        ({"authorization": "Bearer wrong"}, "Invalid bearer token"),
        ({"authorization": "Basic right"}, "x-api-key header is required"),
        ({}, "x-api-key header is required"),
        ({"x-api-key": "rïght"}, "invalid x-api-key"),
    ],
)
async def test_a_wrong_key_is_refused(headers: dict[str, str], message: str) -> None:
    transport = httpx.ASGITransport(create_app(api_key="right"))
    async with httpx.AsyncClient(transport=transport, base_url="http://simulator") as client:
        sent = {**headers, "anthropic-version": "2023-06-01"}
        response = await client.post(
            "/v1/messages",
            json=request("hi"),
            headers=[(name.encode(), value.encode()) for name, value in sent.items()],
        )
    assert response.status_code == 401
    assert response.json()["error"] == {"type": "authentication_error", "message": message}


async def test_the_right_key_may_come_as_a_bearer_token() -> None:
    transport = httpx.ASGITransport(create_app(api_key="right"))
    headers = {"authorization": "Bearer right", "anthropic-version": "2023-06-01"}
    async with httpx.AsyncClient(transport=transport, base_url="http://simulator", headers=headers) as client:
        assert (await client.post("/v1/messages", json=request("hi"))).status_code == 200


async def test_the_version_header_is_required(api: httpx.AsyncClient) -> None:
    del api.headers["anthropic-version"]
    response = await api.post("/v1/messages", json=request("hi"))
    assert (response.status_code, response.json()["error"]["message"]) == (400, "anthropic-version: header is required")


async def test_an_unknown_model_is_not_found(api: httpx.AsyncClient) -> None:
    response = await api.post("/v1/messages", json=request("hi", model="gpt-x"))
    assert response.status_code == 404
    assert response.json()["error"] == {"type": "not_found_error", "message": "model: gpt-x"}


async def test_tokens_are_counted_as_the_answer_will_report_them(api: httpx.AsyncClient) -> None:
    counted = await api.post("/v1/messages/count_tokens", json=request("hi"))
    assert counted.json() == {"input_tokens": (await answer(api, "hi"))["usage"]["input_tokens"]}


@pytest.mark.parametrize("path", ["/", "/api/hello"])
async def test_what_the_cli_calls_at_start_is_answered(api: httpx.AsyncClient, path: str) -> None:
    assert (await api.head(path)).status_code == 200
    assert "no model" in (await api.get(path)).json()["message"]


async def test_other_paths_and_methods_are_refused_in_the_error_body_of_the_api(api: httpx.AsyncClient) -> None:
    missing, wrong = await api.get("/v1/nothing"), await api.get("/v1/messages")
    assert (missing.status_code, missing.json()["error"]["type"]) == (404, "not_found_error")
    assert (wrong.status_code, wrong.json()["error"]["type"]) == (405, "invalid_request_error")


async def test_without_a_token_there_are_no_control_endpoints(api: httpx.AsyncClient) -> None:
    assert (await api.get("/control/requests", headers={"authorization": "Bearer "})).status_code == 404


HOSTILE = {
    "nothing": b"",
    "no JSON": b"{",
    "no object": b"[]",
    "no text": b"\xff\xfe{}",
    "NaN": b'{"model": NaN}',
    "infinity": b'{"model": 1e400}',
    "half a surrogate pair": b'{"model": "\\ud800"}',
    "a long number": b'{"model": ' + b"1" * 10_000 + b"}",
    "depth": b"[" * 1_000_000,
    "depth inside the limit of json": b'{"system":' * 400 + b"1" + b"}" * 400,
}


@pytest.mark.parametrize("sent", HOSTILE.values(), ids=HOSTILE.keys())
async def test_a_hostile_body_is_an_invalid_request(api: httpx.AsyncClient, sent: bytes) -> None:
    response = await api.post("/v1/messages", content=sent)
    assert (response.status_code, response.json()["error"]["type"]) == (400, "invalid_request_error")


async def test_a_body_of_too_many_values_is_not_even_parsed(api: httpx.AsyncClient) -> None:
    response = await api.post("/v1/messages", content=b'{"system": [' + b"[]," * 1_000_000 + b"[]]}")
    assert (response.status_code, response.json()["error"]["message"]) == (
        400,
        "The request body holds too many values",
    )


async def test_a_body_over_32_mb_is_refused(api: httpx.AsyncClient) -> None:
    response = await api.post("/v1/messages", content=b" " * (body.MAX_BODY_BYTES + 1))
    assert (response.status_code, response.json()["error"]["type"]) == (413, "request_too_large")


async def test_a_body_that_is_too_long_is_read_to_its_end_but_not_kept() -> None:
    chunks = 50

    async def receive() -> dict[str, Any]:
        nonlocal chunks
        chunks -= 1
        return {"type": "http.request", "body": bytes(1_000_000), "more_body": chunks > 0}

    tracemalloc.start()
    try:
        with pytest.raises(ApiError):
            await body.read(Request({"type": "http"}, receive), max_bytes=1_500_000)
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert chunks == 0
    assert peak_bytes < 5_000_000


HOSTILE_SCRIPTS = [
    "[[error 429 retry-after=日]]",
    '[[text "\\ud800"]]',
    "[[tool Bash {}]]",
    "[[usage {}]]",
    '[[usage {"output_tokens": ' + "9" * 4000 + "}]]",
    "[[then]]",
]


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("script", HOSTILE_SCRIPTS)
async def test_no_script_breaks_the_server(api: httpx.AsyncClient, script: str, *, stream: bool) -> None:
    assert (await api.post("/v1/messages", json=request(script, stream=stream))).status_code < 500


SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
TYPES = st.sampled_from(["text", "thinking", "tool_use", "tool_result", "image", "sound"])
FIELDS = st.sampled_from(["text", "thinking", "signature", "id", "tool_use_id", "name", "input", "content", "source"])
PROMPTS = st.sampled_from(["hi", *HOSTILE_SCRIPTS])


def blocks_of(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    fields = st.dictionaries(FIELDS, inner, max_size=3)
    return st.builds(lambda kind, rest: {"type": kind, **rest}, TYPES, fields)


VALUES = st.recursive(SCALARS | PROMPTS, lambda inner: st.lists(inner, max_size=3) | blocks_of(inner), max_leaves=8)


MESSAGES = st.builds(
    lambda role, content: {"role": role, "content": content},
    st.sampled_from(["user", "user", "assistant", "system", "tool"]),
    PROMPTS | st.lists(blocks_of(VALUES), max_size=3) | VALUES,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=300)
@given(messages=st.lists(MESSAGES, max_size=3), other=st.dictionaries(FIELDS | st.just("stream"), VALUES, max_size=3))
async def test_no_body_breaks_the_server(api: httpx.AsyncClient, messages: list[Any], other: dict[str, Any]) -> None:
    """An unforeseen exception would be raised here by the in-process transport."""
    sent = json.dumps({**request(""), "messages": messages, **other})
    response = await api.post("/v1/messages", content=sent)
    assert response.status_code < 500
