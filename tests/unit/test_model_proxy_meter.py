"""What a call used, told from the bytes of its answer however they are cut, and the most that a request can use."""

import json
from decimal import Decimal
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sessions.model_proxy.meter import Meter
from sessions.model_proxy.refusal import Refused
from sessions.model_proxy.request import Asked, read
from sessions.prices import Tokens, cost_usd

MODEL = "claude-sonnet-5"
ASKED = Asked(MODEL, stream=True, likely_input_tokens=40, most_input_tokens=160, max_tokens=1_000)
START = {
    "type": "message_start",
    "message": {
        "model": MODEL,
        "usage": {
            "input_tokens": 3,
            "cache_creation_input_tokens": 200,
            "cache_read_input_tokens": 1_000,
            "cache_creation": {"ephemeral_1h_input_tokens": 50, "ephemeral_5m_input_tokens": 150},
            "output_tokens": 1,
        },
    },
}
CALL = {"type": "content_block_start", "index": 1, "content_block": {"type": "tool_use", "id": "t", "name": "Bash"}}
DELTA = {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "x" * 400}}
END = {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 77}}
STOP = {"type": "message_stop"}
COST = cost_usd(MODEL, Tokens(input=3, output=77, cache_read=1_000, cache_write=200, cache_write_hour=50))


def sse(*events: dict[str, Any], end: str = "\n") -> bytes:
    return "".join(f"event: {event['type']}{end}data: {json.dumps(event)}{end}{end}" for event in events).encode()


def fed(*chunks: bytes) -> Meter:
    meter = Meter(ASKED)
    for chunk in chunks:
        meter.feed(chunk)
    return meter


@given(st.lists(st.integers(0, 1_400), max_size=8), st.sampled_from(["\n", "\r\n"]))
def test_a_stream_is_counted_however_it_is_cut_into_chunks(cuts: list[int], line_end: str) -> None:
    stream = sse(START, {"type": "ping"}, DELTA, CALL, END, STOP, end=line_end)
    edges = [0, *sorted(cuts), len(stream)]
    meter = fed(*(stream[a:b] for a, b in pairwise(edges)))
    used = meter.used(0.5, reached=True)
    assert meter.final
    assert (used.calls, used.estimated_calls, used.tool_calls, used.duration_s) == (1, 0, 1, 0.5)
    assert (used.input_tokens, used.output_tokens) == (3, 77)
    assert (used.cache_read_tokens, used.cache_write_tokens) == (1_000, 200)
    assert used.cost_usd == COST


def test_what_the_api_answered_in_the_us_alone_costs_a_tenth_more() -> None:
    end = {**END, "usage": {**END["usage"], "inference_geo": "us"}}  # type: ignore[dict-item]  # a dict, as written above
    assert fed(sse(START, end, STOP)).used(0, reached=True).cost_usd == COST * Decimal("1.1")
    assert (
        fed(sse(START, {**end, "usage": {"output_tokens": 77, "inference_geo": "global"}}))
        .used(0, reached=True)
        .cost_usd
        == COST
    )


def test_of_several_counts_of_what_came_out_the_last_one_holds() -> None:
    early = {"type": "message_delta", "delta": {"stop_reason": None}, "usage": {"output_tokens": 5}}
    assert not fed(sse(START, early)).final
    assert fed(sse(START, early, END)).used(0, reached=True).output_tokens == 77


def test_of_a_cut_stream_what_was_seen_is_counted_and_marked() -> None:
    meter = fed(sse(START, DELTA, DELTA))
    used = meter.used(0, reached=True)
    assert not meter.final
    assert (used.estimated_calls, used.input_tokens, used.cache_read_tokens) == (1, 3, 1_000)
    assert used.output_tokens == pytest.approx(200, abs=20)


def test_of_a_stream_that_never_began_the_request_s_size_is_counted() -> None:
    used = fed().used(0, reached=True)
    assert (used.estimated_calls, used.input_tokens, used.output_tokens) == (1, 40, 0)


def test_what_never_reached_the_api_costs_nothing() -> None:
    used = fed().used(0, reached=False)
    assert (used.calls, used.estimated_calls, used.cost_usd) == (1, 0, 0)


