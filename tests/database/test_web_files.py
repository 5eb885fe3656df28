"""Messages with files by the web door: taken as those of Telegram are, once under a key, given back to their person."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

import pytest
from fastapi import FastAPI
from httpx import AsyncClient, Response

from assistant import chats
from assistant.chats import CHAT_TURN
from assistant.settings import MediaSettings, VoiceSettings
from assistant.transcription import QUEUE, TRANSCRIBE
from gateways.web import sending
from handlers.transcribe import Transcriptions
from jobs_core import Connection, Database, HandlerTable, Jobs, fetch
from tests.support.media import HEARS, program
from tests.support.pictures import PNG
from tests.support.web import calling, door, error_of
from workers import testing

LINES = b"a,b\n" * 200_000
NOTES = ("file", ("notes.csv", LINES))
CAT = ("file", ("cat.png", PNG))
VOICE = ("voice", ("v.ogg", b"call me back"))


@pytest.fixture
async def jobs(database: Database) -> AsyncIterator[Jobs]:
    """Jobs of chats, and what hears voice messages: a clip is the text that is heard in it."""
    async with Jobs(database, HandlerTable()) as made:
        made.table.declare(CHAT_TURN)
        hearing = Transcriptions(database, VoiceSettings.read(), program(HEARS))
        made.table.register_handler(TRANSCRIBE, hearing.run)
        yield made


@pytest.fixture
def served(jobs: Jobs) -> FastAPI:
    return door(jobs, chat_wait_s=0.0)


@pytest.fixture
async def hearing(jobs: Jobs) -> AsyncIterator[None]:
    """A worker that hears voice messages."""

    async def work() -> None:
        while True:
            await testing.drain(jobs, QUEUE)
            await asyncio.sleep(0.05)

    task = asyncio.create_task(work())
    yield
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def send(client: AsyncClient, *parts: Any, key: str | None = None, **fields: str) -> Response:
    headers = {} if key is None else {"Idempotency-Key": key}
    return await client.post("/api/chat", data=fields, files=parts, headers=headers)


async def said(conn: Connection) -> list[chats.Said]:
    """What people have said, with what came with it."""
    rows = await fetch(
        conn, "SELECT id, content, file_bytes FROM jobs.chat_message_history WHERE type = 'human' ORDER BY id"
    )
    return await chats._with_files(conn, rows)


async def test_files_come_with_their_message_and_are_given_back(served: FastAPI, conn: Connection) -> None:
    async with calling(served) as client:
        sent = await send(client, NOTES, CAT, message="Look.")
        assert sent.status_code == 202
        (message,) = await said(conn)
        assert (message.content, [file.content for file in message.files]) == ("Look.", [PNG])
        assert [(file.claimed_name, file.media_type, file.bytes) for file in message.media] == [
            ("notes.csv", "text/plain", len(LINES))
        ]
        chat = f"/api/chat/{sent.json()['session_id']}"
        (line,) = (await client.get(f"{chat}/messages")).json()["messages"]
        assert [file["name"] for file in line["files"]] == ["cat.png", "notes.csv"]
        for nth, (content, kind, name) in enumerate(
            ((PNG, "image/png", "cat.png"), (LINES, "text/plain; charset=utf-8", "notes.csv")), start=1
        ):
            given = await client.get(f"{chat}/files/{line['id']}/{nth}")
            assert (given.content, given.headers["content-type"]) == (content, kind)
            assert given.headers["content-disposition"] == f'attachment; filename="{name}"'
        assert error_of(await client.get(f"{chat}/files/{line['id']}/3"), 404)["code"] == "no_such_file"
        assert error_of(await client.get(f"/api/chat/other/files/{line['id']}/1"), 404)["code"] == "no_such_file"
        await conn.execute("UPDATE jobs.media_files SET state = 'gone'")
        assert error_of(await client.get(f"{chat}/files/{line['id']}/2"), 410)["code"] == "file_gone"


@pytest.mark.usefixtures("hearing")
async def test_a_voice_message_is_heard_before_it_is_said(served: FastAPI, conn: Connection) -> None:
    async with calling(served) as client:
        assert (await send(client, VOICE, message="Soon!")).status_code == 202
    assert [message.content for message in await said(conn)] == [
        "[Voice message, transcribed:] call me back\nSoon!",
    ]


async def test_a_voice_message_that_nobody_hears_in_time_is_taken_without_its_words(
    served: FastAPI, conn: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sending, "HEARD_WITHIN_S", 0.3)
    async with calling(served) as client:
        assert (await send(client, VOICE)).status_code == 202
    assert [message.content for message in await said(conn)] == [
        "[Voice message. It was not transcribed: that took too long]\n",
    ]
    assert await fetch(conn, "SELECT FROM jobs.jobs WHERE job_type = 'transcribe' AND state = 'pending'") == []


async def test_what_is_sent_again_under_its_key_is_the_same_message_and_nothing_else_is(
    served: FastAPI, conn: Connection
) -> None:
    async with calling(served) as client:
        first, again = [await send(client, NOTES, CAT, key="k", message="Look.") for _ in range(2)]
        assert first.json() == again.json()
        for other in (
            await send(client, CAT, key="k", message="Look."),
            await send(client, ("file", ("notes.csv", LINES[:-1] + b"!")), CAT, key="k", message="Look."),
            await send(client, ("file", ("other.csv", LINES)), CAT, key="k", message="Look."),
            await client.post("/api/chat", json={"message": "Look."}, headers={"Idempotency-Key": "k"}),
        ):
            assert error_of(other, 422)["code"] == "key_reused"
        assert (
            await client.post("/api/chat", json={"message": "x"}, headers={"Idempotency-Key": "j"})
        ).status_code == 202
        assert error_of(await send(client, NOTES, key="j", message="x"), 422)["code"] == "key_reused"
        await send(client, NOTES, key="i", message="y")  # what it brings stands apart from its message
        without = await client.post("/api/chat", json={"message": "y"}, headers={"Idempotency-Key": "i"})
        assert error_of(without, 422)["code"] == "key_reused"
    assert [message.content for message in await said(conn)] == ["Look.", "x", "y"]


async def test_of_several_at_once_under_one_key_one_is_taken(served: FastAPI, conn: Connection) -> None:
    async with calling(served) as client:
        answers = await asyncio.gather(*(send(client, NOTES, key="k", message="Look.") for _ in range(5)))
    assert len({answer.json()["message_id"] for answer in answers}) == 1
    assert len(await said(conn)) == 1


NOT_TAKEN: tuple[tuple[str, list[Any], int, str], ...] = (
    ("a program", [("file", ("x", b"\x7fELF\x02\0"))], 422, "file_not_taken"),
    ("too large", [("file", ("x", b"y" * 2_000_001))], 413, "too_long"),
    ("empty", [("file", ("x", b""))], 422, "invalid_input"),
    ("another field", [("role", ("x", b"owner"))], 422, "invalid_input"),
    ("too many", [CAT] * 11, 400, "bad_form"),
    ("beyond a day's", [CAT, ("file", ("y", b"y" * 1_999_999))] * 2, 422, "file_not_taken"),
)


LIMITS = MediaSettings.read(media_max_bytes=2_000_000, media_day_bytes=3_000_000)


async def test_what_is_not_taken_is_refused_whole(jobs: Jobs, conn: Connection) -> None:
    async with calling(door(jobs, chat_wait_s=0.0, media=LIMITS)) as client:
        for what, parts, status, code in NOT_TAKEN:
            assert error_of(await send(client, *parts, message="Look."), status)["code"] == code, what
    assert await said(conn) == []


async def test_of_a_message_that_is_not_taken_no_file_is_kept_or_counted(jobs: Jobs, conn: Connection) -> None:
    async with calling(door(jobs, chat_wait_s=0.0, media=LIMITS)) as client:
        for _ in range(4):  # more than a day's, if they counted
            refused = await send(client, NOTES, ("file", ("x", b"\x7fELF\x02\0")))
            assert error_of(refused, 422)["message"].startswith("A file is not taken: it is of a type")
        await asyncio.gather(*(send(client, NOTES, key="k", message="Look.") for _ in range(2)))
    assert await fetch(conn, "SELECT count(*) AS n FROM jobs.media_files WHERE state = 'here'") == [{"n": 1}]
    assert await fetch(conn, "SELECT DISTINCT file_id FROM jobs.media_pieces") == await fetch(
        conn, "SELECT file_id FROM jobs.message_media"
    )


NAMED = b'--a\r\nContent-Disposition: form-data; name="%b"\r\n\r\n%b\r\n--a--\r\n'


async def test_what_is_no_form_is_refused_with_a_reason(served: FastAPI, conn: Connection) -> None:
    async with calling(served) as client:
        for kind, body in (
            ("multipart/form-data", b"x"),
            ("multipart/form-data; boundary=a", b"x"),
            ("multipart/form-data; boundary=a", b"--a\r\nContent-Disposition: form-data\r\n\r\nx\r\n--a--\r\n"),
            ("multipart/form-data; boundary=a", NAMED % (b"message", b"\0")),
            ("multipart/form-data; boundary=a", NAMED % (b"role", b"owner")),
            ("multipart/form-data; boundary=a", NAMED % (b"message", b"x" * 300_000)),
            ("multipart/form-data; boundary=a", NAMED % (b'file"; filename="\xff', b"")),
            ("multipart/form-data; charset=utf-8; charset=punycode; boundary=a", NAMED % (b"message-", b"x-")),
        ):
            response = await client.post("/api/chat", content=body, headers={"Content-Type": kind})
            assert response.status_code in {400, 422}, response.text
            assert error_of(response, response.status_code)["message"]
    assert await said(conn) == []


async def test_a_name_that_would_break_a_header_or_a_path_is_told_as_a_name(served: FastAPI) -> None:
    name = '..%2f"; filename="x.html\u202e'
    async with calling(served) as client:
        sent = (await send(client, ("file", (name, b"text")), message="x")).json()
        given = await client.get(f"/api/chat/{sent['session_id']}/files/{sent['message_id']}/1")
        assert given.status_code == 200
        disposition = given.headers["content-disposition"]
        assert disposition.startswith("attachment; filename*=UTF-8''")
        assert disposition.count('"') == disposition.count("\u202e") == 0


async def test_a_body_that_never_ends_is_read_no_further_than_it_may_be(
    jobs: Jobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateways.web.forms.MAX_FILES", 1)
    sent = 0

    async def endless() -> Any:
        nonlocal sent
        yield b'--a\r\nContent-Disposition: form-data; name="file"; filename="x"\r\n\r\n'
        for _ in range(64):
            sent += 65_536
            yield b"x" * 65_536

    async with calling(door(jobs, media=MediaSettings.read(media_max_bytes=1_000_000))) as client:
        headers = {"Content-Type": "multipart/form-data; boundary=a"}
        refused = await client.post("/api/chat", content=endless(), headers=headers)
        assert error_of(refused, 413)["code"] == "too_long"
    assert sent == 64 * 65_536
