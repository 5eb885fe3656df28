"""What happens to a job as server-sent events, over a real socket: from the start, and from where a client was cut off."""

import asyncio
import json
import random
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from gateways.web import events as sse
from jobs_core import AnyJob, Complete, Connection, Database, Jobs
from jobs_core.settle import settle
from tests.database.conftest import ClaimAll
from tests.support.job_types import NOTE, Note, table
from tests.support.web import AUTHORIZED, calling, door, error_of, serving
from tests.support.worker import ended, until, working


@dataclass
class Sent:
    """One event as a client reads it; a comment has no id."""

    id: str = ""
    event: str = ""
    data: str = ""
    comment: bool = False

    @property
    def text(self) -> str:
        return f"{self.event} {json.loads(self.data)['text']}"


async def read(response: httpx.Response) -> AsyncIterator[Sent]:
    """The stream's events, as the standard says that a client reads them."""
    one = Sent()
    async for line in response.aiter_lines():
        if not line:
            if one.id or one.comment:
                yield one
            one = Sent()
            continue
        name, _, value = line.partition(":")
        match name:
            case "id" | "event" | "data":
                setattr(one, name, value.removeprefix(" "))
            case "":
                one.comment = True


def events_of(job_id: int) -> str:
    return f"/api/jobs/{job_id}/events"


async def watch_with_cuts(client: httpx.AsyncClient, job_id: int, chance: random.Random) -> list[Sent]:
    """What a client got that is cut off again and again, and comes back with the id of the last event it read."""
    got = list[Sent]()
    while not got or got[-1].event != "ended":
        last = {"Last-Event-ID": got[-1].id} if got else {}
        reads = chance.randint(1, 15)
        async with client.stream("GET", events_of(job_id), headers=last) as response:
            assert response.status_code == 200
            assert response.headers["content-type"].startswith("text/event-stream")
            async for event in read(response):
                got.append(event)
                reads -= 1
                if not reads:
                    break
    return got


async def test_a_client_that_is_cut_off_loses_no_event_and_gets_none_twice(jobs: Jobs, database: Database) -> None:
    async def handle(job: AnyJob) -> Any:
        for n in range(60):
            job.log(f"line {n}\nand more", n=n)
            if n % 10 == 0:
                await job.step(str(n), lambda: 1)
            await asyncio.sleep(0.03)
        return Complete()

    chance = random.Random(11)
    async with (
        working(database, {NOTE: handle}) as (creator, _),
        serving(jobs) as (_, url),
        httpx.AsyncClient(base_url=url, headers=AUTHORIZED, timeout=60) as client,
    ):
        job_id = (await creator.create(NOTE, Note())).id
        cut = await asyncio.gather(*(watch_with_cuts(client, job_id, chance) for _ in range(3)))
        async with client.stream("GET", events_of(job_id)) as response:
            whole = [event async for event in read(response)]
        assert [event.event for event in whole if event.event in {"created", "ended"}] == ["created", "ended"]
        assert [json.loads(event.data)["about"]["data"]["n"] for event in whole if event.event == "log"] == [*range(60)]
        for got in cut:
            assert Counter(event.text for event in got) == Counter(event.text for event in whole)
            assert len({event.id for event in got}) == len(got)
            assert [event.text for event in got if event.event == "log"] == [
                event.text for event in whole if event.event == "log"
            ]
        done = await client.get(events_of(job_id), headers={"Last-Event-ID": whole[-1].id})
        assert (done.status_code, done.content) == (204, b"")


async def test_silence_is_broken_by_heartbeats(jobs: Jobs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sse, "HEARTBEAT_S", 0.0)
    job_id = (await jobs.create(NOTE, {})).id
    async with serving(jobs) as (_, url), httpx.AsyncClient(base_url=url, headers=AUTHORIZED) as client:
        async with client.stream("GET", events_of(job_id)) as response:
            got = list[Sent]()
            async for event in read(response):
                got.append(event)
                if len(got) == 3:
                    break
        assert [event.event for event in got] == ["created", "", ""]
        assert [event.comment for event in got] == [False, True, True]


