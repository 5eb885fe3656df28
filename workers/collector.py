"""Writes of many runs, collected: hundreds of starts, or of settles, cost one statement and one commit.

    add, submit ─▶ waiting ─ at most 500 ─▶ write (fenced) ─▶ each run is told: written, or its lease is lost
                      ▲                          │ Postgres is away: the same ones again, until it answers
                      └── more came meanwhile ◀──┘

One statement is under way at a time; what comes meanwhile makes the next. A lane's head, a job with
limits, and an outcome with `also`, never stand here: whoever holds their locks would stall all the others.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterator, Sequence
from itertools import chain
from typing import Generic, Protocol, TypeVar

import structlog

from jobs_core import AnyJob, Connection, Database, LeaseLost, metrics
from jobs_core.away import repeat_while_away

log = structlog.get_logger()

_MOST = 500
"""Runs in one statement: twice as many gain nothing, and hold their locks twice as long."""
_MOST_BYTES = 8 * 1024 * 1024
_FULL = 4 * _MOST


class _OfJob(Protocol):
    @property
    def job(self) -> AnyJob: ...


T = TypeVar("T", bound=_OfJob)


class Collector(Generic[T]):
    """Writes what it is given until `run` is cancelled.

    `write(conn, items, unsure)` returns the ids of the jobs that it wrote; unsure: an earlier call may have written them, whose
    answer was lost. `on_refused` gets an item that nobody waits for and Postgres refuses. size: of an item, in bytes.
    """

    def __init__(
        self,
        database: Database,
        write: Callable[[Connection, Sequence[T], bool], Awaitable[set[int]]],
        *,
        on_refused: Callable[[T, Exception], object] | None = None,
        size: Callable[[T], int] = lambda _: 0,
    ) -> None:
        self._database = database
        self._write = write
        self._on_refused = on_refused
        self._size = size
        self._bytes = 0
        self._waiting = deque[tuple[T, asyncio.Future[None] | None]]()
        self._writing: Sequence[tuple[T, asyncio.Future[None] | None]] = ()
        self._something = asyncio.Event()
        self._written = asyncio.Event()

    def add(self, item: T) -> None:
        """Write it; nobody waits for it: a lost lease is counted and logged here."""
        self._put(item, None)

    async def submit(self, item: T) -> None:
        """Write it and return when that is durable. Raises LeaseLost, and what Postgres refuses it with."""
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._put(item, done)
        await done

    @property
    def is_full(self) -> bool:
        """Whether who adds should wait first: so much is under way already."""
        return len(self._waiting) >= _FULL or self._bytes >= _MOST_BYTES

    async def has_room(self) -> None:
        """Return when it is not full."""
        await self._until(lambda: not self.is_full)

    async def is_empty(self) -> None:
        """Return when all that was given is written."""
        await self._until(lambda: not self._waiting and not self._writing)

    def held(self) -> Iterator[int]:
        """Ids of the jobs that are not written yet."""
        return (item.job.id for item, _ in chain(self._waiting, self._writing))

    async def run(self) -> None:
        """Write until cancelled."""
        while True:
            await self._something.wait()
            self._something.clear()
            while self._waiting:
                self._writing = [*self._next()]
                try:
                    await self._write_all(self._writing)
                finally:
                    self._writing = ()
                    self._written.set()

    def _put(self, item: T, done: asyncio.Future[None] | None) -> None:
        self._waiting.append((item, done))
        self._bytes += self._size(item)
        self._something.set()

    def _next(self) -> Iterator[tuple[T, asyncio.Future[None] | None]]:
        """What the next statement writes: one at least, and no more than it should."""
        n_bytes = 0
        for n in range(min(len(self._waiting), _MOST)):
            size = self._size(self._waiting[0][0])
            n_bytes += size
            if n and n_bytes > _MOST_BYTES:
                return
            self._bytes -= size
            yield self._waiting.popleft()

    async def _write_all(self, batch: Sequence[tuple[T, asyncio.Future[None] | None]]) -> None:
        try:
            written = await self._written_of([item for item, _ in batch])
        except Exception as error:  # noqa: BLE001 - one that Postgres refuses must not keep the others
            if len(batch) == 1:
                self._refuse(*batch[0], error)
                return
            for half in (batch[: len(batch) // 2], batch[len(batch) // 2 :]):
                await self._write_all(half)
            return
        for item, done in batch:
            if item.job.id not in written:
                _lost(item.job, done)
            elif done and not done.done():
                done.set_result(None)

    async def _written_of(self, items: Sequence[T]) -> set[int]:
        unsure = False

        async def once(conn: Connection) -> set[int]:
            nonlocal unsure
            earlier, unsure = unsure, True
            return await self._write(conn, items, earlier)

        return await repeat_while_away(self._database, once)

    def _refuse(self, item: T, done: asyncio.Future[None] | None, error: Exception) -> None:
        if done is None:
            assert self._on_refused, "whoever adds must say"
            self._on_refused(item, error)
        elif not done.done():
            done.set_exception(error)

    async def _until(self, holds: Callable[[], bool]) -> None:
        while not holds():
            self._written.clear()
            await self._written.wait()


def _lost(job: AnyJob, done: asyncio.Future[None] | None) -> None:
    if done is None:
        metrics.stale_writes.labels(job.job_type).inc()
        log.warning("run.lost", job_id=job.id, job_type=job.job_type, token=job.token)
    elif not done.done():
        done.set_exception(LeaseLost(f"job {job.id}: token {job.token} is no longer the job's; nothing was written"))
