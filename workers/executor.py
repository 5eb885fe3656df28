"""One run of one job, as a pipeline of named steps.

    start (write `running`) ─▶ fit the input ─▶ handle ─▶ settle (fenced, repeated while Postgres is away)

Nothing is held while the handler works: no connection, no transaction. Whatever breaks here ends in a counted retry.
"""

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from functools import partial
from typing import Any

import structlog

from jobs_core import AnyJob, Cancel, Complete, Connection, Jobs, JobType, LeaseLost, Outcome, db, gate, metrics
from jobs_core.away import repeat_while_away
from jobs_core.claim import start
from jobs_core.job import current
from jobs_core.settle import Completed, result_text, settle, settled_earlier
from jobs_core.settled import Settled
from jobs_core.steps import Steps, Waiting
from jobs_core.sticky import remember
from workers.collectors import Collectors
from workers.forks import end_if_forked
from workers.handling import Watch
from workers.note_writer import NoteWriter
from workers.outcomes import (
    CANCELLED_ITSELF,
    DRAINED,
    failure,
    raised,
    raised_group,
    returned,
    stood_still,
    timed_out,
    unfit,
)

log = structlog.get_logger()

_WORTH_A_LINE_S = 0.1
"""Runs that took longer, or did not complete, are logged at level info; thousands a second are not."""


