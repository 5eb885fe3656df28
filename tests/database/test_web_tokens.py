"""Tokens of people: made by the operator, shown once, kept as a hash, and good for no longer than they should be."""

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from fastapi import FastAPI
from httpx import AsyncClient
from psycopg import OperationalError

from assistant import people, person_links
from gateways import api_tokens
from gateways.scopes import OF_PEOPLE, SCOPES
from gateways.web import guard
from jobs_core import Connection, Database, Jobs, execute, fetch
from tests.support.people import EVE, contact, owner, set_role
from tests.support.web import asked, calling, door, error_of, serving

TOKENS = "/api/tokens"


@pytest.fixture
def served(jobs: Jobs) -> FastAPI:
    return door(jobs, chat_wait_s=0.0)


async def make(served: FastAPI, **wanted: Any) -> tuple[str, dict[str, Any]]:
    """A token's text, and what is told of it."""
    async with calling(served) as client:
        made = await client.post(TOKENS, json={"name": "t", **wanted})
        assert made.status_code == 201, made.text
        return made.json()["token"], made.json()["about"]


async def status(served: FastAPI, token: str, path: str = "/api/me") -> int:
    return (await asked(served, "GET", path, token=token)).status


async def whose(served: FastAPI, token: str) -> str | None:
    """Whom a token is good for; None: nobody."""
    answer = await asked(served, "GET", "/api/me", token=token)
    return json.loads(answer.body)["user"]["id"] if answer.status == 200 else None


async def test_a_token_is_shown_once_and_kept_as_its_hash(served: FastAPI, conn: Connection) -> None:
    token, about = await make(served, expires_in_s=3600)
    assert len(token.removeprefix("jobs_")) == 43
    assert about["scopes"] == list(SCOPES)
    (row,) = await fetch(conn, "SELECT * FROM jobs.api_tokens")
    assert row["hash"] == hashlib.sha256(token.encode()).digest()
    assert token.removeprefix("jobs_") not in str(row)
    async with calling(served) as client:
        listed = await client.get(TOKENS)
        assert listed.json() == {"tokens": [about]}
        assert token not in listed.text
    assert len({(await make(served))[0] for _ in range(20)}) == 20


async def test_who_has_a_token_is_told_as_whom_they_are_known(served: FastAPI, database: Database) -> None:
    ada, eve = await owner(database), await contact(database, EVE, name="Eve")
    token, _ = await make(served, user_id=eve.id, scopes=["chats:read", "usage:read"])
    async with calling(served, token=token) as client:
        me = (await client.get("/api/me")).json()
        assert (me["user"]["id"], me["operator"], me["scopes"]) == (eve.id, False, ["chats:read", "usage:read"])
    async with calling(served) as client:
        me = (await client.get("/api/me")).json()
        assert (me["user"]["id"], me["operator"], me["scopes"]) == (ada.id, True, list(SCOPES))


async def test_a_front_end_names_its_people_by_addresses_of_its_own(served: FastAPI) -> None:
    _, first = await make(served, address="eve@example.com", person_name="Eve")
    _, again = await make(served, address="eve@example.com")
    assert first["user_id"] == again["user_id"]
    assert first["scopes"] == list(OF_PEOPLE)
    async with calling(served) as client:
        (eve,) = (await client.get("/api/users", params={"role": "external"})).json()["users"]
        assert (eve["id"], eve["name"]) == (first["user_id"], "Eve")
        refused = await client.post(TOKENS, json={"name": "t", "address": "token"})
        assert error_of(refused, 422)["field"] == "address"  # whoever holds the operator's token is not to be had so


async def test_a_token_of_an_address_is_good_for_nobody_once_that_is_unlinked(
    served: FastAPI, database: Database
) -> None:
    ada, where = await owner(database), ("web", "eve@example.com")
    before, _ = await make(served, address=where[1])
    async with database.transaction() as own:
        await person_links.link(own, *where, ada.id)
    after, _ = await make(served, address=where[1])
    hers, _ = await make(served, user_id=ada.id)
    assert [await whose(served, token) for token in (before, after, hers)] == [ada.id] * 3  # the two are one person
    async with database.transaction() as own:
        await person_links.unlink(own, *where)
    anew, about = await make(served, address=where[1])
    assert [await whose(served, token) for token in (before, after)] == [None, None]
    assert [await whose(served, token) for token in (anew, hers)] == [about["user_id"], ada.id]


NOT_MADE: tuple[tuple[dict[str, Any], int, str], ...] = (
    ({"scopes": []}, 422, "scopes"),
    ({"scopes": ["root"]}, 422, "scopes.0"),
    ({"user_id": "u_nobody"}, 404, "user_id"),
    ({"user_id": "u_a", "address": "a"}, 422, "address"),
    ({"address": "a", "scopes": ["jobs:write"]}, 422, "scopes"),
    ({"person_name": "Eve"}, 422, "person_name"),
    ({"expires_in_s": 0}, 422, "expires_in_s"),
    ({"expires_in_s": 1e12}, 422, "expires_in_s"),
    ({"name": "a\nb"}, 422, "name"),
    ({"hash": "x"}, 422, "hash"),
    ({"operator": True}, 422, "operator"),
)


async def test_no_token_is_made_that_would_be_more_or_nothing(served: FastAPI, conn: Connection) -> None:
    async with calling(served) as client:
        for wanted, code, field in NOT_MADE:
            assert error_of(await client.post(TOKENS, json={"name": "t", **wanted}), code)["field"] == field, wanted
    assert await fetch(conn, "SELECT FROM jobs.api_tokens") == []


