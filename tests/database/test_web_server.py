"""The door behind a real socket: it serves, refuses what is not HTTP, and ends when it is told to."""

import asyncio
import socket

import httpx
import pytest

from jobs_core import ConfigurationError, Connection, Jobs, fetch
from tests.support.web import AUTHORIZED, door, serving


async def test_a_caller_is_served_over_a_socket(jobs: Jobs) -> None:
    async with serving(jobs) as (_, url), httpx.AsyncClient(base_url=url) as client:
        assert (await client.get("/health")).status_code == 503
        assert (await client.get("/api/jobs")).status_code == 401
        assert (await client.get("/api/jobs", headers=AUTHORIZED)).json() == {"jobs": []}
        assert (await client.get("/health", headers={"Host": "evil.example"})).status_code == 421
        answer = await client.get("/health")
        assert "server" not in answer.headers


async def test_an_answers_parts_are_sent_as_they_come(jobs: Jobs) -> None:
    """Else Nagle's algorithm keeps what follows the head for the 40 ms after which a client acknowledges that."""
    async with serving(jobs) as (_, url), httpx.AsyncClient(base_url=url) as client:
        await client.get("/health")
        open_sockets = [one.get_extra_info("socket") for one in asyncio.get_running_loop()._transports.values()]  # type: ignore[attr-defined]  # asyncio names them nowhere else
        [served] = [one for one in open_sockets if one.getsockname() == ("127.0.0.1", client.base_url.port)]
        assert served.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


async def test_a_body_that_is_too_long_gets_its_answer_over_a_socket(jobs: Jobs) -> None:
    async with serving(jobs) as (_, url), httpx.AsyncClient(base_url=url, headers=AUTHORIZED) as client:
        assert (await client.post("/api/jobs", content=b"x" * 20_000_000)).status_code == 413


@pytest.mark.parametrize(
    "sent",
    [
        b"\x16\x03\x01 not http\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET /health HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        b"POST /api/jobs HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"GET /health HTTP/1.1\r\nX: " + b"x" * 200_000 + b"\r\n\r\n",
    ],
    ids=lambda sent: repr(sent[:24]),
)
async def test_what_is_not_good_http_is_refused_and_others_are_served_on(jobs: Jobs, sent: bytes) -> None:
    async with serving(jobs) as (_, url):
        reader, writer = await asyncio.open_connection("127.0.0.1", int(url.rsplit(":", 1)[1]))
        writer.write(sent)
        status_line = await asyncio.wait_for(reader.readline(), 30)
        assert status_line.split()[1][:1] == b"4"
        writer.close()
        async with httpx.AsyncClient(base_url=url) as client:
            assert (await client.get("/health")).status_code == 503


async def test_a_door_that_is_ended_answers_who_waits_and_is_gone(jobs: Jobs, conn: Connection) -> None:
    async with serving(jobs) as (task, url), httpx.AsyncClient(base_url=url, timeout=60, headers=AUTHORIZED) as client:
        asking = asyncio.create_task(client.post("/api/chat", json={"message": "hello"}))
        async with asyncio.timeout(30):
            while not await fetch(conn, "SELECT FROM jobs.jobs"):
                await asyncio.sleep(0.01)
        task.cancel()
        assert (await asking).status_code == 202
        with pytest.raises(asyncio.CancelledError):
            await task
        with pytest.raises(httpx.ConnectError):
            await client.get("/health")


def test_a_token_that_could_be_guessed_is_refused(jobs: Jobs) -> None:
    with pytest.raises(ConfigurationError):
        door(jobs, token="short")
