"""Events at the door: who is heard, what is answered, and what stands in the database then."""

import asyncio
import time
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
from httpx import AsyncClient

from gateways.webhooks import intake
from gateways.webhooks.sources import change_source, remove_source, rotate
from gateways.webhooks.taking import Arrived, prune, take
from jobs_core import Connection, Database, Jobs, JobType, NewJob, execute, fetch, fetch_one
from tests.support.job_types import Note
from tests.support.web import door, error_of
from tests.support.webhooks import (
    PLAIN_SECRET,
    SIGNING_SECRET,
    a_source,
    hooks,
    mac,
    notes,
    post,
    sending,
    standard,
    told,
)


@pytest.fixture
async def client(jobs: Jobs) -> AsyncIterator[AsyncClient]:
    """A sender, to a door that looks its sources up anew each time."""
    async with sending(hooks(jobs)) as sender:
        yield sender


async def events(conn: Connection) -> list[dict[str, Any]]:
    return list(await fetch(conn, "SELECT * FROM jobs.webhook_events ORDER BY id"))


async def test_an_event_becomes_a_job_and_is_kept_with_it(client: AsyncClient, conn: Connection) -> None:
    await a_source(conn)
    body = told("hello", more=[1, 2])
    headers = standard(body, message_id="msg_1") | {"X-Shop-Event": "paid", "X-Shop-Token": "hidden"}
    answer = await post(client, body, headers)
    assert answer.status_code == 202
    [event] = await events(conn)
    assert answer.json() == {"event_id": event["id"], "result": "created", "job_id": event["job_id"], "repeated": False}
    job = await fetch_one(conn, "SELECT job_type, input FROM jobs.jobs WHERE id = %s", [event["job_id"]])  # type: ignore[arg-type]
    assert job == {"job_type": "note", "input": {"text": "hello", "lane": ""}}
    assert (event["source"], event["key"], bytes(event["body"])) == ("shop", "msg_1", body)
    assert event["headers"]["x-shop-event"] == "paid"
    assert not {"x-shop-token", "webhook-signature"} & event["headers"].keys()


async def test_a_repeat_is_told_the_first_ones_job(client: AsyncClient, conn: Connection, database: Database) -> None:
    await a_source(conn)
    body = told()
    first = (await post(client, body, standard(body, message_id="msg_1"))).json()
    for at in (time.time(), time.time() - 200):  # each try is signed anew
        again = await post(client, body, standard(body, message_id="msg_1", at=at))
        assert again.status_code == 200
        assert again.json() == first | {"repeated": True}
    assert await notes(database) == ["hello"]


async def test_events_without_an_id_are_told_apart_by_their_bodies(
    client: AsyncClient, conn: Connection, database: Database
) -> None:
    await a_source(conn, "taiga", PLAIN_SECRET, scheme="taiga")
    for text in ("one", "two", "one"):
        body = told(text)
        await post(client, body, {"X-TAIGA-WEBHOOK-SIGNATURE": mac(body, "sha1")}, "taiga")
    assert await notes(database) == ["one", "two"]


async def test_where_the_source_says_so_a_body_counts_once_under_any_id(
    client: AsyncClient, conn: Connection, database: Database
) -> None:
    """GitHub signs no id: whoever overheard a delivery can send it under another one."""
    body = told()
    signed = {"X-Hub-Signature-256": f"sha256={mac(body)}"}
    for name, by, made in (("loose", "id", 2), ("strict", "body", 1)):
        await a_source(conn, name, PLAIN_SECRET, scheme="github", dedupe_by=by)
        for delivery in ("a", "b"):
            assert (await post(client, body, signed | {"X-GitHub-Delivery": delivery}, name)).is_success
        assert len([one for one in await events(conn) if one["source"] == name]) == made
    assert len(await notes(database)) == 3


async def test_one_id_at_two_sources_is_two_events(client: AsyncClient, conn: Connection, database: Database) -> None:
    for name in ("shop", "other"):
        await a_source(conn, name)
        assert (await post(client, told(name), standard(told(name), message_id="msg_1"), name)).status_code == 202
    assert await notes(database) == ["shop", "other"]


