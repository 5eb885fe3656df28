"""Keys through the web door: a POST that is sent again is done once, and says so."""

import asyncio
from typing import Any

import pytest
from httpx import AsyncClient, Response

from gateways.web import replies
from jobs_core import Connection, Database, Jobs, fetch
from tests.database.conftest import ClaimAll
from tests.support.web import StandInWorker, calling, door, error_of

CHAT, JOBS = "/api/chat", "/api/jobs"
KEY = "8e03978e-40d5-43dd-bc93-6894a57f9324"


def keyed(key: str = KEY) -> dict[str, str]:
    return {"Idempotency-Key": key}


def met(first: dict[str, Any]) -> dict[str, Any]:
    """The answer to a create that repeats the first one."""
    return {"job_id": first["job_id"], "met": True, "merged": False, "due_at": None}


async def create(client: AsyncClient, key: str | None = None, **changes: Any) -> Response:
    body = {"job_type": "note", "input": {"text": "x"}, **changes}
    return await client.post(JOBS, json=body, headers=keyed(key) if key else {})


async def test_a_job_that_is_posted_again_is_met(jobs: Jobs, conn: Connection) -> None:
    async with calling(door(jobs)) as client:
        first, second = await create(client, KEY), await create(client, KEY)
        assert (first.status_code, first.json()["met"]) == (201, False)
        assert (second.status_code, second.json()) == (200, met(first.json()))
        assert (await create(client)).json()["met"] is False
        reused = error_of(await create(client, KEY, input={"text": "y"}), 422)
    assert (reused["code"], reused["field"]) == ("key_reused", "idempotency_key")
    assert len(await fetch(conn, "SELECT FROM jobs.jobs")) == 2


async def test_a_job_is_met_by_its_unique_key_for_as_long_as_the_body_says(jobs: Jobs, claim_all: ClaimAll) -> None:
    async with calling(door(jobs)) as client:
        poke = {"unique_key": "k", "unique_while": "unstarted"}
        first = (await create(client, **poke)).json()
        assert (await create(client, **poke)).json() == met(first)
        await claim_all()
        assert (await create(client, **poke)).status_code == 201
        for body in ({"unique_key": ""}, {"unique_key": "k" * 201}, {"unique_while": "unstarted"}):
            assert error_of(await create(client, **body), 422)["field"] == next(iter(body))
        assert error_of(await create(client, unique_key="k", unique_while="x"), 422)["field"] == "unique_while"


@pytest.mark.parametrize("path", [CHAT, JOBS])
@pytest.mark.parametrize(
    "key",
    ["", '""', "k" * 201, 'a"b', '"a', "a\\b", b"\xff", b"caf\xc3\xa9", b"a\x01b"],
    ids=lambda key: repr(key)[:12],
)
async def test_a_key_that_does_not_fit_is_refused_by_the_headers_name(
    jobs: Jobs, conn: Connection, path: str, key: str | bytes
) -> None:
    body = {"message": "hello"} if path == CHAT else {"job_type": "note"}
    async with calling(door(jobs)) as client:
        headers = [(b"Idempotency-Key", key if isinstance(key, bytes) else key.encode())]
        assert error_of(await client.post(path, json=body, headers=headers), 422)["field"] == "Idempotency-Key"
        twice = [("Idempotency-Key", KEY), ("Idempotency-Key", KEY)]
        assert error_of(await client.post(path, json=body, headers=twice), 422)["field"] == "Idempotency-Key"
    assert await fetch(conn, "SELECT FROM jobs.jobs") == []


async def test_a_quoted_key_is_its_text(jobs: Jobs) -> None:
    async with calling(door(jobs)) as client:
        first = (await create(client, "a key")).json()
        assert (await create(client, '"a key"')).json() == met(first)
        assert (await create(client, r'"a \"key\""')).status_code == 201


async def test_a_message_posted_again_while_it_is_answered_waits_for_the_same_reply(
    jobs: Jobs, conn: Connection, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = list[int]()
    look = replies.replies_to

    async def counting(conn: Connection, ids: list[int]) -> Any:
        asked.append(len(ids))
        return await look(conn, ids)

    monkeypatch.setattr(replies, "replies_to", counting)
    worker = await StandInWorker.registered(database)
    served = door(jobs)
    async with calling(served) as client:
        posts = [asyncio.create_task(client.post(CHAT, json={"message": "hello"}, headers=keyed())) for _ in range(5)]
        async with asyncio.timeout(30):
            while len(served.state.replies._waiting) < 5:
                await asyncio.sleep(0.01)
        assert await worker.work("Hi.")
        told = [(await post).json() for post in posts]
        assert told[0]["response"] == "Hi."
        assert told == [told[0]] * 5
        assert (await client.post(CHAT, json={"message": "hello"}, headers=keyed())).json() == told[0]
        reused = error_of(await client.post(CHAT, json={"message": "bye"}, headers=keyed()), 422)
    assert (reused["code"], reused["field"]) == ("key_reused", "idempotency_key")
    assert set(asked) == {1}, "one look asks once for a message that many wait for"
    assert not await worker.work("A second answer.")
    said = await fetch(conn, "SELECT type FROM jobs.chat_message_history ORDER BY id")
    assert [line["type"] for line in said] == ["human", "ai"]


async def test_a_repeat_that_one_waiter_has_left_is_answered_to_the_other(
    jobs: Jobs, database: Database, conn: Connection
) -> None:
    """As when a client's first request is cut off, and its second is under way already."""
    worker = await StandInWorker.registered(database)
    served = door(jobs)
    async with calling(served) as client:
        first, second = (
            asyncio.create_task(client.post(CHAT, json={"message": "hello"}, headers=keyed())) for _ in range(2)
        )
        async with asyncio.timeout(30):
            while len(served.state.replies._waiting) < 2:
                await asyncio.sleep(0.01)
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)
        assert await worker.work("Hi.")
        assert (await second).json()["response"] == "Hi."


async def test_a_debounced_job_is_told_with_its_time_and_repeats_put_nothing_off(jobs: Jobs, conn: Connection) -> None:
    spans = {"unique_key": "k", "debounce_s": 60.5, "debounce_at_most_s": 3600}
    async with calling(door(jobs)) as client:
        first = await create(client, "one", **spans)
        second = await create(client, "two", **spans, input={"text": "y"})
        again = await create(client, "two", **spans, input={"text": "y"})
        shown = (await client.get(f"{JOBS}/{first.json()['job_id']}")).json()
        why = (await client.get(f"{JOBS}/{first.json()['job_id']}/explain")).json()["reasons"][0]
        refused = error_of(await create(client, **{**spans, "debounce_at_most_s": 1}), 422)
    assert [(one.status_code, one.json()["met"], one.json()["merged"]) for one in (first, second, again)] == [
        (201, False, False),
        (200, True, True),
        (200, True, False),
    ]
    assert first.json()["due_at"] < second.json()["due_at"]
    assert again.json()["due_at"] is None
    assert (shown["input"]["text"], shown["scheduled_for"]) == ("y", second.json()["due_at"])
    assert shown["debounce_until"] == why["about"]["at_the_latest"]
    assert refused["field"] == "debounce_at_most"
