"""Webhooks at a rate: a thousand signed events a second to a door of its own process, while a worker drains what they become.

    sender: event n is due at n/1000 s ─▶ a free connection ─▶ door ─▶ Postgres ◀─ worker
            ms: from when it was due until its answer was read, so that a door that lags is not asked less

All of them, sender and Postgres too, share the machine.
"""

import asyncio
import json
import os
import socket
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Self

import psutil

from benchmarks.contender import Contender
from benchmarks.contenders.script import TEXT
from benchmarks.contenders.us import BRIEF
from benchmarks.errors import BenchFailed
from benchmarks.server import Server
from cli.child import ours
from cli.settings import CHECKOUT
from gateways.webhooks import signing
from gateways.webhooks.sources import add_source, define
from jobs_core import db

PER_S = 1_000
_SOURCE = "bench"
_CONNECTIONS = 64
_WARM_UP = 200
_WITHIN_S = 60.0
_MAPPING = {
    "filter": "body.type == 'order.paid'",
    "input": {"text": "body.data.text", "sent": 0},
}


@dataclass(frozen=True, slots=True)
class Received:
    """ms: of each event, from due to answered. door_ms: CPU of the door's process for one."""

    answered_per_s: float
    drained_per_s: float
    ms: Sequence[float]
    door_ms: float


async def received(server: Server, contender: Contender, seconds: float) -> Received:
    """Send for so long. Raises BenchFailed where an event is not taken."""
    events = round(seconds * PER_S)
    async with server.fresh() as dsn:
        async with await db.connect(dsn, name="bench") as conn:
            definition = define({"job_type": BRIEF.name, "mapping": _MAPPING, "cap_per_minute": None})
            secret = await add_source(conn, _SOURCE, definition)
        async with _door(dsn) as (process, port), _Sender(port, secret) as sender, contender.working(dsn, 1) as fleet:
            fleet.go()
            await sender.send(_WARM_UP)
            door = psutil.Process(process)
            before, began = sum(door.cpu_times()[:2]), time.monotonic()
            ms = await sender.send(events)
            took_s, spent_s = time.monotonic() - began, sum(door.cpu_times()[:2]) - before
            if not await fleet.until(_WARM_UP + events, _WITHIN_S):
                raise BenchFailed(f"webhooks: only {fleet.handled:,} of {events:,} jobs were drained")
            drained_s = time.monotonic() - began
    return Received(events / took_s, events / drained_s, ms, 1000 * spent_s / events)


@asynccontextmanager
async def _door(dsn: str) -> AsyncIterator[tuple[int, int]]:
    """The pid and port of a web API that takes events."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        command = [*ours("-m", "benchmarks.contenders.door"), str(listener.fileno())]
        process = await asyncio.create_subprocess_exec(
            *command,
            cwd=CHECKOUT,
            env={**os.environ, "PYTHONPATH": str(CHECKOUT), "BENCH_DSN": dsn},
            pass_fds=[listener.fileno()],
        )
    try:
        yield process.pid, port
    finally:
        process.terminate()
        await process.wait()


class _Sender:
    """So many connections that are kept; HTTP as plain as it can be, for its CPU is the door's as well."""

    def __init__(self, port: int, secret: str) -> None:
        self._port = port
        self._secret = secret
        self._free: asyncio.Queue[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = asyncio.Queue()
        self._sent = 0

    async def __aenter__(self) -> Self:
        for _ in range(_CONNECTIONS):
            self._free.put_nowait(await asyncio.open_connection("127.0.0.1", self._port))
        return self

    async def __aexit__(self, *_: object) -> None:
        while not self._free.empty():
            self._free.get_nowait()[1].close()

    async def send(self, events: int) -> list[float]:
        """Send so many at the rate; the milliseconds of each. Raises BenchFailed."""
        began, sending = time.monotonic(), list[asyncio.Task[float]]()
        for n in range(events):
            due = began + n / PER_S
            if (wait_s := due - time.monotonic()) > 0:
                await asyncio.sleep(wait_s)
            sending.append(asyncio.create_task(self._one(due)))
        async with asyncio.timeout(_WITHIN_S):
            return list(await asyncio.gather(*sending))

    async def _one(self, due: float) -> float:
        request = self._request()
        reader, writer = connection = await self._free.get()
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 202 "):
            raise BenchFailed(f"webhooks: an event was answered with {head.partition(bytes([13]))[0].decode()}")
        length = head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]
        await reader.readexactly(int(length))
        took_ms = 1000 * (time.monotonic() - due)
        self._free.put_nowait(connection)
        return took_ms

    def _request(self) -> bytes:
        self._sent += 1
        event = {
            "type": "order.paid",
            "data": {"text": TEXT, "order": self._sent, "lines": [{"sku": "a", "n": 1}] * 20},
        }
        body = json.dumps(event).encode()
        headers = signing.sign([self._secret], f"msg_{self._sent}", int(time.time()), body)
        lines = [f"POST /hooks/{_SOURCE} HTTP/1.1", "Host: bench", f"Content-Length: {len(body)}"]
        lines += ["Content-Type: application/json", *(f"{name}: {value}" for name, value in headers.items())]
        return "\r\n".join([*lines, "", ""]).encode() + body