class Executor:
    """Runs claimed jobs, each in the task that calls `run`.

    `on_stuck` is called for a handler that does not stop; it ends the process. With collectors, starts and settles of several
    runs are written together.
    """

    def __init__(
        self, jobs: Jobs, slots: int, *, on_stuck: Callable[[], object], collectors: Collectors | None = None
    ) -> None:
        self._jobs = jobs
        self._table = jobs.table
        self._collectors = collectors
        self._threads = ThreadPoolExecutor(max_workers=slots, thread_name_prefix="handler")
        self._in_thread = set[int]()
        self._cancels = dict[int, str]()
        self._steps_of = partial(Steps, jobs)
        self._notes = NoteWriter(jobs.database)
        self._notes_of = self._notes.notebook
        self._watch = Watch(on_tick=self._notes.tick, on_stuck=on_stuck)  # also the clock of the notes
        self._handing_back = False
        self._dropped = False

    @property
    def in_threads(self) -> int:
        """How many handlers run in threads, which nothing but the end of the process can stop."""
        return len(self._in_thread)

    def hand_back(self) -> None:
        """From now on: handlers that can be stopped are, or do not start; their jobs go back at no cost."""
        self._handing_back = True
        for handling in self._watch:
            if handling.job.id not in self._in_thread:
                handling.task.cancel()

    def cancel(self, job_id: int, reason: str) -> None:
        """Somebody wants this job ended, which this process holds: its run is cancelled, or does not begin.

        One that completes all the same is complete; one that runs in a thread is told, and not stopped.
        """
        if job_id in self._cancels:
            return
        self._cancels[job_id] = reason
        if handling := self._watch.find(job_id):
            handling.job.cancelled = True
            if job_id not in self._in_thread:
                handling.task.cancel()

    def drop(self) -> None:
        """The lease is lost: from now on a run that is cancelled ends with CancelledError, and none writes anything."""
        self._dropped = True
        self._notes.drop()

    async def run(self, job: AnyJob, *, wait: bool = True) -> Settled | None:
        """Run and settle one job; None: the lease was lost and nothing was written.

        Without `wait` a completed run leaves before its settle is written, where that is collected.
        """
        began = time.monotonic()
        job_type = self._table.job_type(job.job_type)
        mark = current.set(job)
        try:
            outcome = await self._outcome(job, job_type)
            if job.notes is not None:
                await self._notes.flushed(job)
                if self._dropped:
                    raise asyncio.CancelledError
            settled = await self.settle(job, outcome, job_type, wait=wait)
            spent_s = time.monotonic() - began
            metrics.of_type(job.job_type).run_seconds.observe(spent_s)
            if spent_s > _WORTH_A_LINE_S or settled.state != "complete":
                log.info("run.settled", state=settled.state, spent_s=round(spent_s, 3))
            return settled
        except LeaseLost:
            metrics.stale_writes.labels(job.job_type).inc()
            log.warning("run.lost")
            return None
        finally:
            job.notes_of = None
            if job.notes is not None:
                self._notes.close(job)
            self._cancels.pop(job.id, None)
            current.reset(mark)

    async def settle(self, job: AnyJob, outcome: Outcome, job_type: JobType[Any], *, wait: bool = True) -> Settled:
        """Record the outcome; one that cannot be written counts as a failure of the run. Raises LeaseLost."""
        try:
            if self._collectors and isinstance(outcome, Complete) and _may_be_collected(job, outcome):
                run = Completed(job, result_text(outcome.result, job_type), job_type.retention)
                await self._collectors.settle(run, wait=wait)
                return _COMPLETE
            return await self._settle_alone(job, outcome, job_type)
        except LeaseLost:
            raise
        except Exception as error:
            log.warning("run.not_written", exc_info=error)
            return await self._settle_alone(job, failure(error, job_type), job_type)

    async def _outcome(self, job: AnyJob, job_type: JobType[Any]) -> Outcome:
        if not job_type.brief or job.rescued:
            await self._start(job)  # before its type's validators: they may end the process, too
        if job_type.sticky_key:
            await self._remember(job)
        try:
            job.input = gate.fit_json(job_type.Input, job.input, field="input")
        except Exception as error:  # noqa: BLE001 - a type's own validators may raise anything
            return unfit(error)
        if self._handing_back:
            return DRAINED
        if job.id in self._cancels:
            return Cancel(self._cancels[job.id])
        outcome = await self._handle(job, job_type)
        if job.id in self._cancels and not isinstance(outcome, Complete):
            return Cancel(self._cancels[job.id])
        return outcome

    async def _start(self, job: AnyJob) -> None:
        if self._collectors:
            await self._collectors.start(job)
        else:
            await repeat_while_away(self._jobs.database, lambda conn: start(conn, job))

    async def _handle(self, job: AnyJob, job_type: JobType[Any]) -> Outcome:
        handling = self._watch.begin(job, job_type, in_thread=not self._table.is_async(job.job_type))
        try:
            outcome = returned(await self._call(job))
        except Waiting as waiting:
            outcome = waiting.outcome
        except BaseExceptionGroup as group:
            outcome = raised_group(group, job_type)
        except asyncio.CancelledError:
            outcome = DRAINED if self._handing_back else CANCELLED_ITSELF
        except (SystemExit, KeyboardInterrupt) as error:  # they would end the whole worker
            outcome = raised(RuntimeError(f"the handler raised {type(error).__name__}"), job_type)
        except Exception as error:  # noqa: BLE001 - a handler may raise anything
            outcome = raised(error, job_type)
        finally:
            end_if_forked()
            self._watch.end(handling)
        if self._dropped:
            raise asyncio.CancelledError  # also where the handler took it for its own
        handling.uncancel()
        if handling.told and job.id not in self._cancels:
            return stood_still(handling.idle_s) if handling.stood_still else timed_out(handling.timeout_s)
        return outcome

    async def _remember(self, job: AnyJob) -> None:
        try:
            async with self._jobs.database.connection() as conn:
                await remember(conn, job)
        except Exception as error:  # noqa: BLE001 - the next job of its key runs anywhere; this one runs all the same
            log.warning("sticky.not_remembered", error=db.describe(error))

    async def _call(self, job: AnyJob) -> Any:
        handler = self._table.handler(job.job_type)
        job.notes_of = self._notes_of
        if self._table.is_async(job.job_type):
            job.steps_of = self._steps_of  # not in a thread: the pool belongs to this loop
            return await handler(job)
        self._in_thread.add(job.id)
        thread = self._threads.submit(copy_context().run, _in_thread, handler, job)
        thread.add_done_callback(lambda _: self._in_thread.discard(job.id))
        return await asyncio.wrap_future(thread)

    async def _settle_alone(self, job: AnyJob, outcome: Outcome, job_type: JobType[Any]) -> Settled:
        unsure = False

        async def once(conn: Connection) -> Settled:
            nonlocal unsure
            if unsure and await settled_earlier(conn, [job]):
                return Settled("complete" if isinstance(outcome, Complete) else "failed")
            unsure = True
            return await settle(conn, job, outcome, job_type)

        settled = await repeat_while_away(self._jobs.database, once)
        metrics.count_settled(job.job_type, settled.state, outcome)
        self._jobs.notifier.wake(settled.ready)
        return settled


_COMPLETE = Settled("complete")


def _may_be_collected(job: AnyJob, outcome: Complete) -> bool:
    """Whether its settle needs no transaction of its own."""
    special = outcome.also or job.lane or job.parent_id or job.limited
    return not special and not job.has_steps  # the ends of children lock their parent's row


def _in_thread(handler: Callable[[AnyJob], Any], job: AnyJob) -> Any:
    try:
        return handler(job)
    finally:
        end_if_forked()
