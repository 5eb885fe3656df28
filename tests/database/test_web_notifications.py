"""Notifications through the web door: read, marked, followed over a real socket, and how their person is told."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from unittest.mock import AsyncMock

import httpx
import pytest
from psycopg import OperationalError

from assistant import people
from assistant.notifications import notify, place
from gateways.web import inbox, inbox_feed
from gateways.web.inbox_feed import Inbox
from jobs_core import Connection, Database, Jobs, fetch
from tests.support.people import contact
from tests.support.web import AUTHORIZED, calling, door, error_of, serving

EVENTS = "/api/notifications/events"
PREFERENCES = "/api/notifications/preferences"


async def tell(conn: Connection, title: str = "t", **given: Any) -> int:
    return await notify(conn, **{"user_id": None, "title": title, "body": "b", "category": "c", **given})


def titles(page: Any) -> list[str]:
    return [one["title"] for one in page.json()["notifications"]]


async def test_the_owner_reads_theirs_from_either_end(jobs: Jobs, conn: Connection) -> None:
    async with calling(door(jobs)) as client:
        empty = {"notifications": [], "unread": 0, "after": 0}
        assert (await client.get("/api/notifications")).json() == empty
        for n in range(5):
            await tell(conn, f"n{n}", user_id="ada" if n == 2 else None)
        newest = await client.get("/api/notifications", params={"limit": 2})
        assert (titles(newest), newest.json()["unread"]) == (["n4", "n3"], 4)
        oldest = newest.json()["notifications"][-1]["id"]
        assert titles(await client.get("/api/notifications", params={"before_id": oldest})) == ["n1", "n0"]
        page = await client.get("/api/notifications", params={"after": 0, "limit": 3})
        assert titles(page) == ["n0", "n1", "n3"]
        rest = await client.get("/api/notifications", params={"after": page.json()["after"]})
        assert titles(rest) == ["n4"]
        on = rest.json()["after"]
        assert on == newest.json()["after"]
        assert (await client.get("/api/notifications", params={"after": on})).json() == empty | {
            "unread": 4,
            "after": on,
        }
        assert titles(await client.get("/api/notifications", params={"user_id": "ada"})) == ["n2"]


async def test_the_owner_marks_theirs_and_nobody_elses(jobs: Jobs, conn: Connection) -> None:
    hers = await tell(conn, user_id="ada")
    ids = [await tell(conn, category=category) for category in ("a", "b", "a", "b")]
    async with calling(door(jobs)) as client:

        async def mark(**which: Any) -> Any:
            return (await client.post("/api/notifications/read", json=which)).json()

        assert error_of(await client.post(f"/api/notifications/{hers}/read"), 404)["field"] == "notification_id"
        for _ in range(2):
            assert (await client.post(f"/api/notifications/{ids[0]}/read")).json() == {"read": True}
        refused = error_of(await client.post("/api/notifications/read", json={"up_to_id": hers}), 404)
        assert (refused["code"], refused["field"]) == ("no_such_notification", "up_to_id")
        assert await mark(up_to_id=ids[2]) == {"read": 2}
        assert await mark(category="a") == {"read": 0}
        assert await mark(category="b") == {"read": 1}
        assert (await client.get("/api/notifications", params={"unread": True})).json()["notifications"] == []
    assert await fetch(conn, "SELECT id FROM jobs.notifications WHERE NOT read") == [{"id": hers}]


UNFIT: list[tuple[tuple[str, str, dict[str, Any]], int, str]] = [
    (("GET", "/api/notifications", {"params": {"before_id": 0}}), 422, "before_id"),
    (("GET", "/api/notifications", {"params": {"after": -1}}), 422, "after"),
    (("GET", "/api/notifications", {"params": {"after": 2**63}}), 422, "after"),
    (("GET", "/api/notifications", {"params": {"after": 1, "before_id": 7}}), 422, "after"),
    (("GET", "/api/notifications", {"params": {"user_id": "a\0"}}), 422, "user_id"),
    (("POST", "/api/notifications/7/read", {}), 404, "notification_id"),
    (("POST", "/api/notifications/read", {"json": {}}), 422, "up_to_id"),
    (("POST", "/api/notifications/read", {"json": {"up_to_id": 0}}), 422, "up_to_id"),
    (("POST", "/api/notifications/read", {"json": {"up_to_id": 7, "user_id": "ada"}}), 422, "user_id"),
    (("POST", "/api/notifications/read", {"json": {"category": "a\0"}}), 422, "category"),
    (("GET", EVENTS, {"headers": {"Last-Event-ID": "7.1"}}), 422, "Last-Event-ID"),
    (("GET", EVENTS, {"headers": {"Last-Event-ID": "9" * 19}}), 422, "Last-Event-ID"),
    (("GET", EVENTS, {"params": {"after": "soon"}}), 422, "after"),
    (("GET", PREFERENCES, {"params": {"user_id": "nobody"}}), 404, "user_id"),
    (("PUT", PREFERENCES, {"params": {"user_id": "nobody"}, "json": {}}), 404, "user_id"),
    (("PUT", PREFERENCES, {"json": {"zone": "Mars/Phobos"}}), 422, "zone"),
    (("PUT", PREFERENCES, {"json": {"quiet": {"from": "22:00", "to": "24:00"}}}), 422, "quiet.to"),
    (("PUT", PREFERENCES, {"json": {"quiet": {"start": "22:00", "to": "07:00\0"}}}), 422, "quiet.to"),
    (("PUT", PREFERENCES, {"json": {"categories": {"a\0": "muted"}}}), 422, "categories"),
    (("PUT", PREFERENCES, {"json": {"volume": 11}}), 422, "volume"),
    (("PUT", PREFERENCES, {"content": b"{"}), 400, "body"),
]


async def test_what_does_not_fit_is_refused_by_its_field(jobs: Jobs) -> None:
    async with calling(door(jobs)) as client:
        for (method, path, given), status, field in UNFIT:
            refused = error_of(await client.request(method, path, **given), status)
            assert refused["field"].startswith(field), (path, given, refused)


async def test_a_person_is_told_as_they_have_said(jobs: Jobs, database: Database, conn: Connection) -> None:
    said = {
        "zone": "Europe/Berlin",
        "telegram": {"on": True, "least": "warning", "accounts": {"work": False}},
        "categories": {"task.*": "muted"},
        "quiet": {"from": "22:00", "to": "07:00", "errors": False},
        "digest": {"every": "day", "at": "08:00", "below": "error"},
    }
    nothing = {
        "zone": "UTC",
        "telegram": {"on": True, "least": "info", "accounts": {}},
        "categories": {},
        "quiet": None,
        "digest": None,
    }
    ada = await contact(database, 7, name="Ada")
    async with calling(door(jobs)) as client:
        assert (await client.get(PREFERENCES)).json() == nothing
        assert (await client.put(PREFERENCES, json=said)).json() == said
        assert (await client.get(PREFERENCES)).json() == said
        hers = {"params": {"user_id": ada.id}}
        assert (await client.get(PREFERENCES, **hers)).json() == nothing
        assert (await client.put(PREFERENCES, json={"zone": "Asia/Tokyo"}, **hers)).json()["zone"] == "Asia/Tokyo"
        assert (await client.get(PREFERENCES)).json() == said
        assert (await client.put(PREFERENCES, json={})).json() == nothing
    assert len(await fetch(conn, "SELECT FROM jobs.notification_preferences")) == 2


@pytest.fixture
async def client(jobs: Jobs, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[httpx.AsyncClient]:
    """A caller over a socket, of a door that looks often."""
    monkeypatch.setattr(inbox_feed, "LOOK_S", 0.02)
    async with serving(jobs) as (_, url), httpx.AsyncClient(base_url=url, headers=AUTHORIZED, timeout=60) as one:
        yield one


Event = tuple[str, str, Any]


async def read(response: httpx.Response) -> AsyncIterator[Event]:
    """Id, kind and data of each event; a comment has none of them."""
    about: dict[str, str] = {}
    async for line in response.aiter_lines():
        name, _, value = line.partition(": ")
        about[name] = value
        if line.startswith(":"):
            yield "", "", None
        if not line:
            if "event" in about:
                yield about["id"], about["event"], json.loads(about["data"])
            about = {}


@asynccontextmanager
async def watching(client: httpx.AsyncClient, last: str | None = None) -> AsyncIterator[AsyncIterator[Event]]:
    headers = {"Last-Event-ID": last} if last else {}
    async with client.stream("GET", EVENTS, headers=headers) as response:
        assert response.status_code == 200, await response.aread()
        assert response.headers["content-type"].startswith("text/event-stream")
        yield read(response)


async def test_a_watcher_is_told_how_many_are_unread_and_then_of_each_that_comes(
    client: httpx.AsyncClient, conn: Connection
) -> None:
    await tell(conn, "before")
    async with watching(client) as events:
        assert (await anext(events))[1:] == ("unread", {"unread": 1})
        await tell(conn, "hers", user_id="ada")
        told = await tell(conn, "now\nand\u2028here")
        _, kind, data = await anext(events)
        assert (kind, data["id"], data["title"], data["read"]) == ("notification", told, "now\nand\u2028here", False)


async def test_a_watcher_that_is_cut_off_misses_nothing_and_gets_nothing_twice(
    client: httpx.AsyncClient, conn: Connection, other: Connection
) -> None:
    """Some are committed out of the order of their ids, and more come than one look reads."""
    got, last = list[str](), "0"

    async def write() -> None:
        for n in range(0, 60, 2):
            async with conn.transaction():
                await tell(conn, f"{n}")
                await tell(other, f"{n + 1}")

    writing = asyncio.create_task(write())
    while len(got) < 60:
        reads = 7
        async with watching(client, last) as events:
            while reads and len(got) < 60:
                last, kind, data = await anext(events)
                got += [data["title"]] if kind == "notification" else []
                reads -= 1
    await writing
    assert sorted(got, key=int) == [str(n) for n in range(60)]
    assert got != sorted(got, key=int)


async def test_many_that_were_missed_come_in_their_order(
    client: httpx.AsyncClient, conn: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inbox_feed, "MOST_AT_ONCE", 3)
    for n in range(10):
        await tell(conn, f"{n}", user_id="ada" if n == 5 else None)
    async with watching(client, "1") as events:
        got = [await anext(events) for _ in range(9)]
    assert [data.get("title", data) for _, _, data in got] == ["1", "2", "3", "4", "6", "7", "8", "9", {"unread": 9}]
    assert [int(id_) for id_, _, _ in got] == [2, 3, 4, 5, 7, 8, 9, 10, 10]


async def test_silence_is_broken_by_a_comment(client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inbox, "HEARTBEAT_S", 0.05)
    async with watching(client) as events:
        assert (await anext(events))[1] == "unread"
        assert (await anext(events))[1] == ""


async def test_a_watcher_waits_for_a_database_that_is_away(
    client: httpx.AsyncClient, conn: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with watching(client) as events:
        await anext(events)
        away = AsyncMock(side_effect=OperationalError("gone"))
        with monkeypatch.context() as gone:
            gone.setattr(inbox_feed, "place", away)
            await tell(conn, "late")
            while away.await_count < 2:
                await asyncio.sleep(0.01)
        assert (await anext(events))[2]["title"] == "late"


async def test_what_nobody_expected_ends_the_streams_and_the_next_begins_anew(
    database: Database, conn: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inbox_feed, "LOOK_S", 0.02)
    one = Inbox(database)
    listener = await one.listen()
    with monkeypatch.context() as broken:
        broken.setattr(inbox_feed, "place", AsyncMock(side_effect=ZeroDivisionError))
        assert await listener.next(30) is None
    one.leave(listener)
    again = await one.listen()
    await tell(conn, "again")
    chunk = await again.next(30)
    assert chunk
    assert b"again" in chunk
    one.close()


async def test_the_door_looks_once_for_all_and_not_at_all_for_nobody(
    database: Database, conn: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inbox_feed, "LOOK_S", 0.01)
    one = Inbox(database)
    listeners = [await one.listen() for _ in range(5)]
    looks = AsyncMock(side_effect=place)
    monkeypatch.setattr(inbox_feed, "place", looks)
    await tell(conn, "all")
    chunks = [await listener.next(30) for listener in listeners]
    assert len(set(chunks)) == 1
    assert looks.await_count <= 3
    for listener in listeners:
        one.leave(listener)
    assert one._looking
    async with asyncio.timeout(30):
        await one._looking


async def test_too_many_watchers_and_those_at_a_closing_door_are_refused(
    jobs: Jobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inbox_feed, "MOST_LISTENERS", 1)
    served = door(jobs)
    one = await served.state.inbox.listen()
    async with calling(served) as client:
        assert error_of(await client.get(EVENTS), 503)["code"] == "too_many_streams"
        served.state.inbox.leave(one)
        served.state.inbox.close()
        assert error_of(await client.get(EVENTS), 503)["code"] == "too_many_streams"


async def test_whoever_turns_out_to_be_the_owner_is_told_from_then_on(
    client: httpx.AsyncClient, database: Database, conn: Connection
) -> None:
    await tell(conn, "nobody's")
    async with watching(client, "0") as events:
        assert (await anext(events))[2]["title"] == "nobody's"
        await anext(events)
        async with database.transaction() as own:
            holder = await people.owner(own)
        await tell(conn, "theirs by name", user_id=holder.id)
        assert (await anext(events))[2]["title"] == "theirs by name"
