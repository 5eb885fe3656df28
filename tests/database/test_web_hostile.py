"""What strangers and broken programs send: a typed error each time, nothing stuck, nothing written."""

import json
from typing import Any

import pytest
from fastapi import FastAPI
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateways.web import chat
from gateways.web.body import MAX_BODY_BYTES
from jobs_core import Connection, Jobs, fetch
from tests.support.web import calling, door, error_of

POSTS = ("/api/chat", "/api/jobs")
DEEP = b"[" * 100_000 + b"]" * 100_000


@pytest.mark.parametrize("path", POSTS)
@pytest.mark.parametrize(
    ("body", "refused"),
    [
        (b"", (400, "body")),
        (b"{", (400, "body")),
        (b"[]", (400, "body")),
        (b"null", (400, "body")),
        (b"NaN", (400, "body")),
        (b"\xff\xfe\x00", (400, "body")),
        (b'{"message": "\xff"}', (400, "body")),
        (DEEP, (400, "body")),
        (b'{"message": ' + b"[" * 70 + b"]" * 70 + b"}", (400, "body")),
        (b'{"message": 1' + b"0" * 5_000 + b"}", (400, "body")),
        (b'{"message": NaN}', (422, "message")),
        (b'{"message": 1e400}', (422, "message")),
        (b'{"message": "a\\u0000b"}', (422, "message")),
        (b'{"message": "\\ud800"}', (422, "message")),
        (b'{"message": ["fine", "\\ud800"]}', (422, "message.1")),
    ],
    ids=lambda value: repr(value)[:24],
)
async def test_a_body_that_is_no_good_is_refused_by_its_place(
    jobs: Jobs, conn: Connection, path: str, body: bytes, refused: tuple[int, str]
) -> None:
    status, field = refused
    async with calling(door(jobs)) as client:
        assert error_of(await client.post(path, content=body), status)["field"] == field
    assert await fetch(conn, "SELECT FROM jobs.jobs") == await fetch(conn, "SELECT FROM jobs.chat_sessions") == []


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "message"),
        ({"message": ""}, "message"),
        ({"message": []}, "message"),
        ({"message": [{"type": "image", "source": {}}]}, "message.0"),
        ({"message": "x" * (256 * 1024 + 1)}, "message"),
        ({"message": "x", "session_id": 7}, "session_id"),
        ({"message": "x", "session_id": "s" * 201}, "session_id"),
        ({"message": "x", "role": "owner"}, "role"),
        ({"message": "x", "channel": "telegram"}, "channel"),
    ],
    ids=lambda value: repr(value)[:40],
)
async def test_what_cannot_be_said_is_refused_by_its_field(
    jobs: Jobs, conn: Connection, body: dict[str, Any], field: str
) -> None:
    async with calling(door(jobs)) as client:
        error = error_of(await client.post("/api/chat", json=body), 422)
    assert error["field"].startswith(field)
    assert await fetch(conn, "SELECT FROM jobs.chat_sessions") == []


@pytest.mark.parametrize("path", POSTS)
async def test_a_body_that_is_too_long_is_refused_before_it_is_parsed(
    jobs: Jobs, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    most = chat.MAX_BODY_BYTES if path == "/api/chat" else MAX_BODY_BYTES
    parsed = list[int]()
    monkeypatch.setattr("jobs_core.gate.from_json", lambda text, **_: parsed.append(len(text)))

    async def endless() -> Any:
        for _ in range(most // 65_536 + 32):
            yield b"x" * 65_536

    async with calling(door(jobs)) as client:
        assert error_of(await client.post(path, content=b"x" * (most + 1)), 413)["code"] == "too_long"
        assert error_of(await client.post(path, content=endless()), 413)["code"] == "too_long"
    assert parsed == []


async def test_a_chat_id_of_any_text_is_only_an_id(jobs: Jobs) -> None:
    async with calling(door(jobs)) as client:
        for chat in ("%00", "%ED%A0%80", "x" * 201, "..%2f..%2fetc", "'%20OR%201=1--", "%E2%80%AE"):
            response = await client.get(f"/api/chat/{chat}/messages")
            assert response.status_code in {404, 422}, chat
            assert response.json()["error"]["message"]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(codec=None)),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)
FIELDS = st.sampled_from(
    [
        "message",
        "session_id",
        "job_type",
        "input",
        "queue",
        "priority",
        "user_id",
        "scheduled_at",
        "scheduled_in_s",
        "x",
    ]
)


@pytest.fixture
def impatient(jobs: Jobs) -> FastAPI:
    """A door that waits for no answer; one for all examples, as it takes longer to make than they do."""
    return door(jobs, chat_wait_s=0.0)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(body=st.dictionaries(FIELDS, JSON | st.just("note"), max_size=5) | JSON, path=st.sampled_from(POSTS))
async def test_whatever_json_is_sent_is_taken_or_refused_with_a_reason(
    impatient: FastAPI, body: Any, path: str
) -> None:
    async with calling(impatient) as client:
        response = await client.post(path, content=json.dumps(body).encode())
        assert response.status_code in {201, 202, 400, 404, 422}
        if response.status_code >= 400:
            assert error_of(response, response.status_code)["message"]
