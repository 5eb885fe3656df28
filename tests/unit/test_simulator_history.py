"""Ill-formed histories are refused in the API's words; well-formed ones pass."""

from typing import Any

import pytest

from simulator import history
from simulator.errors import ApiError
from simulator.shapes import CountRequest, MessagesRequest, shaped
from simulator.signatures import sign


def user(*blocks: Any) -> dict[str, Any]:
    return {"role": "user", "content": [text(block) if isinstance(block, str) else block for block in blocks]}


def assistant(*blocks: Any) -> dict[str, Any]:
    return {**user(*blocks), "role": "assistant"}


def text(words: str) -> dict[str, Any]:
    return {"type": "text", "text": words}


def call(tool_use_id: str) -> dict[str, Any]:
    return {"type": "tool_use", "id": tool_use_id, "name": "Bash", "input": {}}


def result(tool_use_id: str) -> dict[str, Any]:
    return {"type": "tool_result", "tool_use_id": tool_use_id, "content": "ok"}


def thinking(words: str, signature: str | None = None) -> dict[str, Any]:
    return {"type": "thinking", "thinking": words, "signature": signature or sign(words)}


def check(*messages: Any, **fields: Any) -> None:
    body = {"model": "claude-x", "max_tokens": 10, "messages": list(messages), **fields}
    history.check(shaped(MessagesRequest, body))


WELL_FORMED = {
    "one message": [user("hi")],
    "a plain string": [{"role": "user", "content": "hi"}],
    "neighbours of one role": [user("hi"), user("there"), assistant("a"), assistant("b"), user("on")],
    "a call and its result": [user("hi"), assistant("let me", call("t1")), user(result("t1"), "and then")],
    "two calls in one message": [user("hi"), assistant(call("t1"), call("t2")), user(result("t2"), result("t1"))],
    "results in two messages": [user("hi"), assistant(call("t1"), call("t2")), user(result("t1")), user(result("t2"))],
    "calls in two messages": [
        user("hi"),
        assistant(call("t1")),
        assistant(call("t2")),
        user(result("t1"), result("t2")),
    ],
    "a system message between": [
        user("hi"),
        {"role": "system", "content": "now"},
        assistant(call("t1")),
        {"role": "system", "content": [text("later")]},
        user(result("t1")),
    ],
    "signed thinking": [user("hi"), assistant(thinking("hm"), call("t1")), user(result("t1"))],
    "a prefill": [user("hi"), assistant("So")],
    "an empty prefill": [user("hi"), {"role": "assistant", "content": []}],
    "a picture": [user({"type": "image", "source": {"type": "base64", "data": ""}}, "what is it?")],
    "a null result": [user("hi"), assistant(call("t1")), user({**result("t1"), "content": None})],
    "an empty result": [user("hi"), assistant(call("t1")), user({"type": "tool_result", "tool_use_id": "t1"})],
}


@pytest.mark.parametrize("messages", WELL_FORMED.values(), ids=WELL_FORMED.keys())
def test_a_well_formed_history_is_taken(messages: list[Any]) -> None:
    check(*messages)


