"""One shift of a worker: all that is done under one worker id.

claims of ordinary jobs, and by turns of jobs with limits ─▶ runners ─▶ executor ─▶ settle alone, or collected with others
claims of jobs that wait for this very worker, by turns with these ─▶ the same runners
claims of brief ones, ahead into a buffer ─▶ runners ─▶ executor ─▶ the same
sweep: once a lease, and after a claim or a run that went wrong: put back what this id holds and nobody here has
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from itertools import chain

import structlog

from jobs_core import AnyJob, Jobs, LeaseLost, db
from jobs_core.settle import Completed
from jobs_core.sticky import leave
from jobs_core.tasks import cancel, first
from jobs_core.upkeep import put_back_strays
from workers.claims import Claimer, Claims
from workers.collectors import Collectors
from workers.executor import Executor
from workers.limited_claims import LimitedClaims
from workers.outcomes import failure
from workers.runners import Runners
from workers.settings import WorkerSettings
from workers.sticky_claims import StickyClaims

log = structlog.get_logger()

Line = Claims | LimitedClaims | StickyClaims

_AHEAD_SHARE = 0.1
"""Of the lease: how long a brief job that was claimed ahead may wait for its turn, by the runs of late."""
_AWAY_S = 0.5
_HAND_BACK_S = 10.0
"""For handlers to end once they were cancelled, and for their jobs to be put back."""


class Shift:
    """`poll_s` says how long a claim waits for a wake-up; `on_stuck` ends the process when a handler does not stop."""

    def __init__(
        self,
        jobs: Jobs,
        worker_id: int,
        *,
        queues: Sequence[str],
        settings: WorkerSettings,
        poll_s: Callable[[], float],
        on_stuck: Callable[[], object],
    ) -> None:
        self._jobs = jobs
        self.worker_id = worker_id
        self._settings = settings
        self._collectors = Collectors(jobs.database, on_refused=self._refused)
        self._executor = Executor(jobs, settings.slots, on_stuck=on_stuck, collectors=self._collectors)
        runners = partial(Runners, self._executor, settings.slots, on_broken=self._sweep_soon)
        self._ordinary = runners(ahead_s=0.0)
        self._brief = runners(ahead_s=_AHEAD_SHARE * settings.lease_s)
        claimer = Claimer(jobs.database, worker_id, list(queues), poll_s, self._sweep_soon)
        known = [jobs.table.job_type(name) for name in jobs.table.runnable]
        buffered = [job_type for job_type in known if job_type.brief and jobs.table.is_async(job_type.name)]
        ordinary = [job_type for job_type in known if job_type not in buffered]
        self._of_ordinary = Claims(claimer, self._ordinary, ordinary)
        self._of_brief = Claims(claimer, self._brief, buffered)
        self._lines = [line for line in (self._of_ordinary, self._of_brief) if line.job_types]
        self._of_limited = LimitedClaims(claimer, self._ordinary, known, lock=self._of_ordinary.lock)
        self._of_sticky = StickyClaims(claimer, self._ordinary, known, others=self._of_ordinary)
        self._turns = deque[Line]((self._of_ordinary, self._of_limited))
        if self._of_sticky.job_types:
            self._turns.append(self._of_sticky)
        self._ordinary.on_room = self._room_made
        self._sweep_now = asyncio.Event()
        self._failing: dict[int, asyncio.Task[None]] = {}
        self._running: list[asyncio.Task[None]] = []
        self._on_stuck = on_stuck
        self.dropped = False

    @property
    def is_stuck(self) -> bool:
        """Whether something runs that only the end of the process can stop."""
        return bool(self._executor.in_threads or len(self._ordinary) or len(self._brief))

    def wake(self, job_type: str | None = None) -> None:
        """Look for ready jobs now, of this type or of any."""
        if job_type is None:
            self._of_sticky.wake()
        self._of_limited.wake(job_type)
        for line in self._lines:
            if job_type is None or job_type in line.job_types:
                line.wake()

    def wake_sticky(self) -> None:
        """Look now: a job waits for this worker."""
        self._of_sticky.wake()

    def cancel(self, job_id: int, reason: str) -> None:
        """Somebody wants this job ended, which this shift holds."""
        self._executor.cancel(job_id, reason)

    def limited_seen(self) -> None:
        """Upkeep has seen that jobs with limits stand ready, for this worker or another."""
        self._of_limited.poll()

    def _room_made(self) -> None:
        """All lines that claim for the ordinary runners look again, each time another one first."""
        self._turns.rotate()
        for line in self._turns:
            line.room_made()

    @asynccontextmanager
    async def working(self) -> AsyncIterator[None]:
        """Claim meanwhile; what was claimed goes on after it, until `finish` or `drop`."""
        runs = (self._collectors.run(), self._ordinary.run(), self._brief.run())
        self._running = [asyncio.create_task(run) for run in runs]
        for task in self._running:
            task.add_done_callback(self._part_ended)
        lines: list[Line] = [*self._lines, self._of_limited, self._of_sticky]
        claiming = [asyncio.create_task(run) for run in (*(line.run() for line in lines), self._keep_sweeping())]
        try:
            yield
        finally:
            await cancel(claiming)

    async def finish(self, *, lost: asyncio.Event, forced: asyncio.Event) -> None:
        """Let runs end, then hand back the rest at no cost; cut short where the lease is lost."""
        drain_s = self._settings.drain_s
        log.info("worker.draining", runs=len(self._ordinary) + len(self._brief), drain_s=drain_s)
        self._ordinary.empty_buffer()
        self._brief.empty_buffer()
        await self._sweep()  # what was in the buffer, and what the claim that was cut off may have taken
        await self._leave()
        await first(self._all_ended(), asyncio.sleep(drain_s), forced.wait(), lost.wait())
        if (len(self._ordinary) or len(self._brief)) and not lost.is_set():
            self._executor.hand_back()
            await first(self._all_ended(), asyncio.sleep(_HAND_BACK_S), lost.wait())

    async def drop(self) -> None:
        """Stop every run and forget every settle; nothing is written any more."""
        self.dropped = True
        self._executor.drop()
        await cancel([*self._running, *self._failing.values()])

    async def _all_ended(self) -> None:
        await self._ordinary.all_ended()
        await self._brief.all_ended()
        await self._collectors.are_empty()
        await asyncio.gather(*self._failing.values())

    async def _keep_sweeping(self) -> None:
        while True:
            await first(self._sweep_now.wait(), asyncio.sleep(self._settings.lease_s))
            self._sweep_now.clear()
            if not await self._sweep():
                self._sweep_now.set()
                await asyncio.sleep(_AWAY_S)

    async def _sweep(self) -> bool:
        """Put back what this id holds and nobody here has, with no claim under way; False: the database was away."""
        try:
            async with AsyncExitStack() as no_claim:
                for line in (self._of_ordinary, self._of_brief):  # who claims jobs with limits shares the first one's
                    await no_claim.enter_async_context(line.lock)
                async with self._jobs.database.connection() as conn:
                    held = chain(self._ordinary.held(), self._brief.held(), self._collectors.held(), self._failing)
                    unsuspected = self._jobs.table.unsuspected
                    ready = await put_back_strays(conn, self.worker_id, [*held], unsuspected=unsuspected)
        except Exception as error:  # noqa: BLE001 - retiring frees them as well, only later
            log.warning("database.away", error=db.describe(error))
            return False
        if ready:
            log.warning("strays.put_back", queues=sorted({one.queue for one in ready}))
            self._jobs.notifier.wake(ready)
        return True

    async def _leave(self) -> None:
        """Let nobody wait for this worker, which claims no more."""
        if not self._of_sticky.job_types:
            return
        try:
            async with self._jobs.database.connection() as conn:
                self._jobs.notifier.wake(await leave(conn, self.worker_id))
        except Exception as error:  # noqa: BLE001 - then they wait until their time is over
            log.warning("database.away", error=db.describe(error))

    def _sweep_soon(self) -> None:
        self._sweep_now.set()

    def _part_ended(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled():
            log.error(
                "worker.broke", exc_info=task.exception(), meaning="it would claim and settle nothing; it ends instead"
            )
            self._on_stuck()

    def _refused(self, run: Completed, error: Exception) -> None:
        task = asyncio.create_task(self._fail(run.job, error))
        self._failing[run.job.id] = task
        task.add_done_callback(lambda _: self._failing.pop(run.job.id))

    async def _fail(self, job: AnyJob, error: Exception) -> None:
        """A result that Postgres refuses counts as a failure of its run."""
        log.warning("run.not_written", job_id=job.id, exc_info=error)
        job_type = self._jobs.table.job_type(job.job_type)
        try:
            await self._executor.settle(job, failure(error, job_type), job_type)
        except LeaseLost:
            log.warning("run.lost", job_id=job.id)
