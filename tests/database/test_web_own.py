"""What somebody who is no owner does by the web with a token of their own: all that they could by Telegram."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from httpx import AsyncClient

from assistant.notifications import notify
from gateways.web import inbox_feed
from gateways.web.at_once import AtOnce
from gateways.web.body import MAX_BODY_BYTES
from gateways.web.caller import Caller
from gateways.web.inbox_feed import Inbox
from jobs_core import Connection, Database, execute, fetch
from tests.support.approvals import Bench, bench_on
from tests.support.web import TOKEN, asked, calling, error_of
from tests.support.web_people import Cast, cast_on


@pytest.fixture
async def bench(database: Database, conn: Connection) -> AsyncIterator[Bench]:
    async with bench_on(database, conn) as made:
        yield made


@pytest.fixture
async def cast(bench: Bench) -> Cast:
    return await cast_on(bench)


@pytest.fixture
async def eve(cast: Cast) -> AsyncIterator[AsyncClient]:
    """Eve, who comes by the web."""
    async with calling(cast.served, token=await cast.token(cast.eve)) as client:
        yield client


async def test_a_chat_is_begun_named_spoken_in_read_and_closed(cast: Cast, eve: AsyncClient) -> None:
    begun = await eve.post("/api/chats", json={"title": " Taxes "})
    chat = begun.json()["session_id"]
    assert (begun.status_code, begun.json()["title"], begun.json()["user_id"]) == (201, "Taxes", cast.eve.id)
    for word in ("one", "two", "three"):
        assert (await eve.post("/api/chat", json={"session_id": chat, "message": word})).status_code == 202
    newest = (await eve.get(f"/api/chat/{chat}/messages", params={"limit": 2})).json()
    assert [line["content"] for line in newest["messages"]] == ["two", "three"]
    before = {"limit": 2, "before_id": newest["before_id"]}
    oldest = (await eve.get(f"/api/chat/{chat}/messages", params=before)).json()
    assert ([line["content"] for line in oldest["messages"]], oldest["before_id"]) == (["one"], None)
    assert {one["session_id"] for one in (await eve.get("/api/chats")).json()["chats"]} == {
        chat,
        cast.ids["session_id"],
    }

    closed = (await eve.post(f"/api/chats/{chat}/close")).json()
    assert (closed["session_id"], closed["turns"]) == (chat, 1)
    assert (await eve.get(f"/api/chats/{chat}")).json()["is_active"] is False
    refused = error_of(await eve.post("/api/chat", json={"session_id": chat, "message": "x"}), 409)
    assert refused["code"] == "chat_closed"
    assert (await eve.get(f"/api/chat/{chat}/messages")).json()["messages"][-1]["type"] == "system"
    assert (await eve.post(f"/api/chats/{chat}/close")).json()["turns"] == 0


async def test_who_answers_and_for_whom_is_for_owners_to_say(cast: Cast, eve: AsyncClient) -> None:
    for body in ({"agent": "assistant"}, {"user_id": cast.ada.id}):
        error_of(await eve.post("/api/chats", json=body), 403)
    error_of(await eve.post("/api/chat", json={"message": "x", "user_id": cast.ada.id}), 403)
    error_of(await eve.post("/api/chat", data={"message": "x", "user_id": cast.ada.id}, files=[("file", b"x")]), 403)
    async with calling(cast.served, token=await cast.token(cast.ada)) as ada:
        await ada.put("/api/agents/clerk", json={})
        begun = await ada.post("/api/chats", json={"agent": "clerk", "user_id": cast.eve.id})
        assert (begun.json()["agent_name"], begun.json()["user_id"]) == ("clerk", cast.eve.id)
        assert error_of(await ada.post("/api/chats", json={"agent": "none"}), 404)["code"] == "no_such_agent"
        assert error_of(await ada.post("/api/chats", json={"user_id": "u_no"}), 404)["code"] == "no_such_user"
        mine = (await ada.post("/api/chat", json={"message": "x"}, params={"wait_s": 0})).json()["session_id"]
        assert (await ada.get(f"/api/chats/{mine}")).json()["user_id"] == cast.ada.id


async def test_nobody_but_owners_has_many_messages_with_files_at_once_at_a_door(cast: Cast, eve: AsyncClient) -> None:
    cast.served.state.forms = AtOnce(1, "too_many_forms", "forms")
    sent: dict[str, Any] = {"data": {"message": "x"}, "files": [("file", b"x")]}
    reading = cast.served.state.forms
    with reading.one_of(Caller(cast.eve.id, is_owner=False, token_id=1)):
        assert error_of(await eve.post("/api/chat", **sent), 503)["code"] == "too_many_forms"
        async with calling(cast.served, token=await cast.token(cast.mallory)) as mallory:
            assert (await mallory.post("/api/chat", **sent)).status_code == 202
        large = {"message": "x" * (MAX_BODY_BYTES + 1)}
        assert error_of(await eve.post("/api/chat", json=large), 503)["code"] == "too_many_forms"
        assert (await eve.post("/api/chat", json={"message": "x"})).status_code == 202
    assert (await eve.post("/api/chat", **sent)).status_code == 202
    assert error_of(await eve.post("/api/chat", json=large), 422)["field"] == "message"
    with reading.one_of(Caller()), reading.one_of(Caller()):
        async with calling(cast.served) as operator:
            assert (await operator.post("/api/chat", **sent)).status_code == 202


@pytest.mark.parametrize("path", ["/api/notifications/events", "/api/chat/{session_id}/events"])
async def test_nobody_but_owners_has_many_of_a_doors_streams(cast: Cast, path: str) -> None:
    cast.served.state.watching = AtOnce(1, "too_many_streams", "streams")
    path, token = cast.path(path), await cast.token(cast.eve)
    with cast.served.state.watching.one_of(Caller(cast.eve.id, is_owner=False, token_id=1)):
        assert (await asked(cast.served, "GET", path, token=token)).code == "too_many_streams"
        for owners in (await cast.token(cast.ada), TOKEN):
            assert (await asked(cast.served, "GET", path, token=owners)).status == 200
    for _ in range(3):  # each has left its place to the next
        assert (await asked(cast.served, "GET", path, token=token)).status == 200


async def test_a_page_is_asked_for_behind_a_chat_of_ones_own(cast: Cast, eve: AsyncClient) -> None:
    behind = {"before": cast.ids["session_id"]}
    assert (await eve.get("/api/chats", params=behind)).json() == {"chats": []}
    async with calling(cast.served, token=await cast.token(cast.mallory)) as mallory:
        assert error_of(await mallory.get("/api/chats", params=behind), 404)["code"] == "no_such_chat"


async def test_a_chat_of_telegram_is_not_closed_here(cast: Cast, eve: AsyncClient, conn: Connection) -> None:
    await execute(conn, "UPDATE jobs.chat_sessions SET channel = 'telegram'")
    path = f"/api/chats/{cast.ids['session_id']}"
    assert error_of(await eve.post(f"{path}/close"), 409)["code"] == "not_of_the_web"
    assert (await eve.get(path)).json()["is_active"] is True


async def test_a_person_decides_as_who_they_are_about_what_they_may(
    cast: Cast, eve: AsyncClient, conn: Connection
) -> None:
    (action,) = (await eve.get("/api/approvals")).json()["approvals"]
    assert action["id"] == cast.ids["action_id"]
    decision, path = {"decision": "reject", "digest": action["digest"]}, f"/api/approvals/{action['id']}/decision"
    spoofed = error_of(await eve.post(path, json=decision | {"decided_by": "ada"}), 403)
    assert (spoofed["code"], spoofed["field"]) == ("not_yours", "decided_by")
    for_good = await eve.post(path, json=decision | {"decision": "approve", "always": True})
    assert error_of(for_good, 403)["code"] == "owners_only"
    assert (await eve.post(path, json=decision)).json()["decided_by"] == cast.eve.id
    await execute(conn, "UPDATE jobs.pending_actions SET may_decide = '{role:owner}', state = 'unknown'")
    assert (await eve.get("/api/approvals", params={"state": "all"})).json() == {"approvals": []}
    assert error_of(await eve.post(path, json=decision | {"decision": "ran"}), 404)["code"] == "no_such_action"
    assert await fetch(conn, "SELECT state FROM jobs.pending_actions") == [{"state": "unknown"}]


async def test_watchers_are_told_what_is_theirs(
    cast: Cast, database: Database, conn: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inbox_feed, "LOOK_S", 0.02)
    inbox = Inbox(database)
    hers, his = await inbox.listen(cast.eve.id), await inbox.listen(None)
    for title, user_id in (("for eve", cast.eve.id), ("for the owner", None), ("the last", cast.eve.id)):
        await notify(conn, user_id=user_id, title=title, body="b", category="c")
    told = b""
    while b"the last" not in told:
        told += await hers.next(30) or b""
    assert b"for eve" in told
    assert b"for the owner" not in told
    owners = await his.next(30) or b""
    assert b"for the owner" in owners
    assert b"for eve" not in owners
    missed = b"".join([chunk async for chunk in inbox.missed(await inbox.listen(cast.eve.id), 0)])
    assert (b"for eve" in missed, b"for the owner" in missed) == (True, False)
    inbox.close()