async def test_another_body_under_a_known_id_is_refused_and_the_owner_told_once(
    client: AsyncClient, conn: Connection, database: Database
) -> None:
    await a_source(conn)
    for text in ("first", "second"):
        assert (await post(client, told(text), standard(told(text), message_id=f"msg_{text}"))).status_code == 202
    for text in ("first", "first", "second"):
        other = told("forged")
        answer = await post(client, other, standard(other, message_id=f"msg_{text}"))
        assert error_of(answer, 409)["code"] == "another_body"
    assert await notes(database) == ["first", "second"]
    assert [one["conflicts"] for one in await events(conn)] == [2, 1]
    [told_of] = await fetch(conn, "SELECT title, category, severity, metadata FROM jobs.notifications")
    assert "shop" in told_of["title"]
    assert (told_of["category"], told_of["severity"]) == ("webhooks", "warning")
    await execute(conn, "UPDATE jobs.webhook_sources SET alarmed_at = alarmed_at - interval '1 hour'")
    await post(client, told("x"), standard(told("x"), message_id="msg_first"))
    assert await fetch(conn, "SELECT FROM jobs.notifications") == [{}]
    await post(client, told("third"), standard(told("third"), message_id="msg_third"))
    await post(client, told("x"), standard(told("x"), message_id="msg_third"))
    assert await fetch(conn, "SELECT FROM jobs.notifications") == [{}, {}]


async def test_who_does_not_sign_is_not_heard(client: AsyncClient, conn: Connection) -> None:
    await a_source(conn)
    body = told()
    forged: tuple[dict[str, str], ...] = (
        {},
        standard(body, secret="whsec_" + "A" * 44),
        standard(body, at=time.time() - 301),
        standard(body, at=time.time() + 302),
        standard(b"another body"),
        {"Authorization": "Bearer a-token-for-tests-only"},
    )
    for headers in forged:
        answer = await post(client, body, headers)
        assert error_of(answer, 401)["code"] == "not_signed"
    assert await events(conn) == []


async def test_nothing_is_parsed_before_its_signature_is_right(client: AsyncClient, conn: Connection) -> None:
    await a_source(conn)
    for body in (b"{", b'{"a": "\\u0000"}', b"[" * 500_000):
        assert (await post(client, body, standard(told()))).status_code == 401
        assert error_of(await post(client, body), 400)["code"] == "bad_json"
    assert await events(conn) == []


async def test_a_source_that_is_not_there_or_off_is_not_found(client: AsyncClient, conn: Connection) -> None:
    await a_source(conn)
    for name in ("nobody", "shop/", "shop/x", "", "SHOP", "%00", "..%2fapi%2fjobs"):
        assert error_of(await post(client, told(), source=name), 404)["code"] == "no_such_source"
    await change_source(conn, "shop", {"enabled": False})
    assert (await post(client, told())).status_code == 404
    await change_source(conn, "shop", {"enabled": True})
    assert (await post(client, told())).status_code == 202
    await remove_source(conn, "shop")
    assert (await post(client, told())).status_code == 404


async def test_events_are_sent_by_post_and_no_other_path_is_open(jobs: Jobs, conn: Connection) -> None:
    await a_source(conn)
    async with sending(door(jobs)) as client:
        await _asked_otherwise(client)
        assert (await post(client, told())).headers["x-content-type-options"] == "nosniff"


async def _asked_otherwise(client: AsyncClient) -> None:
    for method in ("GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS"):
        answer = await client.request(method, "/hooks/shop", content=told(), headers=standard(told()))
        assert answer.status_code == 405
        assert answer.headers["allow"] == "POST"
    for path in ("/hooks", "/Hooks/shop", "/api/hooks", "//hooks/shop"):
        assert (await client.post(path, content=told(), headers=standard(told()))).status_code == 421  # the guard's


async def test_a_secret_that_is_replaced_is_good_for_its_overlap(client: AsyncClient, conn: Connection) -> None:
    await a_source(conn)
    new = await rotate(conn, "shop", timedelta(hours=1))
    for secret in (SIGNING_SECRET, new):
        assert (await post(client, told(secret[-9:]), standard(told(secret[-9:]), secret=secret))).status_code == 202
    await execute(conn, "UPDATE jobs.webhook_secrets SET valid_until = clock_timestamp() WHERE valid_until IS NOT NULL")
    assert (await post(client, told())).status_code == 401
    newest = await rotate(conn, "shop", timedelta(0))
    assert (await post(client, told("b"), standard(told("b"), secret=new))).status_code == 401
    assert (await post(client, told("c"), standard(told("c"), secret=newest))).status_code == 202