ILL_FORMED: dict[str, tuple[list[Any], str]] = {
    "no messages": ([], "messages: at least one message is required"),
    "the assistant begins": ([assistant("hi")], 'messages: first message must use the "user" role'),
    "a system message begins": (
        [{"role": "system", "content": "x"}, user("hi")],
        'messages: first message must use the "user" role',
    ),
    "unknown role": ([{"role": "tool", "content": "x"}], "messages.0.role: Input should be 'user', 'assistant'"),
    "no role": ([{"content": "x"}], "messages.0.role: Field required"),
    "no content": ([{"role": "user"}], "messages.0.content: Field required"),
    "empty content": (
        [{"role": "user", "content": []}, user("hi")],
        "messages.0: all messages must have non-empty content except for the optional final assistant message",
    ),
    "empty content at the end": ([{"role": "user", "content": []}], "messages.0: all messages must have non-empty"),
    "empty text": ([user("")], "messages: text content blocks must be non-empty"),
    "an empty string": ([{"role": "user", "content": ""}], "messages: text content blocks must be non-empty"),
    "blank text": ([user(" \n")], "messages: text content blocks must contain non-whitespace text"),
    "text without text": ([user({"type": "text"})], "messages.0.content.0.text.text: Field required"),
    "unknown block": ([user({"type": "sound"})], "messages.0.content.0: Input tag 'sound' found using 'type' does not"),
    "block without type": ([user({"text": "hi"})], "messages.0.content.0.type: Field required"),
    "a call by the user": ([user(call("t1"))], "messages.0.content.0: `tool_use` blocks can only be in `assistant`"),
    "a result by the assistant": (
        [user("hi"), assistant(result("t1"))],
        "messages.1.content.0: `tool_result` blocks can only be in `user` messages",
    ),
    "a bad tool id": (
        [user("hi"), assistant(call("a b"))],
        "messages.1.content.0.tool_use.id: String should match pattern '^[a-zA-Z0-9_-]+$'",
    ),
    "a call without result": (
        [user("hi"), assistant(call("t1")), user("well?")],
        (
            "messages.1: `tool_use` ids were found without `tool_result` blocks immediately after: t1. "
            "Each `tool_use` block must have a corresponding `tool_result` block in the next message."
        ),
    ),
    "a call at the end": ([user("hi"), assistant(call("t1"))], "messages.1: `tool_use` ids were found without"),
    "one of two results": (
        [user("hi"), assistant(call("t1"), call("t2")), user(result("t1"))],
        "messages.1: `tool_use` ids were found without `tool_result` blocks immediately after: t2.",
    ),
    "a result behind text": (
        [user("hi"), assistant(call("t1")), user("first this", result("t1"))],
        "messages.1: `tool_use` ids were found without `tool_result` blocks immediately after: t1.",
    ),
    "a late result": (
        [user("hi"), assistant(call("t1")), user(result("t1")), assistant("so"), user(result("t1"))],
        "messages.4.content.0: unexpected `tool_use_id` found in `tool_result` blocks: t1. Each `tool_result` block must",
    ),
    "a result of nothing": ([user(result("t1"))], "messages.0.content.0: unexpected `tool_use_id` found"),
    "two results": (
        [user("hi"), assistant(call("t1")), user(result("t1"), result("t1"))],
        "messages.2.content.1: each tool_use must have a single result. Found multiple `tool_result` blocks with id: t1",
    ),
    "one id twice": (
        [user("hi"), assistant(call("t1")), user(result("t1")), assistant(call("t1")), user(result("t1"))],
        "messages.3.content.0: `tool_use` ids must be unique",
    ),
    "thinking without signature": (
        [user("hi"), assistant({"type": "thinking", "thinking": "hm"}, "so"), user("on")],
        "messages.1.content.0.thinking.signature: Field required",
    ),
    "changed thinking": (
        [user("hi"), assistant(thinking("hm", sign("other")), "so"), user("on")],
        "messages.1.content.0: Invalid `signature` in `thinking` block",
    ),
    "thinking by the user": ([user(thinking("hm"))], "messages.0.content.0: `thinking` blocks can only be in"),
    "thinking at the end": (
        [user("hi"), assistant(thinking("hm"))],
        "messages.1: The final block in an assistant message cannot be `thinking`.",
    ),
    "a prefill with a blank at its end": (
        [user("hi"), assistant("So ")],
        "messages: final assistant content cannot end with trailing whitespace",
    ),
}


@pytest.mark.parametrize(("messages", "words"), ILL_FORMED.values(), ids=ILL_FORMED.keys())
def test_an_ill_formed_history_is_refused_in_the_words_of_the_api(messages: list[Any], words: str) -> None:
    with pytest.raises(ApiError) as refusal:
        check(*messages)
    assert refusal.value.status == 400
    assert refusal.value.message.startswith(words)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"max_tokens": None}, "max_tokens: Input should be a valid integer"),
        ({"max_tokens": 0}, "max_tokens: Input should be greater than or equal to 1"),
        ({"model": ""}, "model: String should have at least 1 character"),
        ({"stream": "yes"}, "stream: Input should be a valid boolean"),
        ({"tools": [{"name": "a b"}]}, "tools.0.name: String should match pattern"),
        ({"tools": [{"name": "a"}, {"name": "a"}]}, "tools: Tool names must be unique."),
        ({"system": [text("")]}, "system.0: text content blocks must be non-empty"),
        (
            {"thinking": {"type": "enabled", "budget_tokens": 100}},
            "thinking.budget_tokens: Input should be greater than",
        ),
        (
            {"thinking": {"type": "enabled", "budget_tokens": 2000}},
            "`max_tokens` must be greater than `thinking.budget_",
        ),
    ],
)
def test_other_fields_are_checked_too(fields: dict[str, Any], words: str) -> None:
    with pytest.raises(ApiError) as refusal:
        check(user("hi"), **fields)
    assert refusal.value.message.startswith(words)


@pytest.mark.parametrize("missing", ["model", "max_tokens", "messages"])
def test_a_missing_field_is_named(missing: str) -> None:
    body = {"model": "claude-x", "max_tokens": 10, "messages": [user("hi")]}
    del body[missing]
    with pytest.raises(ApiError) as refusal:
        shaped(MessagesRequest, body)
    assert refusal.value.message == f"{missing}: Field required"


def test_counting_needs_no_max_tokens() -> None:
    shaped(CountRequest, {"model": "claude-x", "messages": [user("hi")]})
