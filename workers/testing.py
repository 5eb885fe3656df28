"""Help for tests of your own handlers: run one job, drain a queue, let time pass, see what was created (docs/testing.md).

    jobs.create ─▶ claim (a worker's statement) ─▶ Executor.run (a worker's code) ─▶ settle ─▶ a Run, or what the handler raised

All of it is the real thing, on a real Postgres; only the loop around it is the test's own: a job runs when the test says so,
one at a time, and nothing goes on behind its back. For databases of tests only.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any

from pydantic import BaseModel

from jobs_core import AnyJob, Complete, Jobs, JobType, Outcome, UnknownJobType, db, gate
from jobs_core.claim import any_ready, start
from jobs_core.look import JobView, find
from jobs_core.steps import Steps
from jobs_core.testing import all_created, created, empty, move_times, new_database, others_locked, show
from workers.by_hand import WatchedExecutor, claim_one, do_upkeep, next_job, register_by_hand, registered

__all__ = ["Run", "all_created", "created", "drain", "empty", "hold", "new_database", "pass_time", "run", "run_job"]

HELD_LEASE_S = 15.0
"""Of the worker that `hold` stands for: the default of real ones."""


@dataclass(frozen=True, slots=True)
class Run:
    """What one run came to, as it was settled.

    state: `complete`, `failed`, or `pending` where the job was put back. outcome: what the handler returned, or what its raise
    means for its type. raised: what it raised, or the settle of its outcome. job: as it stands now; None: it left no history.
    """

    job_id: int
    job_type: str
    state: str
    outcome: Outcome
    raised: Exception | None
    job: JobView | None

    @property
    def result(self) -> Any:
        """The result as it is stored. Raises AssertionError where the job did not complete, which says why."""
        if isinstance(self.outcome, Complete):
            return self.job.result if self.job else self.outcome.result
        raise AssertionError(
            f"job {self.job_id} ({self.job_type}) did not complete, it is {self.state}: {self.outcome}"
        )


async def run(
    jobs: Jobs,
    job_type: JobType[Any] | str,
    input: BaseModel | dict[str, Any],  # noqa: A002 - as in Jobs.create
    *,
    reraise: bool = True,
    **how: Any,
) -> Run:
    """Create a job, as `jobs.create` with the arguments `how`, and run it once; all others stay as they are.

    What its handler raises is raised here once it was settled, with a note of what became of the job; with reraise=False it
    stands in the Run. Raises AssertionError where the job cannot run now, and says why: it is not due, or behind another.
    """
    return await run_job(jobs, await _create(jobs, job_type, input, **how), reraise=reraise)


async def run_job(jobs: Jobs, job_id: int, *, reraise: bool = True) -> Run:
    """Run a job that is there, once; as `run`."""
    view = await _look_at(jobs, job_id)
    async with registered(jobs, [view.queue]) as worker_id:
        return await _run(jobs, await _take(jobs, view, worker_id), reraise=reraise)


async def drain(jobs: Jobs, *queues: str, at_most: int = 100, reraise: bool = True) -> list[Run]:
    """Run what is ready in these queues (none: all that the types in `jobs.table` name) until nothing is; returns the runs.

    What a run creates, or puts back for now, runs as well; what is due later waits for `pass_time`. A handler's raise ends it
    and is raised, as in `run`; with reraise=False it goes on. Raises AssertionError where jobs are still ready after `at_most`.
    """
    runs = list[Run]()
    chosen = list(queues) or jobs.table.queues()
    async with registered(jobs, chosen) as worker_id:
        while len(runs) < at_most and (job := await next_job(jobs, worker_id, chosen)):
            runs.append(await _run(jobs, job, reraise=reraise))
        async with jobs.database.connection() as conn:
            if await any_ready(conn, queues=chosen, job_types=jobs.table.runnable):
                raise AssertionError(_endless(runs))
    return runs


async def hold(
    jobs: Jobs,
    job_type: JobType[Any] | str,
    input: BaseModel | dict[str, Any],  # noqa: A002 - as in Jobs.create
    **how: Any,
) -> AnyJob:
    """Create a job and begin its run, but not its handler: as a worker that froze there, with a lease of HELD_LEASE_S.

    Call the handler, or what it calls, with the job that is returned; let `pass_time` see the lease out, run the job again, and
    see that the first run can write no more. Raises AssertionError as `run`.
    """
    view = await _look_at(jobs, await _create(jobs, job_type, input, **how))
    async with jobs.database.connection() as conn:
        worker_id = await register_by_hand(conn, jobs, [view.queue], HELD_LEASE_S)
    job = await _take(jobs, view, worker_id)
    async with jobs.database.connection() as conn:
        await start(conn, job)
    job.input = gate.fit_json(jobs.table.job_type(job.job_type).Input, job.input, field="input")
    job.steps_of = partial(Steps, jobs)
    return job


async def pass_time(jobs: Jobs, span: timedelta) -> None:
    """Let so much time pass, by moving all times in the queue's rows, and do the upkeep that falls due; no handler runs.

    Jobs become ready, leases run out and their jobs are rescued, keys and times to give up come to their end. History stays as
    it is, and your own tables do. Raises ValueError for a span below zero.
    """

    async def once() -> None:
        async with jobs.database.transaction() as conn:
            await move_times(conn, span)

    await db.retried(once)  # it locks all rows: a worker that runs beside it may want them in another order
    await do_upkeep(jobs)


async def _create(jobs: Jobs, *what: Any, **how: Any) -> int:
    new = await jobs.create(*what, **how)
    if new.met:
        raise AssertionError(f"the create met job {new.id}, which holds its key: run that one, or give another key")
    return new.id


async def _take(jobs: Jobs, view: JobView, worker_id: int) -> AnyJob:
    if view.job_type not in jobs.table.runnable:
        raise UnknownJobType(f"no handler is registered for {view.job_type!r} in jobs.table", field="job_type")
    await do_upkeep(jobs)  # before the others are locked: it would wait for them
    async with jobs.database.connection() as conn, others_locked(conn, view.id):
        job = await claim_one(jobs, worker_id, [view.queue])
    if job is None:
        raise AssertionError(_why_not_ready(await _look_at(jobs, view.id)))
    return job


async def _run(jobs: Jobs, job: AnyJob, *, reraise: bool) -> Run:
    executor = WatchedExecutor(jobs)
    settled = await executor.run_watched(job)
    if settled is None:
        raise AssertionError(
            f"job {job.id} ({job.job_type}): its run wrote nothing, as it no longer held the job: what has settled or taken it?"
        ) from executor.raised
    async with jobs.database.connection() as conn:
        run = Run(job.id, job.job_type, settled.state, executor.outcome, executor.raised, await find(conn, job.id))
    if reraise and run.raised:
        run.raised.add_note(f"It was raised in a run of job {job.id} ({job.job_type}), which is {run.state} now.")
        raise run.raised
    return run


async def _look_at(jobs: Jobs, job_id: int) -> JobView:
    async with jobs.database.connection() as conn:
        view = await find(conn, job_id)
    if view is None:
        raise AssertionError(f"there is no job {job_id}; or it has completed, and its type keeps no history")
    return view


def _why_not_ready(view: JobView) -> str:
    if view.ended_at:
        why = "it has ended"
    elif view.worker_id is not None:
        why = f"worker {view.worker_id} holds it: does one run on this database?"
    elif view.state == "blocked":
        why = f"others of lane {view.lane} come first: drain runs them in order"
    elif view.scheduled_for:
        why = f"it is due at {view.scheduled_for:%Y-%m-%d %H:%M:%S} UTC: pass_time makes it so"
    else:
        why = "claims pass it over: does an open transaction lock it?"
    return f"{show(view)} cannot run now: {why}"


def _endless(runs: Sequence[Run]) -> str:
    if not runs:
        return "at_most is 0, and jobs are ready"
    last = runs[-1]
    return (
        f"jobs are still ready after {len(runs)} runs, the last one of job {last.job_id} ({last.job_type}), which is "
        f"{last.state} now: do they create or put back one another for ever? If not, give a larger at_most"
    )
