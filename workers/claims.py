"""The claims of one worker id for some job types: when to look for ready jobs, from where, and for how many.

    wait (a wake-up, room made, the poll) ─▶ claim as many as there is room for ─▶ runs.take ─┐
      ▲                                                                                       │
      └──── came back short: nothing is left, as far as this look could see ◀─────────────────┘

A claim goes on a little behind the last one, so that it does not walk over the entries of what was claimed since, which are
dead but cannot be cleaned away while somebody holds a snapshot. What became ready late with a low number is found by a full
look, from the start: after a claim that came back short, and now and then, for a twentieth of the time at most.
"""

import asyncio
import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import structlog

from jobs_core import AnyJob, Database, JobType, db
from jobs_core.claim import FROM_THE_START, any_ready, claim
from jobs_core.tasks import wait_at_most

log = structlog.get_logger()

_AWAY_S = 0.5
_BEHIND = 1_000
"""How far behind its last claim the next one begins, in readiness numbers: they are drawn before they are committed."""
_FULL_LOOK_SHARE = 20
"""Of the time, a full look may take one part in this many: under a pinned snapshot one took 345 ms (postgres.md)."""
_FULL_LOOK_S = 0.25
_FULL_LOOK_WHEN_BUSY_S = 1.0
GATHER_S = 0.002
"""More was ready than there was room for, and there is less than a wave's: short runs make more of it meanwhile, and one job
costs a claim as much as fifty."""
CONTENDED_S, LONGEST_CONTENDED_S = 0.02, 1.0
"""Until the next look when ready jobs were seen but locked by another's claim, which may leave them; then twice as long, …"""


class Runs(Protocol):
    """Where claimed jobs are run; it calls `on_room` when there is room again."""

    on_room: Callable[[], object]

    @property
    def wave(self) -> int:
        """How many jobs are worth a claim at once, where as many are ready; no more are claimed."""

    def room(self) -> int:
        """How many jobs may be claimed now."""

    def take(self, jobs: Sequence[AnyJob]) -> None:
        """Run these."""

    def held(self) -> Iterator[int]:
        """Ids of the jobs it has taken and not settled."""


@dataclass(frozen=True, slots=True)
class Claimer:
    """As whom a shift claims. `poll_s` says how long to wait for a hint, `on_failure` hears of a claim gone wrong."""

    database: Database
    worker_id: int
    queues: list[str]
    poll_s: Callable[[], float]
    on_failure: Callable[[], object]

    def failed(self, error: Exception) -> float:
        """A claim has gone wrong; returns how long to wait before the next one."""
        log.warning("claim.failed", error=db.describe(error))
        self.on_failure()
        return _AWAY_S


def give_up_after_s(job_types: Iterable[JobType[Any]]) -> dict[str, float]:
    """The types by name: when a job of each is to be given up, in seconds from its first claim."""
    return {job_type.name: job_type.give_up_after.total_seconds() for job_type in job_types}


class Cursor:
    """Where the next claim begins; times are the event loop's, in seconds."""

    def __init__(self) -> None:
        self._floors = list(FROM_THE_START)
        self._allowed_at = self._due_at = 0.0

    def floors(self) -> Sequence[int]:
        """A little behind the last claim in each priority class."""
        return self._floors

    def full_look_is_due(self, now_s: float, *, last_was_short: bool) -> bool:
        """Whether the next claim should look from the start."""
        return now_s >= (self._allowed_at if last_was_short else self._due_at)

    def full_look_in_s(self, now_s: float) -> float:
        """How long until a full look is allowed after a short claim."""
        return max(self._allowed_at - now_s, 0.0)

    def claimed(self, jobs: Sequence[AnyJob], *, from_the_start: bool = False) -> None:
        """Go on behind these, which came in order; back to where they stood, too, if a look from the start found them.

        More than one claim's worth may lie there: what stood paused while others were claimed.
        """
        for priority, last in {job.priority: job.ready_seq for job in jobs}.items():
            least = 0 if from_the_start else self._floors[priority]
            self._floors[priority] = max(least, last - _BEHIND)

    def looked_from_the_start(self, began_s: float, now_s: float) -> None:
        """A full look took that long."""
        pause_s = (_FULL_LOOK_SHARE - 1) * (now_s - began_s)
        self._allowed_at = now_s + max(pause_s, _FULL_LOOK_S)
        self._due_at = now_s + max(pause_s, _FULL_LOOK_WHEN_BUSY_S)


class Claims:
    """The loop; `once` is one look."""

    def __init__(self, claimer: Claimer, runs: Runs, job_types: Sequence[JobType[Any]]) -> None:
        self._claimer = claimer
        self._runs = runs
        runs.on_room = self.room_made
        self._give_up_after_s = give_up_after_s(job_types)
        self.job_types = list(self._give_up_after_s)
        self._cursor = Cursor()
        self._look = asyncio.Event()
        self._short = False
        self._news = True
        self._contended_s = CONTENDED_S
        self.lock = asyncio.Lock()
        """Held while a claim for these runs is under way."""

    def wake(self) -> None:
        """Look now: a job may be ready."""
        self._news = True
        self._look.set()

    def room_made(self) -> None:
        """Look again if more was ready than there was room for."""
        if not self._short:
            self._look.set()

    @property
    def left_some(self) -> bool:
        """Whether more was ready than there was room for, as far as the last look saw."""
        return not self._short

    async def run(self) -> None:
        """Claim until cancelled."""
        while True:
            self._look.clear()
            try:
                wait_s = await self.once()
            except Exception as error:  # noqa: BLE001 - a worker that claims no more would live on for nothing
                wait_s = self._claimer.failed(error)
            if wait_s:
                await wait_at_most(self._look, wait_s)
            if not self._short and self._runs.room() < self._runs.wave:
                await asyncio.sleep(GATHER_S)

    async def once(self) -> float:
        """Claim and hand over; returns how long to wait for a wake-up, or for room, before the next look."""
        async with self.lock:  # before the look at the room: whoever else claims for these runs takes of it, too
            return await self._claim()

    async def _claim(self) -> float:
        room = self._runs.room()
        if not room:
            self._short = False
            return self._claimer.poll_s()
        clock = asyncio.get_running_loop().time
        async with self._claimer.database.connection() as conn:
            began_s = clock()
            full_look = self._cursor.full_look_is_due(began_s, last_was_short=self._short)
            jobs = await claim(
                conn,
                worker_id=self._claimer.worker_id,
                queues=self._claimer.queues,
                job_types=self.job_types,
                slots=room,
                give_up_after_s=self._give_up_after_s,
                floors=FROM_THE_START if full_look else self._cursor.floors(),
            )
            self._runs.take(jobs)
            self._cursor.claimed(jobs, from_the_start=full_look)
            self._short = len(jobs) < room
            if full_look:
                self._cursor.looked_from_the_start(began_s, clock())
            if jobs:
                self._news, self._contended_s = True, CONTENDED_S
            if not self._short:
                return 0.0
            if not full_look:
                return self._cursor.full_look_in_s(clock())
            contended = self._news and await any_ready(conn, queues=self._claimer.queues, job_types=self.job_types)
            self._news = contended
        if contended:
            wait_s, self._contended_s = self._contended_s, min(self._contended_s * 2, LONGEST_CONTENDED_S)
            return wait_s
        return self._claimer.poll_s() * random.uniform(0.9, 1.0)  # noqa: S311 - keeps workers out of step
