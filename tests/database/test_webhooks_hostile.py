"""What strangers do to the door of webhooks over a socket: it stays small, answers, and serves others meanwhile."""

import asyncio
import gzip
import json
import time
from collections.abc import AsyncIterator
from contextlib import suppress

import httpx
import psutil
import pytest

from gateways.web import server, webhook_body
from gateways.web.webhook_body import Body, Held
from jobs_core import Connection, Database, Jobs, execute, fetch
from tests.support.web import calling, door, error_of, serving
from tests.support.webhooks import a_source, hooks, notes, post, sending, standard, told

MB = 1_000_000


@pytest.fixture
async def url(jobs: Jobs, conn: Connection) -> AsyncIterator[str]:
    """A door on a socket, with a source."""
    await a_source(conn)
    async with serving(jobs) as (_, url):
        yield url


async def raw(url: str, head: str, chunks: AsyncIterator[bytes] | None = None) -> tuple[int, int]:
    """The status that a request gets, and how many bytes of its body were taken from us before the line was cut."""
    reader, writer = await asyncio.open_connection("127.0.0.1", int(url.rsplit(":", 1)[1]))
    writer.write(f"POST /hooks/shop HTTP/1.1\r\nHost: hooks.example\r\n{head}\r\n\r\n".encode())
    sent = 0
    with suppress(ConnectionError):
        async for chunk in chunks or _none():
            writer.write(chunk)
            await asyncio.wait_for(writer.drain(), 30)
            sent += len(chunk)
    line = b""
    with suppress(ConnectionError):
        line = await asyncio.wait_for(reader.readline(), 30)
    writer.close()
    return int(line.split()[1]) if line else 0, sent


async def _none() -> AsyncIterator[bytes]:
    for _ in ():
        yield b""


async def parts(n: int, part: bytes, *, chunked: bool = False) -> AsyncIterator[bytes]:
    for _ in range(n):
        yield b"%x\r\n%s\r\n" % (len(part), part) if chunked else part
    if chunked:
        yield b"0\r\n\r\n"


async def test_a_hundred_megabytes_are_not_read(url: str) -> None:
    before = psutil.Process().memory_info().rss
    part = b"x" * 100_000
    announced = await raw(url, f"Content-Length: {100 * MB}", parts(1000, part))
    chunked = await raw(url, "Transfer-Encoding: chunked", parts(1000, part, chunked=True))
    assert {announced[0], chunked[0]} <= {413, 0}  # 0: cut off while it still sent
    for _, sent in (announced, chunked):
        assert sent < 20 * MB  # the door's 4 MiB, and what lies in sockets
    assert psutil.Process().memory_info().rss - before < 60 * MB


async def test_a_body_that_is_a_little_too_long_gets_its_answer(url: str, conn: Connection) -> None:
    async with httpx.AsyncClient(base_url=url) as client:
        body = told("x" * 2**20)
        for content in (body, _in_parts(body)):
            answer = await client.post("/hooks/shop", content=content, headers=standard(body))
            assert error_of(answer, 413)["code"] == "too_long"
        whole = told("x" * (2**18 - 1000)) + b" " * (2**20 - 2**18)
        assert (await post(client, whole[: 2**20])).status_code == 202
    assert len(await fetch(conn, "SELECT FROM jobs.webhook_events")) == 1


async def _in_parts(body: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(body), 50_000):
        yield body[start : start + 50_000]


async def test_what_is_compressed_is_not_taken(url: str, conn: Connection) -> None:
    bomb = gzip.compress(b" " * 50 * MB, 1)
    async with httpx.AsyncClient(base_url=url) as client:
        for encoding in ("gzip", "deflate", "br", "gzip, identity", "x" * 5000):
            answer = await client.post(
                "/hooks/shop", content=bomb, headers=standard(bomb) | {"Content-Encoding": encoding}
            )
            assert error_of(answer, 415)["code"] == "encoded"
        plain = told()
        assert (await post(client, plain, standard(plain) | {"Content-Encoding": "identity"})).status_code == 202
    assert len(await fetch(conn, "SELECT FROM jobs.webhook_events")) == 1


LIES = (
    "Content-Length: -1",
    "Content-Length: 5\r\nContent-Length: 6",
    "Content-Length: 5\r\nTransfer-Encoding: chunked",
    "Content-Length: 1e9",
    "Content-Length: " + "9" * 30,
    "Transfer-Encoding: gzip, chunked",
)


async def test_a_length_that_lies_gets_nowhere(url: str, conn: Connection) -> None:
    for head in LIES:
        status, _ = await raw(url, head, parts(1, b"0\r\n\r\n"))
        assert 400 <= status < 600, head
    assert await fetch(conn, "SELECT FROM jobs.webhook_events") == []


async def test_a_body_that_is_cut_off_is_none(url: str, conn: Connection, database: Database) -> None:
    body = told()
    head = "\r\n".join(f"{name}: {value}" for name, value in standard(body).items())
    _, writer = await asyncio.open_connection("127.0.0.1", int(url.rsplit(":", 1)[1]))
    writer.write(
        f"POST /hooks/shop HTTP/1.1\r\nHost: h\r\n{head}\r\nContent-Length: {len(body) + 1}\r\n\r\n".encode() + body
    )
    await writer.drain()
    writer.close()
    async with httpx.AsyncClient(base_url=url) as client:
        assert (await post(client, told("after it"))).status_code == 202
    assert await notes(database) == ["after it"]