async def test_past_its_cap_a_source_waits_for_the_next_minute(
    client: AsyncClient, conn: Connection, database: Database
) -> None:
    await a_source(conn, cap_per_minute=3)
    await a_source(conn, "free", cap_per_minute=None)
    await _early_in_a_minute(conn)
    assert (await post(client, told(), {})).status_code == 401  # which counts for nothing
    answers = await asyncio.gather(*(post(client, told(str(n))) for n in range(5)))
    assert sorted(one.status_code for one in answers) == [202, 202, 202, 429, 429]
    refused = await post(client, told("6"))
    assert error_of(refused, 429)["code"] == "over_cap"
    assert 1 <= int(refused.headers["retry-after"]) <= 60
    assert (await post(client, told("free"), source="free")).status_code == 202
    await execute(conn, "UPDATE jobs.webhook_counts SET minute = minute - interval '1 minute'")
    assert (await post(client, told("7"))).status_code == 202
    await execute(
        conn, "UPDATE jobs.webhook_counts SET minute = minute + interval '1 minute', n = 3 WHERE source = 'shop'"
    )
    assert (await post(client, told("8"))).status_code == 429  # who waited for the others' counts into the next minute
    await execute(conn, "UPDATE jobs.webhook_counts SET minute = minute + interval '3 hours'")
    assert (await post(client, told("8"))).status_code == 202  # the clock was set back
    assert len(await notes(database)) == 6


async def _early_in_a_minute(conn: Connection) -> None:
    """Until the minute has ten seconds left at least."""
    while True:
        row = await fetch_one(conn, "SELECT extract(second FROM clock_timestamp())::float AS second")
        assert row
        if row["second"] < 50:
            return
        await asyncio.sleep(0.2)


async def test_an_event_that_maps_to_nothing_is_kept_and_said_to_be(
    client: AsyncClient, conn: Connection, database: Database
) -> None:
    await a_source(
        conn, mapping={"filter": "body.kind == 'paid'", "input": {"text": "body.text", "lane": "length(body.lane)"}}
    )
    ignored = await post(client, told(kind="other"))
    assert (ignored.status_code, ignored.json()["result"]) == (202, "ignored")
    failed = await post(client, told("secret text", kind="paid", lane=3))
    assert (failed.status_code, failed.json()["result"], failed.json()["job_id"]) == (202, "failed", None)
    unfit = await post(client, told(kind="paid", lane="abc"))
    assert unfit.json()["result"] == "failed"
    results = [(one["result"], one["error"]) for one in await events(conn)]
    assert results[0] == ("ignored", None)
    assert "length(body.lane)" in results[1][1]
    assert results[2] == ("failed", "input.lane: Input should be a valid string")
    assert await notes(database) == []


async def test_a_type_that_this_process_does_not_know_fails_the_event_and_loses_nothing(
    client: AsyncClient, conn: Connection
) -> None:
    await a_source(conn, job_type="newer_code_has_it")
    assert (await post(client, told())).json()["result"] == "failed"
    [event] = await events(conn)
    assert "newer_code_has_it" in event["error"]


async def test_what_the_queue_refuses_fails_its_own_event_and_no_other(
    client: AsyncClient, conn: Connection, database: Database
) -> None:
    """Two events with one idempotency key and different inputs, among others in the same transaction."""
    await a_source(conn, mapping={"input": {"text": "body.text"}, "idempotency_key": "body.key"})
    bodies = [told("a", key="k1"), told("b", key="k2"), told("c", key="k1"), told("d", key="k3"), told("a", key="k1")]
    answers = await asyncio.gather(*(post(client, body) for body in bodies))
    assert [one.status_code for one in answers] == [202] * 5
    results = sorted(one.json()["result"] for one in answers)
    assert results in (["created"] * 3 + ["failed", "met"], ["created"] * 3 + ["failed", "failed"])
    assert set(await notes(database)) in ({"a", "b", "d"}, {"b", "c", "d"})
    assert len(await events(conn)) == 5


async def test_of_two_doors_that_are_sent_the_same_events_one_takes_each(
    jobs: Jobs, conn: Connection, database: Database
) -> None:
    await a_source(conn, cap_per_minute=None)
    bodies = [told(str(n)) for n in range(40)]
    headers = [standard(body, message_id=f"msg_{n}") for n, body in enumerate(bodies)]
    async with sending(hooks(jobs)) as one, sending(hooks(jobs)) as other:
        sent = [
            post(client, body, signed)
            for body, signed in zip(bodies, headers, strict=True)
            for client in (one, other, one)
        ]
        answers = await asyncio.gather(*sent)
    assert sorted(one.status_code for one in answers) == [200] * 80 + [202] * 40
    assert sorted(await notes(database)) == sorted(map(str, range(40)))
    by_event = {(one.json()["event_id"], one.json()["job_id"]) for one in answers}
    assert len(by_event) == 40


