"""What happens in a chat as server-sent events over a real socket: late, again, over turns, many at once, and to the end."""

import asyncio
import json
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any
from unittest.mock import AsyncMock
from uuid import UUID, uuid4

import httpx
import pytest
from psycopg import OperationalError

from assistant import chats
from assistant.chats import CHAT_TURN
from assistant.remarks import remark
from gateways.web import feeds as feeds_module
from gateways.web import live as sse
from gateways.web import server
from gateways.web.feeds import Feeds
from jobs_core import Connection, Database, HandlerTable, Jobs, execute
from sessions import Audience, TurnEvent, begin_turn, end_turn, take_session
from sessions.live import Live, LiveRun
from sessions.live_rows import Held
from tests.support.web import AUTHORIZED, calling, door, error_of, serving


@dataclass
class Sent:
    """One event as a client reads it; a comment has no kind."""

    id: str = ""
    kind: str = ""
    about: dict[str, Any] = field(default_factory=dict)


async def read(response: httpx.Response) -> AsyncIterator[Sent]:
    """The stream's events and comments."""
    one = Sent()
    async for line in response.aiter_lines():
        name, _, value = line.partition(": ")
        match name:
            case "id":
                one.id = value
            case "event":
                one.kind = value
            case "data":
                one.about = json.loads(value)
        if line.startswith(":") or (not line and one.kind):
            yield one
            one = Sent()


@dataclass
class Talk:
    """A chat whose turns the test runs by hand: a run shows, and a turn is answered."""

    database: Database
    jobs: Jobs
    live: Live
    id: str = ""
    tokens: int = 0

    async def say(self, message: str = "hello") -> int:
        """A person's message; its id."""
        async with self.database.transaction() as conn:
            received = await chats.receive(
                conn, self.jobs, session_id=self.id or None, channel="web", message=message, user_id=None
            )
        self.id = received.session_id
        return received.message_id

    async def begin(self) -> UUID:
        """A turn that binds what was said."""
        turn_id = uuid4()
        async with self.database.transaction() as conn:
            await chats.bind(conn, self.id, turn_id)
            session_id = await chats.claude_session_of(conn, self.id)
            await begin_turn(conn, turn_id=turn_id, session_id=session_id, job_id=1)
        return turn_id

    async def run(self, turn_id: UUID) -> LiveRun:
        """A run of it, which takes the session."""
        self.tokens += 1
        async with self.database.transaction() as conn:
            session_id = await chats.claude_session_of(conn, self.id)
            epoch = await take_session(conn, session_id)
        return self.live.open(Held(session_id, epoch), Audience(self.id, self.tokens), turn_id)

    async def answer(self, turn_id: UUID, text: str) -> None:
        """Its end."""
        async with self.database.transaction() as conn:
            await chats.answer(conn, self.id, turn_id, text)
            await end_turn(conn, turn_id)

    @property
    def path(self) -> str:
        return f"/api/chat/{self.id}/events"


def text(said: str) -> TurnEvent:
    return TurnEvent("text", {"text": said, "message": "m", "parent": None})


@pytest.fixture
async def talk(database: Database, jobs: Jobs) -> AsyncIterator[Talk]:
    """A chat in which one message was said."""
    live = Live(database)
    one = Talk(database, jobs, live)
    await one.say()
    yield one
    await live.stop()


@pytest.fixture
async def client(jobs: Jobs) -> AsyncIterator[httpx.AsyncClient]:
    async with serving(jobs) as (_, url), httpx.AsyncClient(base_url=url, headers=AUTHORIZED, timeout=60) as one:
        yield one


@asynccontextmanager
async def watching(client: httpx.AsyncClient, path: str, last: str | None = None) -> AsyncIterator[AsyncIterator[Sent]]:
    headers = {"Last-Event-ID": last} if last else {}
    async with client.stream("GET", path, headers=headers) as response:
        assert response.status_code == 200, await response.aread()
        assert response.headers["content-type"].startswith("text/event-stream")
        yield read(response)