async def test_a_sender_that_sends_nothing_is_let_go() -> None:
    async def receive() -> dict[str, object]:
        await asyncio.sleep(3600)
        return {}

    with Body({}, receive, Held()) as body, pytest.raises(Exception, match=r"within 0\.01 s") as refused:
        await body.read(within_s=0.01)
    assert refused.value.status == 408  # type: ignore[attr-defined]


async def test_who_sends_no_head_is_cut_off_and_who_sends_a_slow_body_is_not(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Strangers with a thousand connections that send nothing kept everybody else out."""
    monkeypatch.setattr(server, "_HEAD_WITHIN_S", 0.3)
    port = int(url.rsplit(":", 1)[1])
    request = b"POST /hooks/shop HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\n"
    for whole, begun in ((b"", b""), (b"", request[:-2]), (request + b"{}", request[:-2])):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(whole)
        assert not whole or b"401" in await asyncio.wait_for(reader.readuntil(b'"field":null}}'), 30)
        writer.write(begun)
        assert await asyncio.wait_for(reader.read(), 30) == b""
        writer.close()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for part in (request + b"{", b"}"):
        writer.write(part)
        await asyncio.sleep(0.5)
    assert b"401" in await asyncio.wait_for(reader.readline(), 30)
    writer.close()


async def test_many_bodies_at_once_hold_no_more_than_their_share(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webhook_body, "_MOST_HELD_BYTES", 1500)
    monkeypatch.setattr(webhook_body, "_FREE_BYTES", 300)
    held = Held()

    async def receive() -> dict[str, object]:
        return {"type": "http.request", "body": b"x" * 1000}

    with Body({}, receive, held) as one, Body({}, receive, held) as two, Body({}, receive, held) as three:
        await one.read()
        await two.read()
        with pytest.raises(Exception, match="Too much") as refused:
            await three.read()
        assert refused.value.headers["Retry-After"]  # type: ignore[attr-defined]
    assert held.n == 0
    held.n = 9999
    monkeypatch.setattr(webhook_body, "_FREE_BYTES", 1000)
    with Body({}, receive, held) as short:
        assert len(await short.read()) == 1000


async def test_an_unknown_source_takes_as_long_as_a_wrong_signature(url: str) -> None:
    """As far as a megabyte's HMAC shows it, which alone takes longer than a request."""
    body = json.dumps({"x": "y" * 1_000_000}).encode()
    forged = standard(body, secret="whsec_" + "A" * 44)
    async with httpx.AsyncClient(base_url=url) as client:
        spent: dict[str, list[float]] = {"shop": [], "nobody": []}
        for _ in range(6):
            for source, times in spent.items():
                began = time.perf_counter()
                assert (await post(client, body, forged, source)).status_code in (401, 404)
                times.append(time.perf_counter() - began)
    assert 1 / 3 < min(spent["shop"]) / min(spent["nobody"]) < 3


async def test_while_the_database_is_away_nothing_is_acknowledged(jobs: Jobs) -> None:
    async with Database("postgresql://nobody@127.0.0.1:1/none", name="tests, nowhere") as away:
        nowhere = Jobs(away, jobs.table)
        async with sending(hooks(nowhere)) as client:
            answers = await asyncio.gather(*(post(client, told(str(n))) for n in range(3)))
    for answer in answers:
        assert error_of(answer, 503)["code"] == "database_away"
        assert answer.headers["retry-after"]


async def test_while_the_database_takes_no_writes_nothing_is_acknowledged(
    jobs: Jobs, conn: Connection, database: Database
) -> None:
    """As after a failover, where the door still reaches what was the primary."""
    for name, cap in (("capped", 10), ("free", None)):
        await a_source(conn, name, cap_per_minute=cap)
    await execute(conn, READ_ONLY)
    async with Database(database.dsn, name="tests, read only") as standby:
        served = door(Jobs(standby, jobs.table))
        async with sending(served) as client, calling(served) as caller:
            answers = [await post(client, told(), source=name) for name in ("capped", "free")]
            answers.append(await caller.delete("/api/hooks/free"))
    for answer in answers:
        assert error_of(answer, 503)["code"] == "database_away"
        assert answer.headers["retry-after"]


READ_ONLY = """DO $$ BEGIN
    EXECUTE format('ALTER DATABASE %I SET default_transaction_read_only = on', current_database());
END $$"""


async def test_a_request_that_ends_before_its_answer_harms_no_other(jobs: Jobs, conn: Connection) -> None:
    await a_source(conn)
    for steps in range(0, 48, 4):
        async with sending(hooks(jobs, fresh_s=1.0)) as client:
            gone, stays = (asyncio.create_task(post(client, told(f"{name} {steps}"))) for name in ("gone", "stays"))
            for _ in range(steps):
                await asyncio.sleep(0)
            gone.cancel()
            assert (await stays).status_code == 202
            assert (await post(client, told(f"last {steps}"))).status_code == 202


async def test_no_secret_is_in_what_a_door_or_a_source_says_of_itself(
    jobs: Jobs, conn: Connection, caplog: pytest.LogCaptureFixture
) -> None:
    secret = "whsec_" + "c2VjcmV0Y2FuYXJ5" * 2 + "c2Vj"
    await a_source(conn, secret=secret)
    served = hooks(jobs)
    async with sending(served) as client:
        answers = [await post(client, told(), {"webhook-signature": secret}), await post(client, told())]
    shown = repr([served._own._inner._known._sources]) + "".join(answer.text for answer in answers) + caplog.text  # type: ignore[attr-defined]
    assert "shop" in shown
    assert secret[6:] not in shown
    kept = await fetch(conn, "SELECT e::text AS row FROM jobs.webhook_events AS e")
    assert all(secret[6:] not in row["row"] for row in kept)
