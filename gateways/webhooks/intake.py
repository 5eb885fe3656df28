"""The intake: what comes while a transaction is under way goes into the next one, so that a commit is paid for by all of them.

    submit ─▶ waiting ─▶ flight: count against caps ─▶ take all in one transaction ─▶ each is answered
                 ▲ a next flight while anything waits        │ one of them cannot be, or somebody holds a lane
                 └────────────────────────────────           └─▶ each in one of its own ─▶ beside the flight, where it is held

Nobody is answered before the commit. Who goes away meanwhile is taken in all the same.
"""

import asyncio
from collections import Counter, deque
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass, field
from typing import Any

import structlog

from gateways.webhooks.errors import NotMapped
from gateways.webhooks.taking import Arrived, Taken, take
from jobs_core import Connection, InvalidInput, Jobs, db, fetch, statement

log = structlog.get_logger()

_FLIGHTS = 2
"""While one waits for its commit, another is put together."""
_MOST_TOGETHER, _MOST_BYTES = 200, 8 * 1024 * 1024
_MOST_WAITING, _MOST_WAITING_BYTES = 5_000, 32 * 1024 * 1024
"""More would wait for longer than senders do, ten seconds mostly; and what is made of a body takes seven times its bytes."""
_LOCK_WAIT_S = 0.02
"""Of many together: one whose lane somebody holds must not keep the others."""
_LOCK_WAIT_ASIDE_S = 1.0
"""Of one whose lane is held for longer than that: for its turn to wait, and then for the lane."""
_ALONE_AT_ONCE, _ASIDE_AT_ONCE = 2, 2
"""Of a door's eight connections: the API's must not run out where lanes are held."""


@dataclass(frozen=True, slots=True)
class OverCap:
    """The source has had its minute's events; left_s: of that minute, by Postgres' clock."""

    left_s: int


Answer = Taken | OverCap


@dataclass(slots=True, eq=False)
class _Waiting:
    arrived: Arrived
    cap: int | None
    answer: "asyncio.Future[Answer]" = field(default_factory=lambda: asyncio.get_running_loop().create_future())

    def tell(self, answer: Answer) -> None:
        if not self.answer.done():  # who asked has gone
            self.answer.set_result(answer)

    def fail(self, error: Exception) -> None:
        if not self.answer.done():
            self.answer.set_exception(error)