async def until(stream: AsyncIterator[Sent], kind: str) -> list[Sent]:
    """The events up to the next of that kind."""
    got = list[Sent]()
    async with asyncio.timeout(30):
        async for event in stream:
            got.append(event)
            if event.kind == kind:
                return got
    raise AssertionError(f"it ended before {kind}: {got}")


def items(event: Sent) -> str:
    return "".join(item["text"] for item in event.about["items"])


async def test_text_comes_while_it_is_said_and_the_answer_once_over_turns(
    talk: Talk, client: httpx.AsyncClient
) -> None:
    async with watching(client, talk.path) as stream:
        for said in ("first", "second"):
            turn_id = await talk.begin()
            run = await talk.run(turn_id)
            run.tell(text(said))
            (begun,) = await until(stream, "reset")
            assert (items(begun), begun.about["turn_id"]) == (said, str(turn_id))
            run.tell(text(" turn"))
            (piece,) = await until(stream, "text")
            assert piece.about["text"] == " turn"
            run.end("answered")
            assert (await until(stream, "end"))[-1].about["how"] == "answered"
            await talk.answer(turn_id, f"{said} turn")
            (answer,) = await until(stream, "answer")
            assert (answer.about["state"], answer.about["text"]) == ("answered", f"{said} turn")
            again = await talk.say()
    assert again > answer.about["message_id"] > max(answer.about["answers"])