async def test_events_that_come_together_share_a_transaction(client: AsyncClient, conn: Connection) -> None:
    await a_source(conn, cap_per_minute=None)
    await asyncio.gather(*(post(client, told(str(n))) for n in range(50)))
    [row] = await fetch(conn, "SELECT count(DISTINCT xmin::text) AS n, count(*) AS events FROM jobs.webhook_events")
    assert row["events"] == 50
    assert row["n"] < 10


async def test_events_that_came_together_stand_in_their_lane_in_that_order(jobs: Jobs, conn: Connection) -> None:
    made = [NewJob("lane_note", {"text": str(n), "lane": "a"}) for n in range(8)]
    events = [Arrived("s", key, b"", b"", {}, job) for key, job in zip("hgfedcba", made, strict=True)]
    taken = await take(jobs, conn, events, lock_wait_s=1.0)
    rows = await fetch(conn, "SELECT id, input ->> 'text' AS text FROM jobs.jobs ORDER BY lane_pos")
    assert [row["text"] for row in rows] == [str(n) for n in range(8)]
    assert [one.job_id for one in taken] == [row["id"] for row in rows]


async def test_a_door_that_has_too_much_waiting_says_so(
    client: AsyncClient, conn: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    await a_source(conn)
    monkeypatch.setattr(intake, "_MOST_WAITING", 3)
    answers = await asyncio.gather(*(post(client, told(str(n))) for n in range(60)))
    taken, busy = ([one for one in answers if one.status_code == status] for status in (202, 503))
    assert len(taken) + len(busy) == 60
    assert busy
    assert len(await events(conn)) == len(taken)


async def test_a_lane_that_somebody_holds_keeps_only_its_own_events(
    client: AsyncClient, conn: Connection, other: Connection
) -> None:
    await a_source(conn, job_type="lane_note", mapping={"input": {"text": "body.text", "lane": "body.lane"}})
    for lane in ("held", "free"):
        assert (await post(client, told(lane=lane))).status_code == 202
    async with other.transaction():
        await execute(other, "SELECT FROM jobs.lanes WHERE lane = 'held' FOR UPDATE")
        answers = await asyncio.gather(*(post(client, told(lane=lane)) for lane in ("held", "free", "free")))
    assert sorted(one.status_code for one in answers) == [202, 202, 503]
    [busy] = [one for one in answers if one.status_code == 503]
    assert busy.headers["retry-after"]
    assert len(await events(conn)) == 4


async def test_events_are_kept_for_thirty_days(conn: Connection, client: AsyncClient) -> None:
    await a_source(conn)
    for text in ("old", "young"):
        await post(client, told(text), standard(told(text), message_id=text))
    old = "UPDATE jobs.webhook_events SET received_at = received_at - interval '30 days 1 second' WHERE key = 'old'"
    await execute(conn, old)
    assert await prune(conn) == 1
    assert [one["key"] for one in await events(conn)] == ["young"]
    assert (await post(client, told("old"), standard(told("old"), message_id="old"))).status_code == 202


async def test_a_row_that_no_code_can_read_stops_its_own_source_alone(client: AsyncClient, conn: Connection) -> None:
    await a_source(conn)
    await a_source(conn, "broken")
    await execute(conn, "UPDATE jobs.webhook_sources SET scheme = 'of newer code' WHERE name = 'broken'")
    assert (await post(client, told())).status_code == 202
    assert (await post(client, told(), source="broken")).status_code == 404


async def test_after_a_change_of_scheme_nothing_of_the_old_one_is_left(client: AsyncClient, conn: Connection) -> None:
    await a_source(conn, secret=PLAIN_SECRET, scheme="bearer", settings={"header": "x-own"})
    source = await change_source(conn, "shop", {"scheme": "standard"})
    assert source.settings == {}
    for headers in (standard(told()), {"x-own": PLAIN_SECRET}, {"authorization": f"Bearer {PLAIN_SECRET}"}):
        assert (await post(client, told(), headers)).status_code == 401
    secret = await rotate(conn, "shop", timedelta(0))
    assert (await post(client, told(), standard(told(), secret=secret))).status_code == 202


async def test_a_type_whose_own_code_breaks_on_an_event_fails_that_event(
    client: AsyncClient, conn: Connection, jobs: Jobs
) -> None:
    jobs.table.declare(JobType("cutting", Note, lane=lambda note: note.text.split("/")[1]))
    await a_source(conn, job_type="cutting")
    assert (await post(client, told("no slash"))).json()["result"] == "failed"
    assert (await post(client, told("a/b"))).json()["result"] == "created"
    assert "IndexError" in (await events(conn))[0]["error"]