class Intake:
    """Takes events in for one door."""

    def __init__(self, jobs: Jobs) -> None:
        self._jobs = jobs
        self._waiting = deque[_Waiting]()
        self._bytes = 0
        self._flying = 0
        self._tasks = set[asyncio.Task[None]]()
        self._alone = asyncio.Semaphore(_ALONE_AT_ONCE)
        self._aside = asyncio.Semaphore(_ASIDE_AT_ONCE)

    async def submit(self, arrived: Arrived, cap: int | None) -> Answer:
        """What became of an event, once that is committed. cap: of its source, events a minute.

        Raises one of ConnectionFailed, db.Retryable, db.LockNotAvailable and db.ReadOnly: then it may be sent again.
        """
        size = len(arrived.body)
        if len(self._waiting) >= _MOST_WAITING or self._bytes + size > _MOST_WAITING_BYTES:
            raise db.SerializationFailure("too many webhook events wait to be taken in: try again")
        waiting = _Waiting(arrived, cap)
        self._waiting.append(waiting)
        if self._flying < _FLIGHTS:
            self._flying += 1
            self._begin(self._fly())
        self._bytes += size
        try:
            return await waiting.answer
        finally:
            self._bytes -= size

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work, name="webhooks")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _fly(self) -> None:
        try:
            while batch := self._next():
                try:
                    await self._take(batch)
                except Exception as error:  # noqa: BLE001 - each of them is told, and the flight goes on for others
                    for one in batch:
                        one.fail(error)
        finally:
            self._flying -= (
                1  # in the step that found nothing waiting: what is submitted after it begins another flight
            )

    def _next(self) -> Sequence[_Waiting]:
        """Those that came first; of two with one key the second waits, to find what became of the first."""
        batch = dict[tuple[str, str], _Waiting]()
        later = deque[_Waiting]()
        size = 0
        while self._waiting and len(batch) < _MOST_TOGETHER and size < _MOST_BYTES:
            one = self._waiting.popleft()
            key = (one.arrived.source, one.arrived.key)
            if key in batch:
                later.append(one)
            else:
                batch[key] = one
                size += len(one.arrived.body)
        self._waiting.extendleft(reversed(later))
        return list(batch.values())

    async def _take(self, batch: Sequence[_Waiting]) -> None:
        async with self._jobs.database.connection() as conn:
            batch = await _within_caps(conn, batch)
            try:
                taken = await self._together(conn, batch)
            except Exception as error:
                if db.will_pass(error) and not isinstance(error, db.Retryable):
                    raise
                if len(batch) > 1:
                    log.info("webhooks.taken_alone", events=len(batch), because=db.describe(error))
                taken = None
        if taken is None:
            await asyncio.gather(*(self._take_alone(one) for one in batch))
            return
        for one, what in zip(batch, taken, strict=True):
            one.tell(what)

    async def _together(self, conn: Connection, batch: Sequence[_Waiting]) -> Sequence[Taken]:
        return await take(self._jobs, conn, [one.arrived for one in batch], lock_wait_s=_LOCK_WAIT_S) if batch else []

    async def _take_alone(self, one: _Waiting) -> None:
        """Where its lane is held it goes on waiting beside the flight, which must not wait with it."""
        try:
            async with self._alone, self._jobs.database.connection() as conn:
                one.tell(await self._take_one(conn, one.arrived, _LOCK_WAIT_S))
        except db.LockNotAvailable:
            self._begin(self._take_aside(one))
        except Exception as error:  # noqa: BLE001 - who asked is told
            one.fail(error)

    async def _take_aside(self, one: _Waiting) -> None:
        try:
            async with asyncio.timeout(_LOCK_WAIT_ASIDE_S):
                await self._aside.acquire()
        except TimeoutError:
            one.fail(db.LockNotAvailable("other webhook events wait for lanes that are held: try again"))
            return
        try:
            async with self._jobs.database.connection() as conn:
                one.tell(await self._take_one(conn, one.arrived, _LOCK_WAIT_ASIDE_S))
        except Exception as error:  # noqa: BLE001 - who asked is told
            one.fail(error)
        finally:
            self._aside.release()

    async def _take_one(self, conn: Connection, arrived: Arrived, lock_wait_s: float) -> Taken:
        try:
            (taken,) = await take(self._jobs, conn, [arrived], lock_wait_s=lock_wait_s)
        except (
            InvalidInput
        ) as error:  # only the queue can tell: a key that stands for another input, a merge that fails
            arrived.made = NotMapped(str(error))
            (taken,) = await take(self._jobs, conn, [arrived], lock_wait_s=lock_wait_s)
        return taken


async def _within_caps(conn: Connection, batch: Sequence[_Waiting]) -> Sequence[_Waiting]:
    """Count those whose source has a cap, tell those beyond it, and return the others."""
    capped = Counter(one.arrived.source for one in batch if one.cap is not None)
    if not capped:
        return batch
    values = {"sources": sorted(capped), "counts": [capped[name] for name in sorted(capped)]}
    rows = await fetch(conn, statement("gateways", "webhook_event/count"), values)
    before = {row["source"]: row["n"] - capped[row["source"]] for row in rows}
    left_s = {row["source"]: row["left_s"] for row in rows}
    within = []
    for one in batch:
        name = one.arrived.source
        if one.cap is not None and before[name] >= one.cap:
            one.tell(OverCap(left_s[name]))
            continue
        before[name] = before.get(name, 0) + 1
        within.append(one)
    return within
