"""Settles of completed runs, collected: hundreds of them cost one statement and one commit.

    add, settle ─▶ waiting ─ at most 500 ─▶ end_many (fenced) ─▶ each run is told: ended, or lost
                      ▲                          │ Postgres is away: the same ones again, until it answers
                      └── more came meanwhile ◀──┘

One statement is under way at a time; what comes meanwhile makes the next. A lane's head, and an outcome with `also`, never
stand here: whoever holds their locks would stall all the others.
"""

import asyncio
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from itertools import chain

import structlog

from jobs_core import AnyJob, Database, LeaseLost, db, metrics
from jobs_core.settle import Completed, end_many, settled_earlier

log = structlog.get_logger()

_MOST = 500
"""Runs in one statement: twice as many gain nothing, and hold their locks twice as long."""
_FULL = 4 * _MOST
FIRST_WAIT_S, LONGEST_WAIT_S = 0.05, 1.0

Waiting = tuple[Completed, asyncio.Future[None] | None]


class Collector:
    """Settles what it is given until `run` is cancelled; `on_refused` gets a run that nobody waits for and Postgres refuses."""

    def __init__(self, database: Database, *, on_refused: Callable[[AnyJob, Exception], object]) -> None:
        self._database = database
        self._on_refused = on_refused
        self._waiting = deque[Waiting]()
        self._writing: Sequence[Waiting] = ()
        self._something = asyncio.Event()
        self._written = asyncio.Event()

    def add(self, run: Completed) -> None:
        """Settle the run; nobody waits for it: a lost lease is counted and logged here."""
        self._waiting.append((run, None))
        self._something.set()

    async def settle(self, run: Completed) -> None:
        """Settle the run and return when that is durable. Raises LeaseLost, and what Postgres refuses it with."""
        done = asyncio.get_running_loop().create_future()
        self._waiting.append((run, done))
        self._something.set()
        await done

    @property
    def is_full(self) -> bool:
        """Whether who adds should wait first: more than this is under way already."""
        return len(self._waiting) >= _FULL

    async def has_room(self) -> None:
        """Return when it is not full."""
        await self._until(lambda: not self.is_full)

    async def is_empty(self) -> None:
        """Return when all that was given is written."""
        await self._until(lambda: not self._waiting and not self._writing)

    def held(self) -> Iterator[int]:
        """Ids of the jobs whose settle is not written yet."""
        return (run.job.id for run, _ in chain(self._waiting, self._writing))

    def drop(self) -> None:
        """Forget what is not written: the lease is lost."""
        self._waiting.clear()

    async def run(self) -> None:
        """Write until cancelled."""
        while True:
            await self._something.wait()
            self._something.clear()
            while self._waiting:
                self._writing = [self._waiting.popleft() for _ in range(min(len(self._waiting), _MOST))]
                try:
                    await self._write(self._writing)
                finally:
                    self._writing = ()
                    self._written.set()

    async def _write(self, batch: Sequence[Waiting]) -> None:
        try:
            ended = await self._end([run for run, _ in batch])
        except Exception as error:  # noqa: BLE001 - one that Postgres refuses must not keep the others
            if len(batch) == 1:
                self._refuse(*batch[0], error)
                return
            for half in (batch[: len(batch) // 2], batch[len(batch) // 2 :]):
                await self._write(half)
            return
        for job_type, n in Counter(run.job.job_type for run, _ in batch if run.job.id in ended).items():
            metrics.settled.labels(job_type, "complete").inc(n)
        for run, done in batch:
            if run.job.id not in ended:
                _lost(run.job, done)
            elif done and not done.done():
                done.set_result(None)

    async def _end(self, runs: Sequence[Completed]) -> set[int]:
        """Ids of the jobs that ended; repeated while Postgres is away, and who a lost answer hides is asked for then."""
        wait_s, unsure = FIRST_WAIT_S, False
        while True:
            try:
                async with self._database.connection() as conn:
                    ended = await end_many(conn, runs)
                    missed = [run.job for run in runs if run.job.id not in ended] if unsure else []
                    return ended | (await settled_earlier(conn, missed) if missed else set())
            except Exception as error:
                if not db.will_pass(error):
                    raise
                log.warning("database.away", error=db.describe(error))
            unsure = True
            await asyncio.sleep(wait_s)
            wait_s = min(wait_s * 2, LONGEST_WAIT_S)

    def _refuse(self, run: Completed, done: asyncio.Future[None] | None, error: Exception) -> None:
        if done is None:
            self._on_refused(run.job, error)
        elif not done.done():
            done.set_exception(error)

    async def _until(self, holds: Callable[[], bool]) -> None:
        while not holds():
            self._written.clear()
            await self._written.wait()


def _lost(job: AnyJob, done: asyncio.Future[None] | None) -> None:
    if done is None:
        metrics.leases_lost.labels(job.job_type).inc()
        log.warning("run.lost", job_id=job.id, job_type=job.job_type, token=job.token)
    elif not done.done():
        done.set_exception(
            LeaseLost(f"job {job.id}: token {job.token} is no longer the job's; its outcome was not written")
        )
