"""Looking after webhook sources over the API: secrets are shown once, changes heeded, events replayed and tried."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from httpx import AsyncClient

from gateways.webhooks import events, sources
from gateways.webhooks.errors import NotReplayed
from jobs_core import Connection, Database, InvalidInput, Jobs, execute, fetch
from tests.support.web import calling, door, error_of
from tests.support.webhooks import PLAIN_SECRET, TO_NOTE, a_source, hooks, notes, post, sending, standard, told


@pytest.fixture
async def api(jobs: Jobs) -> AsyncIterator[AsyncClient]:
    """A caller with the token."""
    async with calling(door(jobs)) as client:
        yield client


@pytest.fixture
async def sender(jobs: Jobs) -> AsyncIterator[AsyncClient]:
    """A sender, to a door that looks its sources up anew each time."""
    async with sending(hooks(jobs)) as client:
        yield client


async def test_a_source_is_made_shown_changed_and_removed(api: AsyncClient, sender: AsyncClient) -> None:
    made = await api.post("/api/hooks", json={"name": "shop", "job_type": "note", "mapping": TO_NOTE})
    assert made.status_code == 201
    secret = made.json()["secret"]
    assert made.json()["path"] == "/hooks/shop"
    assert (await post(sender, told(), standard(told(), secret=secret))).status_code == 202
    changed = await api.patch("/api/hooks/shop", json={"mapping": {"filter": "`false`"}, "cap_per_minute": None})
    assert changed.json()["mapping"] == {"filter": "`false`", "input": "body"}
    assert changed.json()["cap_per_minute"] is None
    assert (await post(sender, told("b"), standard(told("b"), secret=secret))).json()["result"] == "ignored"
    [listed] = (await api.get("/api/hooks")).json()["sources"]
    assert listed == (await api.get("/api/hooks/shop")).json()
    assert (listed["scheme"], listed["enabled"], len(listed["secrets"])) == ("standard", True, 1)
    assert (await api.delete("/api/hooks/shop")).json() == {"removed": "shop"}
    for gone in (api.get("/api/hooks/shop"), api.delete("/api/hooks/shop"), api.patch("/api/hooks/shop", json={})):
        assert error_of(await gone, 404)["code"] == "no_such_source"


async def test_a_secret_is_shown_when_it_is_made_and_never_again(api: AsyncClient) -> None:
    made = await api.post("/api/hooks", json={"name": "shop", "job_type": "note"})
    turned = await api.post("/api/hooks/shop/rotate")
    first, second = made.json()["secret"], turned.json()["secret"]
    assert first != second
    shown = [await api.get(path) for path in ("/api/hooks", "/api/hooks/shop", "/api/hook-deliveries")]
    shown.append(await api.patch("/api/hooks/shop", json={}))
    assert all(secret not in answer.text for answer in shown for secret in (first, second))
    own = await api.post(
        "/api/hooks", json={"name": "own", "job_type": "note", "scheme": "jira", "secret": PLAIN_SECRET}
    )
    assert own.json()["secret"] is None
    refused = await api.post("/api/hooks/own/rotate", json={"secret": "short"})
    assert error_of(refused, 422)["field"] == "secret"
    assert "short" not in refused.json()["error"]["message"]


NO_SOURCES: list[tuple[dict[str, object], str]] = [
    ({"name": "Shop"}, "name"),
    ({"name": ""}, "name"),
    ({"job_type": "no_such"}, "job_type"),
    ({"scheme": "sha1"}, "scheme"),
    ({"scheme": "hmac"}, "settings"),
    ({"settings": {"header": "x"}}, "settings"),
    ({"settings": {"header": "x y"}, "scheme": "hmac"}, "settings.header"),
    ({"mapping": {"filter": "a..b"}}, "mapping.filter"),
    ({"mapping": {"job_type": "evil"}}, "mapping.job_type"),
    ({"cap_per_minute": 0}, "cap_per_minute"),
    ({"secrets": ["x"]}, "secrets"),
    ({"alarmed_at": None}, "alarmed_at"),
]


async def test_what_is_no_source_is_refused_by_its_field(api: AsyncClient) -> None:
    for given, field in NO_SOURCES:
        answer = await api.post("/api/hooks", json={"name": "shop", "job_type": "note", **given})
        assert error_of(answer, 422)["field"].startswith(field)
    assert (await api.get("/api/hooks")).json() == {"sources": []}


async def test_a_name_is_given_once(api: AsyncClient) -> None:
    for status in (201, 409):
        assert (await api.post("/api/hooks", json={"name": "shop", "job_type": "note"})).status_code == status
    assert len((await api.get("/api/hooks/shop")).json()["secrets"]) == 1


async def test_an_event_that_failed_is_replayed_after_its_mapping_was_mended(
    api: AsyncClient, sender: AsyncClient, conn: Connection, database: Database
) -> None:
    await a_source(conn, mapping={"input": {"text": "length(body.number)"}})
    body = told("at last", number=7)
    answer = await post(sender, body)
    event_id = answer.json()["event_id"]
    path = f"/api/hook-deliveries/{event_id}"
    assert (await api.post(f"{path}/replay")).json()["result"] == "failed"
    await api.patch("/api/hooks/shop", json={"mapping": TO_NOTE})
    replayed = (await api.post(f"{path}/replay")).json()
    assert (replayed["result"], replayed["error"]) == ("created", None)
    assert await notes(database) == ["at last"]
    refused = await api.post(f"{path}/replay")
    assert error_of(refused, 409)["code"] == "not_replayed"
    assert (await api.post(f"{path}/replay", json={"again": True})).status_code == 200
    assert await notes(database) == ["at last"] * 2
    shown = (await api.get(path)).json()
    assert (shown["body"], shown["result"], shown["body_bytes"]) == (body.decode(), "created", len(body))
    assert shown["replayed_at"]
    await api.delete("/api/hooks/shop")
    gone = await api.post(f"{path}/replay", json={"again": True})
    assert error_of(gone, 404)["code"] == "no_such_source"
    assert error_of(await api.get("/api/hook-deliveries/999"), 404)["code"] == "no_such_event"


async def test_an_event_keeps_its_job_where_another_try_makes_none(
    api: AsyncClient, sender: AsyncClient, conn: Connection, database: Database
) -> None:
    """Else it would look like one that failed, and be made a second time by who replays those."""
    await a_source(conn)
    first = (await post(sender, told())).json()
    path = f"/api/hook-deliveries/{first['event_id']}"
    for mapping, result in (({"input": {"text": "body.missing"}}, "failed"), ({"filter": "`false`"}, "ignored")):
        await sources.change_source(conn, "shop", {"mapping": mapping})
        assert (await api.post(f"{path}/replay", json={"again": True})).json()["result"] == result
        shown = (await api.get(path)).json()
        assert (shown["result"], shown["job_id"], shown["error"]) == ("created", first["job_id"], None)
    await sources.change_source(conn, "shop", {"mapping": TO_NOTE})
    assert error_of(await api.post(f"{path}/replay"), 409)["code"] == "not_replayed"
    assert await notes(database) == ["hello"]


async def test_of_two_replays_at_once_one_makes_the_job(jobs: Jobs, conn: Connection, database: Database) -> None:
    await a_source(conn, mapping={"filter": "`false`"})
    async with sending(hooks(jobs)) as client:
        event_id = (await post(client, told())).json()["event_id"]
    await sources.change_source(conn, "shop", {"mapping": TO_NOTE})
    async with database.transaction() as first:
        await events._replay(first, jobs, event_id, again=False)
        second = asyncio.create_task(events.replay(jobs, event_id))
        while not await fetch(conn, "SELECT FROM pg_locks WHERE NOT granted"):
            await asyncio.sleep(0.01)
    with pytest.raises(NotReplayed):
        await second
    assert await notes(database) == ["hello"]


async def test_events_are_listed_by_source_result_and_page(
    api: AsyncClient, sender: AsyncClient, conn: Connection
) -> None:
    await a_source(conn, mapping={"filter": "body.n < `2`", "input": {"text": "body.text"}})
    await a_source(conn, "other")
    for n in range(4):
        await post(sender, told(str(n), n=n))
    await post(sender, told("x"), source="other")

    async def ids(**asked: object) -> list[int]:
        rows = (await api.get("/api/hook-deliveries", params=asked)).json()["deliveries"]  # type: ignore[arg-type]
        return [row["id"] for row in rows]

    everything = await ids()
    assert everything == sorted(everything, reverse=True)
    assert len(await ids(source="shop")) == 4
    assert len(await ids(result="ignored")) == 2
    assert await ids(before_id=everything[1], limit=2) == everything[2:4]
    assert await ids(conflicts=True) == []
    assert (await api.get("/api/hook-deliveries", params={"result": "odd"})).status_code == 422


async def test_a_try_shows_what_would_be_made_and_makes_nothing(
    api: AsyncClient, conn: Connection, database: Database
) -> None:
    mapping = {"filter": "headers.\"x-event\" == 'paid'", "input": {"text": "body.text", "lane": "body.lane"}}
    await a_source(conn, job_type="lane_note", mapping=mapping)

    async def tried(body: bytes, event: str = "paid") -> dict[str, object]:
        asked = {"body": body.decode(), "headers": {"X-Event": event}}
        answer: dict[str, object] = (await api.post("/api/hooks/shop/try", json=asked)).json()
        return answer

    job = {"job_type": "lane_note", "input": {"text": "hello", "lane": "a"}, "lane": "a"}
    assert await tried(told(lane="a")) == {"result": "created", "error": None, "job": job}
    assert (await tried(told(), event="other"))["result"] == "ignored"
    failed = await tried(told())
    assert (failed["result"], failed["error"]) == ("failed", "input.lane: Input should be a valid string")
    assert error_of(await api.post("/api/hooks/shop/try", json={"body": "{"}), 422)["field"] == "body"
    assert await notes(database) == []
    assert await events.list_events(conn) == []


async def test_no_more_than_five_secrets_are_good_at_once(conn: Connection) -> None:
    await a_source(conn)
    for _ in range(4):
        await sources.rotate(conn, "shop", timedelta(days=1))
    with pytest.raises(InvalidInput, match="5 valid secrets"):
        await sources.rotate(conn, "shop", timedelta(days=1))
    assert len((await sources.find_source(conn, "shop")).secrets) == 5
    await sources.rotate(conn, "shop", timedelta(0))
    assert len((await sources.find_source(conn, "shop")).secrets) == 1


async def test_an_overlap_never_makes_an_old_secret_live_longer(conn: Connection) -> None:
    await a_source(conn)
    await sources.rotate(conn, "shop", timedelta(minutes=1))
    first = (await sources.find_source(conn, "shop")).secrets[0].valid_until
    await sources.rotate(conn, "shop", timedelta(days=1))
    assert (await sources.find_source(conn, "shop")).secrets[0].valid_until == first
    await execute(
        conn, "UPDATE jobs.webhook_secrets SET valid_until = now() - interval '1 s' WHERE valid_until IS NOT NULL"
    )
    await sources.rotate(conn, "shop", timedelta(days=1))
    assert await execute(conn, "SELECT FROM jobs.webhook_secrets") == 2


async def test_a_secret_that_is_made_suits_its_scheme(conn: Connection) -> None:
    for scheme in ("standard", "github", "gitlab", "jira", "taiga", "bearer"):
        made = await sources.add_source(conn, scheme, sources.define({"job_type": "note", "scheme": scheme}))
        await sources.rotate(conn, scheme, timedelta(0), made)
        assert made.isascii()
