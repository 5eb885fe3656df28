"""A contender as the measures see it: a command for each of its processes, spoken to in lines of JSON.

producing ─▶ Producer.do(…) ─▶ seconds
working ─▶ processes ready ─▶ Fleet.go ─▶ handled … handled ─▶ until n ─▶ SIGTERM (10 s later SIGKILL)
"""

import asyncio
import json
import os
import time
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.errors import BenchFailed
from benchmarks.plan import BATCH
from cli.child import ours
from cli.settings import CHECKOUT

_KEPT = ("PATH", "HOME", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH")
"""Of our environment: nothing that would change a setting of somebody under test."""
_READY_S = 60.0
_STOP_S = 10.0
_LINE_BYTES = 1_000_000


@dataclass(frozen=True, slots=True)
class Contender:
    """One that is measured.

    name: as in the table. command: what its processes are started with, before the verb. mark, unfinished: SQL for how far
    the queue reaches now, and for how many jobs made ready after that mark (%s) are not settled. migrated: its tables are in
    the template. log: where its processes' stderr goes.
    """

    name: str
    command: tuple[str, ...]
    mark: str
    unfinished: str
    log: Path
    migrated: bool = False
    environment: Mapping[str, str] = field(default_factory=dict)

    async def install(self, dsn: str) -> None:
        """Make its tables in a fresh database. Raises BenchFailed."""
        if not self.migrated:
            async with self._process("install", dsn) as process:
                if await asyncio.wait_for(process.wait(), _READY_S):
                    raise self.failed("could not make its tables")

    @asynccontextmanager
    async def producing(self, dsn: str) -> AsyncIterator["Producer"]:
        """A producer process with an open connection."""
        async with self._process("producer", dsn) as process:
            producer = Producer(self, process)
            await producer.answer()
            yield producer

    @asynccontextmanager
    async def working(self, dsn: str, processes: int) -> AsyncIterator["Fleet"]:
        """So many worker processes, imported and waiting for `go`."""
        async with AsyncExitStack() as stack:
            workers = [await stack.enter_async_context(self._process("worker", dsn)) for _ in range(processes)]
            fleet = Fleet(self, workers)
            for worker in workers:
                await _line(self, worker)
            try:
                yield fleet
            finally:
                await fleet.end()

    def failed(self, what: str) -> BenchFailed:
        """The error that says so, with the last line of its log."""
        said = self.log.read_text(errors="replace").strip().splitlines() if self.log.exists() else []
        return BenchFailed(f"{self.name} {what}: {said[-1][:300] if said else 'it said nothing'}")

    @asynccontextmanager
    async def _process(self, verb: str, dsn: str) -> AsyncIterator[Process]:
        environment = {name: os.environ[name] for name in _KEPT if name in os.environ}
        with self.log.open("ab") as log:
            process = await asyncio.create_subprocess_exec(
                *self.command,
                verb,
                cwd=CHECKOUT,
                env={**environment, "PYTHONPATH": str(CHECKOUT), "BENCH_DSN": dsn, **self.environment},
                stdin=PIPE,
                stdout=PIPE,
                stderr=log,
                limit=_LINE_BYTES,
            )
        try:
            yield process
        finally:
            await stop(process)


class Producer:
    """A producer process."""

    def __init__(self, contender: Contender, process: Process) -> None:
        self._contender = contender
        self._process = process

    async def do(self, what: str, jobs: int, **more: Any) -> float:
        """Let it create jobs; returns the seconds that took. Raises BenchFailed."""
        assert self._process.stdin
        self._process.stdin.write(json.dumps({"do": what, "jobs": jobs, **more}).encode() + b"\n")
        return float((await self.answer())["seconds"])

    async def create_bulk(self, jobs: int, kind: str = "ready") -> float:
        """Let it create jobs in calls of `BATCH`; returns the seconds."""
        return await self.do("create_bulk", jobs, kind=kind, batch=BATCH)

    async def answer(self) -> dict[str, Any]:
        """Its next line."""
        return await _line(self._contender, self._process)


class Fleet:
    """Worker processes of one contender, and what they report."""

    def __init__(self, contender: Contender, processes: list[Process]) -> None:
        self._contender = contender
        self._processes = processes
        self._readers: list[asyncio.Task[None]] = []
        self._counts = [0] * len(processes)
        self._news = asyncio.Event()
        self.first_s = 0.0
        """When the first job was handled, on CLOCK_MONOTONIC; 0: none yet."""
        self.ms: list[float] = []
        """From create to start, for jobs created with a time."""

    @property
    def handled(self) -> int:
        """Jobs handled so far, by all."""
        return sum(self._counts)

    def go(self) -> None:
        """Let them work."""
        for number, process in enumerate(self._processes):
            assert process.stdin
            process.stdin.write(b"go\n")
            self._readers.append(asyncio.create_task(self._read(number, process)))

    async def until(self, handled: int, within_s: float) -> bool:
        """Wait until so many jobs were handled; False: not within that time. Raises BenchFailed where a worker ended."""
        with suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                while self.handled < handled:
                    self._news.clear()
                    if any(reader.done() for reader in self._readers):
                        raise self._contender.failed("lost a worker process")
                    await self._news.wait()
        return self.handled >= handled

    async def end(self) -> None:
        """Read no more."""
        for reader in self._readers:
            reader.cancel()
        await asyncio.gather(*self._readers, return_exceptions=True)

    async def _read(self, number: int, process: Process) -> None:
        assert process.stdout
        try:
            while line := await process.stdout.readline():
                report = json.loads(line)
                self._counts[number] = report["handled"]
                self.first_s = min(self.first_s or report["first"], report["first"])
                self.ms += report["ms"]
                self._news.set()
        finally:
            self._news.set()


def python(module: str) -> tuple[str, ...]:
    """The command of a contender that runs in our own environment."""
    return (*ours("-m", f"benchmarks.contenders.{module}"),)


async def stop(process: Process) -> None:
    """End a process of ours: in order, or after 10 s at once."""
    if process.returncode is not None:
        return
    with suppress(ProcessLookupError):
        process.terminate()
    try:
        await asyncio.wait_for(_read_out(process), _STOP_S)
    except TimeoutError:
        process.kill()
        await process.wait()


async def _read_out(process: Process) -> None:
    """Until it has ended; a full pipe would keep it from that."""
    assert process.stdout
    while await process.stdout.read(65_536):
        pass
    await process.wait()


async def _line(contender: Contender, process: Process) -> dict[str, Any]:
    assert process.stdout
    line = await process.stdout.readline()
    if not line:
        raise contender.failed("ended before it answered")
    answer: dict[str, Any] = json.loads(line)
    return answer


def now_s() -> float:
    """The clock that reports are on."""
    return time.monotonic()
