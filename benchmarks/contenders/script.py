"""What a contender written in Python is, and the process that it runs in. Standard library only: peers have their own.

    python -m benchmarks.contenders.NAME install
    python -m benchmarks.contenders.NAME producer     a line of JSON in, one out: {"do": "create_bulk", "jobs": 5000 …}
    python -m benchmarks.contenders.NAME worker       says {"ready": true}, waits for a line, then drains and reports

The database is BENCH_DSN. Whoever started it holds the other end of its stdin: when that closes, it ends.
A worker reports {"handled": so far, "first": when it handled its first, "ms": [from create to start …]} when that changed,
200 times a second at most. Times are CLOCK_MONOTONIC, which is one clock for all processes of a machine.
"""

import asyncio
import json
import os
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol

Payload = dict[str, Any]
REPORT_S = 0.005
TEXT = "x" * 64


class Producer(Protocol):
    """Creates jobs over one connection."""

    async def create_one(self, payload: Payload) -> None:
        """One durable job."""

    async def create_bulk(self, payloads: Sequence[Payload], kind: str) -> None:
        """As many durable jobs in the contender's fastest documented way; kind: ready, deferred (by a day), or its own."""


class Meter:
    """What a worker has handled, and the telling of it."""

    def __init__(self) -> None:
        self._handled, self._told = 0, 0
        self._first = self._told_at = 0.0
        self._ms: list[float] = []

    def handled(self, sent: float) -> None:
        """The handler has been called with a job created at `sent`, or 0 where nobody asks."""
        now = time.monotonic()
        self._handled += 1
        self._first = self._first or now
        if sent:
            self._ms.append((now - sent) * 1000)

    def tell(self) -> None:
        """Report what is new, unless the last report was a moment ago."""
        now = time.monotonic()
        if self._handled == self._told or now - self._told_at < REPORT_S:
            return
        say({"handled": self._handled, "first": self._first, "ms": self._ms})
        self._told, self._told_at, self._ms = self._handled, now, []

    async def keep_telling(self) -> None:
        """Report until cancelled, beside an event loop's work."""
        while True:
            await asyncio.sleep(REPORT_S)
            self.tell()


class Script(Protocol):
    """A contender."""

    async def install(self, dsn: str) -> None:
        """Make its tables in an empty database."""

    def producer(self, dsn: str) -> AbstractAsyncContextManager[Producer]:
        """A producer with an open connection."""

    async def drain(self, dsn: str, meter: Meter) -> None:
        """Be one worker until the process is told to end."""


def run(script: Script) -> None:
    """Be the process that the command line asks for."""
    (verb,) = sys.argv[1:]
    verbs = {"install": _install, "producer": _produce, "worker": _drain}
    asyncio.run(verbs[verb](script, os.environ["BENCH_DSN"]))


def say(fact: Payload) -> None:
    """One line of JSON on stdout."""
    sys.stdout.write(json.dumps(fact) + "\n")
    sys.stdout.flush()


async def _install(script: Script, dsn: str) -> None:
    await script.install(dsn)


async def _drain(script: Script, dsn: str) -> None:
    say({"ready": True})
    sys.stdin.readline()
    threading.Thread(target=_end_with_stdin, daemon=True).start()
    meter = Meter()
    telling = asyncio.create_task(meter.keep_telling())
    try:
        await script.drain(dsn, meter)
    finally:
        telling.cancel()


async def _produce(script: Script, dsn: str) -> None:
    async with script.producer(dsn) as producer:
        say({"ready": True})
        while line := await asyncio.to_thread(sys.stdin.readline):
            say({"seconds": await _answer(producer, json.loads(line))})


async def _answer(producer: Producer, asked: Payload) -> float:
    began = time.monotonic()
    match asked["do"]:
        case "create_one_by_one":
            for _ in range(asked["jobs"]):
                await producer.create_one({"text": TEXT, "sent": 0.0})
        case "create_bulk":
            for done in range(0, asked["jobs"], asked["batch"]):
                batch = min(asked["batch"], asked["jobs"] - done)
                await producer.create_bulk([{"text": TEXT, "sent": 0.0} for _ in range(batch)], asked["kind"])
        case "pickup":
            for number in range(asked["jobs"]):
                await asyncio.sleep(began + number / asked["per_s"] - time.monotonic())
                await producer.create_one({"text": TEXT, "sent": time.monotonic()})
    return time.monotonic() - began


def _end_with_stdin() -> None:
    sys.stdin.read()
    os._exit(1)
