"""Chats by the web door: listed, named, stopped, reset, forked, and said with files."""

import base64
from typing import Any

from assistant import agents, stopping
from gateways.web import chat
from jobs_core import Connection, Database, Jobs, fetch
from tests.database.test_copied_chats import answer, answers, talk
from tests.database.test_stops import lines, say
from tests.support.people import EVE, contact
from tests.support.pictures import PNG
from tests.support.web import calling, door, error_of
from tests.unit.test_content import block

CHATS = "/api/chats"


def body_of(response: Any, status: int = 200) -> Any:
    assert response.status_code == status, response.text
    return response.json()


async def test_chats_are_listed_by_user_and_page_and_named(jobs: Jobs, conn: Connection) -> None:
    ids = [(await say(jobs, "hello", user_id=user)).session_id for user in ("ada", "bob", "ada")]
    async with calling(door(jobs)) as client:
        page = body_of(await client.get(CHATS, params={"user_id": "ada", "limit": 1}))["chats"]
        assert [(one["session_id"], one["user_id"], one["last_message"]) for one in page] == [(ids[2], "ada", "hello")]
        page = body_of(await client.get(CHATS, params={"user_id": "ada", "before": ids[2]}))["chats"]
        assert [one["session_id"] for one in page] == [ids[0]]
        named = body_of(await client.patch(f"{CHATS}/{ids[0]}", json={"title": " Taxes "}))
        assert (named["session_id"], named["title"]) == (ids[0], "Taxes")
        assert body_of(await client.patch(f"{CHATS}/{ids[0]}", json={"title": None}))["title"] is None


async def test_a_chat_is_stopped_and_reset(jobs: Jobs, conn: Connection) -> None:
    received = await say(jobs, "hello", user_id="ada")
    at = f"{CHATS}/{received.session_id}"
    async with calling(door(jobs)) as client:
        assert body_of(await client.post(f"{at}/stop")) == {
            "session_id": received.session_id,
            "turns": 1,
            "job_ids": [],
        }
        assert body_of(await client.post(f"{at}/stop"))["turns"] == 0
        assert body_of(await client.post(f"{at}/reset"))["turns"] == 0
        done = body_of(await client.post(f"{CHATS}/reset", json={"user_id": "ada"}))["chats"]
        assert [one["session_id"] for one in done] == [received.session_id]
    assert [text for _, text in await lines(conn, received.session_id)] == [
        "hello",
        stopping.STOPPED_BEFORE,
        stopping.ANEW,
        stopping.ANEW,
    ]


async def test_whoever_waits_for_an_answer_hears_of_the_stop(jobs: Jobs, conn: Connection) -> None:
    received = await say(jobs, "hello")
    await stopping.stop(jobs.database, jobs, received.session_id)
    async with calling(door(jobs)) as client:
        history = body_of(await client.get(f"/api/chat/{received.session_id}/messages"))["messages"]
    assert [(line["state"], line["content"]) for line in history] == [
        ("failed", "hello"),
        (None, stopping.STOPPED_BEFORE),
    ]


async def test_in_a_fork_of_an_outsiders_chat_they_can_be_spoken_for_and_nobody_else_says_anything(
    database: Database, jobs: Jobs, conn: Connection
) -> None:
    eve, bob = await contact(database, EVE), await contact(database, 7)
    session_id = (await say(jobs, "one", user_id=eve.id)).session_id
    await answer(conn, session_id, "one!")
    await conn.execute("UPDATE jobs.chat_sessions SET channel = 'telegram'")
    async with calling(door(jobs, chat_wait_s=0.0)) as client:
        new = body_of(await client.post(f"{CHATS}/{session_id}/fork"), 201)["session_id"]
        more: dict[str, Any] = {"session_id": new, "message": "and then?"}
        for wrong in (more, more | {"user_id": bob.id}):
            assert error_of(await client.post("/api/chat", json=wrong), 404)["code"] == "no_such_chat"
        for nobody, status in (("u_0000000000000000", 404), ("", 422)):
            refused = error_of(await client.post("/api/chat", json=more | {"user_id": nobody}), status)
            assert refused["field"] == "user_id"
        said = body_of(await client.post("/api/chat", json=more | {"user_id": eve.id}), 202)
        begun = body_of(await client.post("/api/chat", json={"message": "hello", "user_id": eve.id}), 202)
    assert (await lines(conn, new))[-1] == ("human", "and then?")
    assert said["session_id"] == new
    casts = [await agents.of_chat(conn, chat) for chat in (new, begun["session_id"])]
    assert [(cast.user.id, cast.user.role) for cast in casts] == [(eve.id, "external")] * 2
    (job,) = await fetch(conn, "SELECT user_id FROM jobs.jobs WHERE id = %(id)s", {"id": said["job_id"]})
    assert job["user_id"] == eve.id