async def test_a_token_ends_when_it_is_revoked_when_its_time_is_over_and_when_its_person_is_blocked(
    served: FastAPI, database: Database, conn: Connection
) -> None:
    eve = await contact(database, EVE)
    token, about = await make(served, user_id=eve.id)
    other, _ = await make(served, user_id=eve.id, expires_in_s=3600)
    async with calling(served, token=token) as client:
        assert (await client.get("/api/me")).status_code == 200
        revoked = (await client.delete(f"{TOKENS}/{about['id']}")).json()
        assert revoked["revoked_at"]
        assert error_of(await client.get("/api/me"), 401)["code"] == "no_token"
    async with calling(served) as client:
        assert (await client.delete(f"{TOKENS}/{about['id']}")).json() == revoked  # once more changes nothing
        assert error_of(await client.delete(f"{TOKENS}/999"), 404)["code"] == "no_such_token"
    for admission, expected in (("blocked", 401), ("denied", 401), ("allowed", 200), ("held", 200)):
        await execute(
            conn, "UPDATE jobs.users SET admission = %(to)s WHERE id = %(id)s", {"to": admission, "id": eve.id}
        )
        assert await status(served, other) == expected, admission
    await execute(conn, "UPDATE jobs.api_tokens SET expires_at = clock_timestamp()")
    assert await status(served, other) == 401


async def test_a_token_has_the_rights_that_its_person_has_now(served: FastAPI, database: Database) -> None:
    ada, eve = await owner(database), await contact(database, EVE)
    await set_role(database, eve, "owner")
    token, _ = await make(served, user_id=eve.id)
    assert await status(served, token, "/api/jobs") == 200
    await set_role(database, eve, "external")
    assert await status(served, token, "/api/jobs") == 403
    async with database.transaction() as own:
        await people.lock(own)
        await people.merge(own, eve, ada)
    assert await status(served, token, "/api/jobs") == 200
    async with calling(served, token=token) as client:
        assert (await client.get("/api/me")).json()["user"]["id"] == ada.id


async def test_its_use_is_noted_once_a_minute(served: FastAPI, conn: Connection) -> None:
    token, _ = await make(served)
    noted = []
    for ago_s in (0, 59, 61):
        await execute(
            conn,
            "UPDATE jobs.api_tokens SET used_at = used_at - make_interval(secs => %(ago_s)s)",
            {"ago_s": ago_s},
        )
        (before,) = await fetch(conn, "SELECT used_at FROM jobs.api_tokens")
        await asyncio.gather(*(status(served, token) for _ in range(5)))
        (after,) = await fetch(conn, "SELECT used_at FROM jobs.api_tokens")
        noted.append(before != after)
    assert noted == [True, False, True]


async def test_no_token_makes_another(served: FastAPI) -> None:
    token, _ = await make(served)
    async with calling(served, token=token) as client:
        assert error_of(await client.post(TOKENS, json={"name": "t"}), 403)["code"] == "operators_only"


async def test_a_stream_ends_when_its_token_does(jobs: Jobs, conn: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guard, "LOOK_AGAIN_S", 0.0)
    for module in ("inbox", "live"):
        monkeypatch.setattr(f"gateways.web.{module}.HEARTBEAT_S", 0.05)
    async with serving(jobs) as (_, url), calling(door(jobs, chat_wait_s=0.0)) as client:
        chat = (await client.post("/api/chat", json={"message": "m"})).json()["session_id"]
        for path in ("/api/notifications/events", f"/api/chat/{chat}/events"):
            token = (await client.post(TOKENS, json={"name": "t"})).json()["token"]
            outside = AsyncClient(base_url=url, headers={"Authorization": f"Bearer {token}"}, timeout=30)
            async with outside, outside.stream("GET", path) as response:
                lines = response.aiter_lines()
                while (await anext(lines)) != ": nothing new":
                    pass
                await execute(conn, "UPDATE jobs.api_tokens SET revoked_at = clock_timestamp()")
                async with asyncio.timeout(20):
                    assert [line async for line in lines if line.startswith("data")] == []


async def test_what_was_begun_with_a_token_is_not_read_to_its_end_once_the_token_is_good_for_nothing(
    served: FastAPI, conn: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guard, "LOOK_AGAIN_S", 0.0)
    form = b'--a\r\nContent-Disposition: form-data; name="message"\r\n\r\nm\r\n--a--\r\n'
    for kind, body in (("application/json", b'{"message": "m"}'), ("multipart/form-data; boundary=a", form)):
        for ends in (False, True):
            token, _ = await make(served)

            async def slowly(body: bytes = body, *, ends: bool = ends) -> AsyncIterator[bytes]:
                yield body  # all of it, but the word that it is over
                if ends:
                    await execute(conn, "UPDATE jobs.api_tokens SET revoked_at = clock_timestamp()")

            async with calling(served, token=token) as client:
                answer = await client.post("/api/chat", content=slowly(), headers={"Content-Type": kind})
            assert answer.status_code == (401 if ends else 202), answer.text
    assert len(await fetch(conn, "SELECT FROM jobs.chat_message_history")) == 2


async def test_while_the_database_is_away_a_persons_token_is_neither_right_nor_wrong(
    served: FastAPI, monkeypatch: pytest.MonkeyPatch
) -> None:
    token, _ = await make(served)

    async def away(*_: Any) -> None:
        raise OperationalError

    monkeypatch.setattr(api_tokens, "find", away)
    answer = await asked(served, "GET", "/api/me", token=token)
    assert (answer.status, answer.code) == (503, "database_away")