def test_an_answer_that_is_not_streamed_is_counted() -> None:
    meter = Meter(ASKED)
    message = {**START["message"], "content": [CALL["content_block"]]}  # type: ignore[dict-item]  # a dict, as written above
    message["usage"]["output_tokens"] = 77
    meter.whole(json.dumps(message).encode())
    used = meter.used(0, reached=True)
    assert (used.estimated_calls, used.tool_calls, used.cost_usd) == (0, 1, COST)


@pytest.mark.parametrize(
    "stream",
    [b"data: {", b"data: []\n", b'data: {"type": "message_start"}\n', b'data: {"type": "message_delta", "usage": 3}\n'],
)
def test_what_is_no_stream_of_the_api_is_counted_by_the_request_s_size(stream: bytes) -> None:
    assert fed(stream).used(0, reached=True).input_tokens == 40


def test_an_error_inside_a_stream_is_named() -> None:
    meter = fed(sse(START, {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}))
    assert meter.error_type == "overloaded_error"
    assert not meter.final


def request(**more: Any) -> bytes:
    body = {"model": MODEL, "max_tokens": 1_000, "messages": [{"role": "user", "content": "Hi."}], **more}
    return json.dumps(body).encode()


IMAGE_OF_3 = {"type": "image", "source": {"type": "base64", "data": 3}}


def with_block(block: dict[str, Any]) -> bytes:
    inside = {"type": "tool_result", "tool_use_id": "t", "content": [block]}
    return request(messages=[{"role": "user", "content": [inside]}])


def test_the_most_that_a_request_can_cost_is_a_token_a_byte_cached_for_an_hour_and_a_whole_answer() -> None:
    body = request()
    asked = read(body)
    assert (asked.most_input_tokens, asked.max_tokens) == (len(body), 1_000)
    assert asked.most_usd == (len(body) * Decimal(4) + 1_000 * Decimal(10)) / 1_000_000 * Decimal("1.1"), (
        "in the US alone"
    )
    assert asked.likely_input_tokens == len(body) // 4


def test_an_image_counts_by_what_it_is_and_not_by_its_bytes() -> None:
    image = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "A" * 800_000}}
    assert 5_000 < read(with_block(image)).most_input_tokens < 6_000
    pictures = {"type": "document", "source": {"type": "content", "content": [image, image]}}
    assert 10_000 < read(with_block(pictures)).most_input_tokens < 11_000


@pytest.mark.parametrize(
    "body",
    [
        request(tools=[{"type": "web_search_20250305", "name": "web_search"}]),
        request(mcp_servers=[{"type": "url", "url": "https://x"}]),
        with_block({"type": "image", "source": {"type": "url", "url": "https://x"}}),
        with_block({"type": "document", "source": {"type": "file", "file_id": "f"}}),
        with_block({"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": "A"}}),
        request(system="x" * 3_000_000),
    ],
)
def test_where_a_request_does_not_show_its_input_the_largest_context_window_is_the_bound(body: bytes) -> None:
    assert read(body).most_input_tokens == 1_000_000


def test_tools_of_one_s_own_bring_nothing_that_is_not_shown() -> None:
    body = request(tools=[{"name": "Bash", "input_schema": {}}, {"type": "custom", "name": "x", "input_schema": {}}])
    assert read(body).most_input_tokens == len(body)


@pytest.mark.parametrize(
    "body",
    [
        *(b"", b"[]", b"{}", b'{"model": 3}', b"[" * 100_000),
        *(request(max_tokens=limit) for limit in ("1", -1, True, 10**30)),
        *(request(model=model) for model in ("", "a\x00b", "\ud800", "x" * 300)),
    ],
)
def test_what_is_no_request_is_refused(body: bytes) -> None:
    with pytest.raises(Refused) as refused:
        read(body)
    assert refused.value.status == 400


@pytest.mark.parametrize(
    "content", [None, 3, [3], [{"content": 3}], [{"content": [3, {"source": 3}]}], [{"content": [IMAGE_OF_3]}]]
)
def test_messages_of_any_form_are_left_to_the_api_to_judge(content: Any) -> None:
    assert read(request(messages=content, tools=content)).model == MODEL