async def test_a_chat_is_forked(jobs: Jobs, conn: Connection) -> None:
    session_id, _ = await talk(jobs, conn, "one", "two")
    first, second = await answers(conn, session_id)
    async with calling(door(jobs)) as client:
        at = f"{CHATS}/{session_id}/fork"
        new = body_of(await client.post(at, json={"message_id": first, "title": "Other"}), 201)["session_id"]
        assert await lines(conn, new) == [("human", "one"), ("ai", "one!")]
        whole = body_of(await client.post(at), 201)["session_id"]
        assert len(await lines(conn, whole)) == 4
        assert error_of(await client.post(at, json={"message_id": second - 1}), 404)["code"] == "no_such_answer"
        await conn.execute("DELETE FROM jobs.transcript_entries")
        assert error_of(await client.post(at), 409)["code"] == "not_copied"


UNFIT: list[tuple[tuple[str, str], Any, tuple[int, str]]] = [
    (("PATCH", "web_unknown"), {"title": "x"}, (404, "session_id")),
    (("POST", "web_unknown/stop"), None, (404, "session_id")),
    (("POST", "web_unknown/reset"), None, (404, "session_id")),
    (("POST", "web_unknown/fork"), None, (404, "session_id")),
    (("GET", "?before=web_unknown"), None, (404, "session_id")),
    (("GET", "?limit=0"), None, (422, "limit")),
    (("GET", "?limit=101"), None, (422, "limit")),
    (("GET", "?user=ada"), None, (422, "user")),
    (("GET", "?user_id=%00"), None, (422, "user_id")),
    (("PATCH", "%00"), {"title": "x"}, (422, "session_id")),
    (("PATCH", "x" * 201), {"title": "x"}, (422, "session_id")),
    (("PATCH", "HERE"), {"title": "a\nb"}, (422, "title")),
    (("PATCH", "HERE"), {"title": ""}, (422, "title")),
    (("PATCH", "HERE"), {}, (422, "title")),
    (("PATCH", "HERE"), {"title": "x", "user_id": "eve"}, (422, "user_id")),
    (("POST", "HERE/fork"), {"message_id": 0}, (422, "message_id")),
    (("POST", "HERE/fork"), {"message_id": 2**63}, (422, "message_id")),
    (("POST", "HERE/fork"), {"title": "\u202e"}, (422, "title")),
    (("POST", "reset"), {}, (422, "user_id")),
    (("POST", "reset"), {"user_id": "\0"}, (422, "user_id")),
]


async def test_what_does_not_fit_is_refused_by_its_field(jobs: Jobs, conn: Connection) -> None:
    session_id = (await say(jobs, "hello")).session_id
    async with calling(door(jobs)) as client:
        for (method, path), body, (status, field) in UNFIT:
            at = f"{CHATS}{'' if path.startswith('?') else '/'}{path.replace('HERE', session_id)}"
            response = await client.request(method, at, json=body)
            assert error_of(response, status)["field"] == field, (method, path, body)
    assert await lines(conn, session_id) == [("human", "hello")]


async def test_a_message_with_files_is_taken_whole_or_not_at_all(jobs: Jobs, conn: Connection) -> None:
    big = block(PNG + bytes(3_000_000), "image/png")
    async with calling(door(jobs, chat_wait_s=0.0)) as client:
        said = {"message": ["Look:", big, big]}
        assert len(base64.b64encode(PNG + bytes(3_000_000))) * 2 < chat.MAX_BODY_BYTES
        session_id = body_of(await client.post("/api/chat", json=said), 202)["session_id"]
        refused = error_of(await client.post("/api/chat", json={"message": [big, big, big]}), 413)
        assert refused["code"] == "too_long"
        elf = block(b"\x7fELF", "image/png")
        error = error_of(await client.post("/api/chat", json={"session_id": session_id, "message": [elf]}), 422)
        assert error["field"] == "message.0"
        (line,) = body_of(await client.get(f"/api/chat/{session_id}/messages"))["messages"]
    assert [file["bytes"] for file in line["files"]] == [len(PNG) + 3_000_000] * 2
    assert len(await fetch(conn, "SELECT FROM jobs.chat_files")) == 2