async def test_so_many_may_watch_at_once_and_one_that_goes_makes_room(
    jobs: Jobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sse, "MOST_STREAMS", 2)
    monkeypatch.setattr(sse, "HEARTBEAT_S", 0.0)  # by which a client that has gone is noticed
    job_id = (await jobs.create(NOTE, {})).id
    async with serving(jobs) as (_, url), httpx.AsyncClient(base_url=url, headers=AUTHORIZED) as client:

        async def one_may_watch() -> bool:
            async with client.stream("GET", events_of(job_id)) as response:
                return response.status_code == 200

        async with client.stream("GET", events_of(job_id)) as first, client.stream("GET", events_of(job_id)) as second:
            watching = [read(first), read(second)]
            for one in watching:
                await anext(one)
            refused = await client.get(events_of(job_id))
            assert error_of(refused, 503)["code"] == "too_many_streams"
            assert refused.headers["retry-after"]
        await until(one_may_watch)


async def test_those_who_come_all_at_once_are_counted_too(jobs: Jobs, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also those who are refused for another reason, and leave no trace."""
    monkeypatch.setattr(sse, "MOST_STREAMS", 2)
    job_id = (await jobs.create(NOTE, {})).id
    all_asked = asyncio.Barrier(8)
    async with serving(jobs) as (_, url), httpx.AsyncClient(base_url=url, headers=AUTHORIZED) as client:
        for _ in range(3):
            assert (await client.get(events_of(job_id + 1))).status_code == 404

        async def ask() -> int:
            async with client.stream("GET", events_of(job_id)) as response:
                await all_asked.wait()
                return response.status_code

        assert Counter(await asyncio.gather(*(ask() for _ in range(8)))) == {200: 2, 503: 6}


async def test_watchers_hold_no_connection_between_two_looks(database_url: str) -> None:
    """Twenty of them, and one connection for all."""
    async with Database(database_url, name="tests", max_connections=2) as database, Jobs(database, table()) as jobs:
        job_id = (await jobs.create(NOTE, {})).id
        async with serving(jobs) as (_, url), httpx.AsyncClient(base_url=url, headers=AUTHORIZED) as client:

            async def watch() -> None:
                async with client.stream("GET", events_of(job_id)) as response:
                    assert [event.event async for event in read(response)][-1] == "ended"

            watching = [asyncio.create_task(watch()) for _ in range(20)]
            for _ in range(20):
                assert (await client.get(f"/api/jobs/{job_id}")).json()["state"] == "pending"
            await jobs.cancel(job_id)
            await asyncio.gather(*watching)


async def test_a_door_that_is_ended_lets_go_of_those_who_watch(jobs: Jobs) -> None:
    job_id = (await jobs.create(NOTE, {})).id
    async with serving(jobs) as (task, url), httpx.AsyncClient(base_url=url, headers=AUTHORIZED, timeout=60) as client:
        async with client.stream("GET", events_of(job_id)) as response:
            stream = read(response)
            assert (await anext(stream)).event == "created"
            task.cancel()
            assert [event async for event in stream] == []
        with pytest.raises(asyncio.CancelledError):
            await task


async def test_a_job_that_has_ended_is_told_whole_and_at_once(
    jobs: Jobs, conn: Connection, claim_all: ClaimAll
) -> None:
    job_id = (await jobs.create(NOTE, {})).id
    (job,) = await claim_all()
    await settle(conn, job, Complete(), NOTE)
    async with calling(door(jobs)) as client:
        answer = await client.get(events_of(job_id))
    assert [line for line in answer.text.splitlines() if line.startswith("event")] == [
        "event: created",
        "event: claimed",
        "event: ended",
    ]
    assert answer.headers["cache-control"] == "no-store"


async def test_what_does_not_fit_is_refused_by_its_name(jobs: Jobs) -> None:
    async with calling(door(jobs)) as client:
        assert error_of(await client.get(events_of(7)), 404)["code"] == "no_such_job"
        assert error_of(await client.get(events_of(0)), 422)["field"] == "job_id"
        wrong = await client.get(events_of(7), headers={"Last-Event-ID": "x"})
        assert error_of(wrong, 422)["field"] == "Last-Event-ID"


async def test_a_job_is_shown_with_the_last_of_what_it_said(jobs: Jobs, database: Database) -> None:
    async def handle(job: AnyJob) -> None:
        for n in range(25):
            job.log(str(n), n=n)
        job.progress(0.4, text="counting")

    async with working(database, {NOTE: handle}) as (creator, _):
        job_id = (await creator.create(NOTE, Note())).id
        await ended(database, job_id)
    async with calling(door(jobs)) as client:
        shown = (await client.get(f"/api/jobs/{job_id}")).json()
    assert [line["text"] for line in shown["log"]] == [str(n) for n in range(5, 25)]
    assert (shown["progress"]["text"], shown["progress"]["data"]) == ("counting", {"fraction": 0.4})