async def test_the_end_of_a_turn_is_told_before_what_the_next_one_shows(
    talk: Talk, client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where one look finds both: a message that waited begins its turn at once."""
    may_look, look = asyncio.Event(), Feeds._look

    async def held(feeds: Feeds, conn: Connection) -> bool:
        await may_look.wait()
        return await look(feeds, conn)

    monkeypatch.setattr(Feeds, "_look", held)
    may_look.set()
    turn_id = await talk.begin()
    run = await talk.run(turn_id)
    run.tell(text("Half"))
    async with watching(client, talk.path) as stream:
        await until(stream, "reset")
        may_look.clear()
        run.tell(text(" and half."))
        await talk.live.run_once()
        await talk.answer(turn_id, "Half and half.")
        await talk.say()
        next_run = await talk.run(await talk.begin())
        next_run.tell(text("Next."))
        await talk.live.run_once()
        may_look.set()
        got = await until(stream, "reset")
        assert [event.kind for event in got] == ["text", "answer", "reset"]
        assert items(got[-1]) == "Next."


async def test_who_comes_late_or_again_gets_the_text_so_far_and_no_answer_twice(
    talk: Talk, client: httpx.AsyncClient
) -> None:
    turn_id = await talk.begin()
    run = await talk.run(turn_id)
    run.tell(text("Half an "))
    async with watching(client, talk.path) as first:
        (seen,) = await until(first, "reset")
        assert items(seen) == "Half an "
        run.tell(text("answer."))
        await until(first, "text")
    async with watching(client, talk.path, seen.id) as again:
        (seen,) = await until(again, "reset")
        assert items(seen) == "Half an answer."
    await talk.answer(turn_id, "Half an answer.")
    async with watching(client, talk.path, seen.id) as again:
        (answer,) = await until(again, "answer")
        assert answer.about["text"] == "Half an answer."
    await talk.say()
    run = await talk.run(await talk.begin())
    run.tell(text("Next."))
    async with watching(client, talk.path, answer.id) as again:
        (seen,) = await until(again, "reset")
        assert items(seen) == "Next."
    async with watching(client, talk.path, seen.id) as again:
        run.tell(text(" On."))
        (piece,) = await until(again, "text")  # nothing was missed: it goes straight on
        assert piece.about["text"] == " On."


async def test_an_answer_that_came_before_the_stream_was_opened_is_told_to_who_asks_for_what_came_after(
    talk: Talk, client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More of them than fit in one look, too."""
    monkeypatch.setattr(feeds_module, "MOST_ENDS", 2)
    first = 0
    for n in range(5):
        first = first or await talk.say()
        await talk.answer(await talk.begin(), str(n))
        last = await talk.say()
    async with watching(client, f"{talk.path}?after={first}") as stream:
        got = [(await until(stream, "answer"))[-1] for _ in range(5)]
        assert [event.about["text"] for event in got] == ["0", "1", "2", "3", "4"]
        await talk.answer(await talk.begin(), "5")
        (event,) = await until(stream, "answer")
        assert (event.about["text"], event.about["answers"]) == ("5", [last])


async def test_a_run_that_takes_over_begins_anew_and_the_replaced_one_is_heard_no_more(
    talk: Talk, client: httpx.AsyncClient
) -> None:
    turn_id = await talk.begin()
    old = await talk.run(turn_id)
    async with watching(client, talk.path) as stream:
        old.tell(text("Half"))
        await until(stream, "reset")
        new = await talk.run(turn_id)
        old.tell(text(" of the old one"))
        await talk.live.run_once()
        new.tell(text("Whole."))
        (begun,) = await until(stream, "reset")
        assert (items(begun), begun.about["token"]) == ("Whole.", 2)


async def test_what_a_chat_says_of_itself_is_told_as_it_comes_and_to_who_comes_while_it_waits(
    talk: Talk, client: httpx.AsyncClient
) -> None:
    async def says(words: str) -> None:
        async with talk.database.transaction() as conn:
            await remark(conn, words, session_id=talk.id)

    await says("This waits.")
    async with watching(client, talk.path) as stream:
        (first,) = await until(stream, "remark")
        await says("Still.")
        (second,) = await until(stream, "remark")
        await talk.answer(await talk.begin(), "Done.")
        assert [event.kind for event in await until(stream, "answer")] == ["answer"]
    assert [event.about["text"] for event in (first, second)] == ["This waits.", "Still."]
    assert (first.id, "turn_id" in first.about) == ("", False)
    async with watching(client, talk.path) as stream:
        run = await talk.run(await talk.begin())
        run.tell(text("Next."))
        assert [event.kind for event in await until(stream, "reset")] == ["reset"]


async def test_a_turn_that_failed_is_told_as_one(talk: Talk, client: httpx.AsyncClient) -> None:
    async with watching(client, talk.path) as stream:
        turn_id = await talk.begin()
        async with talk.database.transaction() as conn:
            await chats.fail(conn, talk.id, turn_id, "no")
        (answer,) = await until(stream, "answer")
        assert (answer.about["state"], answer.about["text"]) == ("failed", "This could not be answered: no")


async def test_a_message_need_not_wait_for_its_reply(talk: Talk, client: httpx.AsyncClient) -> None:
    answer = await client.post("/api/chat?wait_s=0", json={"session_id": talk.id, "message": "and?"})
    assert (answer.status_code, answer.json()["status"]) == (202, "waiting")
    for wrong in ("-1", "nan", "x"):
        assert error_of(await client.post(f"/api/chat?wait_s={wrong}", json={"message": "a"}), 422)["field"] == "wait_s"


async def test_silence_is_broken_by_heartbeats(
    talk: Talk, client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sse, "HEARTBEAT_S", 0.01)
    async with watching(client, talk.path) as stream:
        assert [(await anext(stream)).kind for _ in range(3)] == ["", "", ""]


async def test_a_door_that_is_ended_lets_go_of_those_who_watch(talk: Talk, jobs: Jobs) -> None:
    async with serving(jobs) as (task, url), httpx.AsyncClient(base_url=url, headers=AUTHORIZED, timeout=60) as client:
        async with watching(client, talk.path) as stream:
            (await talk.run(await talk.begin())).tell(text("Half"))
            await until(stream, "reset")
            task.cancel()
            assert [event async for event in stream] == []
        with suppress(asyncio.CancelledError):
            await task


async def test_those_who_watch_hold_no_connection_and_are_one_look_together(
    talk: Talk, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Forty of ten chats, with two connections, of which others take one."""
    looks = list[int]()
    look = Feeds._look

    async def counted(self: Feeds, conn: Connection) -> bool:
        looks.append(len(self._feeds))
        return await look(self, conn)

    monkeypatch.setattr(Feeds, "_look", counted)
    known = HandlerTable()
    known.declare(CHAT_TURN)
    async with Database(database_url, name="tests", max_connections=2) as few, Jobs(few, known) as jobs:
        talks = [Talk(few, jobs, talk.live) for _ in range(10)]
        for one in talks:
            await one.say()
        async with (
            serving(jobs) as (_, url),
            httpx.AsyncClient(
                base_url=url, headers=AUTHORIZED, timeout=60, limits=httpx.Limits(max_connections=None)
            ) as client,
        ):
            heard = 0

            async def watch(one: Talk) -> str:
                nonlocal heard
                async with watching(client, one.path) as stream:
                    heard += 1
                    return str((await until(stream, "answer"))[-1].about["text"])

            tasks = [asyncio.create_task(watch(one)) for one in talks for _ in range(4)]
            async with asyncio.timeout(60):
                while heard < len(tasks):
                    await asyncio.sleep(0.02)
            looks.clear()
            for n, one in enumerate(talks):
                await one.answer(await one.begin(), str(n))
            assert await asyncio.gather(*tasks) == [str(n) for n in range(10) for _ in range(4)]
    assert max(looks) == 10
    assert len(looks) < 50


async def test_what_was_committed_long_after_it_was_written_is_found_too(
    talk: Talk, client: httpx.AsyncClient, conn: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing tells of it but the look everywhere."""
    monkeypatch.setattr(feeds_module, "recent_ends", AsyncMock(return_value=set()))
    monkeypatch.setattr(feeds_module, "recent_topics", AsyncMock(return_value=set()))
    monkeypatch.setattr(feeds_module, "EVERYWHERE_S", 0.3)
    async with watching(client, talk.path) as stream:
        turn_id = await talk.begin()
        (await talk.run(turn_id)).tell(text("Half"))
        await until(stream, "reset")
        await talk.answer(turn_id, "Whole.")
        await until(stream, "answer")


async def test_a_look_that_failed_is_made_again(
    talk: Talk, client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with watching(client, talk.path) as stream:
        turn_id = await talk.begin()
        monkeypatch.setattr(feeds_module, "live_news", AsyncMock(side_effect=OperationalError("away")))
        (await talk.run(turn_id)).tell(text("Half"))
        await talk.live.run_once()
        await asyncio.sleep(0.3)
        monkeypatch.undo()
        (seen,) = await until(stream, "reset")
        assert items(seen) == "Half"


async def test_a_fault_in_a_look_ends_the_streams_and_those_who_come_again_are_served(
    talk: Talk, client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feeds_module, "EVERYWHERE_S", 0.1)
    async with watching(client, talk.path) as stream:
        monkeypatch.setattr(feeds_module, "live_news", AsyncMock(side_effect=ZeroDivisionError))
        assert [event async for event in stream] == []
    monkeypatch.undo()
    (await talk.run(await talk.begin())).tell(text("Half"))
    async with watching(client, talk.path) as stream:
        (seen,) = await until(stream, "reset")
        assert items(seen) == "Half"


async def test_a_row_that_cannot_be_read_ends_its_own_chats_streams_only(
    talk: Talk, client: httpx.AsyncClient, conn: Connection
) -> None:
    other = Talk(talk.database, talk.jobs, talk.live, tokens=10)
    await other.say()
    async with watching(client, talk.path) as stream, watching(client, other.path) as others:
        await execute(
            conn,
            "INSERT INTO jobs.live_events (topic, token, seq, turn_id, events) VALUES (%(c)s, 5, 1, gen_random_uuid(), '{')",
            {"c": talk.id},
        )
        assert [event async for event in stream] == []
        (await other.run(await other.begin())).tell(text("Half"))
        (seen,) = await until(others, "reset")
        assert items(seen) == "Half"


async def test_so_many_may_watch_at_once_and_one_that_goes_makes_room(
    talk: Talk, client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sse, "HEARTBEAT_S", 0.01)  # by which a client that has gone is noticed
    monkeypatch.setattr(feeds_module, "MOST_LISTENERS", 2)
    async with serving(talk.jobs) as (_, url), httpx.AsyncClient(base_url=url, headers=AUTHORIZED) as narrow:
        async with watching(narrow, talk.path), watching(narrow, talk.path):
            refused = await narrow.get(talk.path)
            assert error_of(refused, 503)["code"] == "too_many_streams"
            assert refused.headers["retry-after"]
        async with asyncio.timeout(30):
            while True:
                async with narrow.stream("GET", talk.path) as response:
                    if response.status_code == 200:
                        break
                await asyncio.sleep(0.02)


async def test_feeds_that_nobody_watches_are_forgotten_and_nothing_is_looked_for(
    talk: Talk, database: Database
) -> None:
    feeds = Feeds(database)
    listeners = [await feeds.listen(talk.id, None) for _ in range(3)]
    assert len(feeds._feeds) == 1
    for listener in listeners:
        feeds.leave(talk.id, listener)
    assert feeds._looking
    await asyncio.wait_for(feeds._looking, 30)
    assert feeds._feeds == {}
    assert feeds._listening == 0


@pytest.mark.skipif(not hasattr(socket, "TCP_USER_TIMEOUT"), reason="the system cuts off nobody who takes nothing")
async def test_a_client_that_stops_reading_is_let_go(talk: Talk, jobs: Jobs, monkeypatch: pytest.MonkeyPatch) -> None:
    """What waits for it is bounded, and forgotten when that is full; and its socket is closed, or it would count for ever."""
    monkeypatch.setattr(server, "_NOTHING_TAKEN_S", 1.0)
    made = list[Feeds]()
    monkeypatch.setattr(
        sys.modules["gateways.web.app"], "Feeds", lambda database: made.append(Feeds(database)) or made[-1]
    )
    async with serving(jobs) as (_, url):
        async with httpx.AsyncClient(base_url=url) as client:
            await client.get("/health")  # it serves: what connects before that is not cut off
        host = url.removeprefix("http://")
        # A limit of 1: the reader takes a few bytes, and no more than that.
        reader, writer = await asyncio.open_connection("127.0.0.1", int(host.rsplit(":", 1)[1]), limit=1)
        token = AUTHORIZED["Authorization"]
        writer.write(f"GET {talk.path} HTTP/1.1\r\nHost: {host}\r\nAuthorization: {token}\r\n\r\n".encode())
        await reader.read(1)
        (feeds,) = made
        assert feeds._listening == 1
        run = await talk.run(await talk.begin())
        async with asyncio.timeout(60):
            while feeds._feeds:
                run.tell(text("x" * 60_000))
                await talk.live.run_once()
                await asyncio.sleep(0.01)
            while feeds._listening:
                await asyncio.sleep(0.05)
        writer.transport.abort()


async def test_what_does_not_fit_is_refused_by_its_name(talk: Talk, jobs: Jobs) -> None:
    async with calling(door(jobs)) as client:
        assert error_of(await client.get("/api/chat/web_none/events"), 404)["code"] == "no_such_chat"
        assert error_of(await client.get(f"{talk.path}?after=0"), 422)["field"] == "after"
        wrong = await client.get(talk.path, headers={"Last-Event-ID": "x"})
        assert error_of(wrong, 422)["field"] == "Last-Event-ID"
