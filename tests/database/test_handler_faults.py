"""Handlers that misbehave: whatever they do, their run ends, is counted, and takes nothing else along."""

import asyncio
import random
import sys
import threading
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest
from pydantic import BaseModel, field_validator

import workers.collectors
import workers.shift
import workers.worker
from jobs_core import (
    AnyJob,
    Complete,
    Connection,
    Database,
    HandlerTable,
    Jobs,
    JobType,
    execute,
)
from jobs_core.claim import start_many
from tests.support.alone import running_alone
from tests.support.job_types import BRIEF_NOTE, NOTE, Note, table
from tests.support.worker import QUICK, Handler, ended, until, view_of, working
from workers.settings import WorkerSettings
from workers.worker import Worker


class Unspeakable(Exception):
    """An error whose text cannot be had."""

    def __str__(self) -> str:
        raise RuntimeError("no text")


async def raises_unspeakable(_: AnyJob) -> None:
    raise Unspeakable


async def lets_a_cancel_out(_: AnyJob) -> None:
    inner = asyncio.create_task(asyncio.sleep(600))
    await asyncio.sleep(0)
    inner.cancel()
    await inner


async def exits(_: AnyJob) -> None:
    sys.exit("bad argument")


def exits_in_a_thread(_: AnyJob) -> None:
    sys.exit("bad argument")


async def interrupts(_: AnyJob) -> None:
    raise KeyboardInterrupt


async def writes_what_fits_no_index(_: AnyJob) -> Complete:
    async def also(conn: Connection) -> None:
        letters = random.Random(1).choices("abcdefghijklmnop", k=20_000)  # or it would be compressed to fit
        await execute(conn, "INSERT INTO indexed VALUES (%(x)s)", {"x": "".join(letters)})

    return Complete(also=also)


async def returns_text(_: AnyJob) -> Any:
    return "done"


@pytest.mark.parametrize(
    ("handler", "error"),
    [
        (raises_unspeakable, "Unspeakable: (its text cannot be had)"),
        (lets_a_cancel_out, "CancelledError: the handler cancelled itself"),
        (exits, "RuntimeError: the handler raised SystemExit"),
        (exits_in_a_thread, "RuntimeError: the handler raised SystemExit"),
        (interrupts, "RuntimeError: the handler raised KeyboardInterrupt"),
        (writes_what_fits_no_index, "ProgramLimitExceeded: index row"),
        (returns_text, "its handler returned str, not an outcome such as Complete(…)"),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
async def test_a_run_that_breaks_is_a_counted_retry_and_its_worker_lives(
    database: Database, handler: Handler, error: str
) -> None:
    async def well(_: AnyJob) -> Complete:
        return Complete()

    async with database.connection() as conn:
        await execute(conn, "CREATE TABLE indexed (x text)")
        await execute(conn, "CREATE INDEX ON indexed (x)")
    async with working(database, {NOTE: handler, BRIEF_NOTE: well}, lease_s=60.0) as (jobs, _):
        created = await jobs.create(NOTE, Note())

        async def put_back() -> bool:
            view = await view_of(database, created.id)
            return (view.state, view.retry_count) == ("pending", 1)

        await until(put_back)
        assert (await ended(database, (await jobs.create(BRIEF_NOTE, Note())).id)).state == "complete"
    view = await view_of(database, created.id)
    assert view.error is not None
    assert view.error.startswith(error)
    assert (view.retry_count, view.lost_count, view.token) == (1, 0, 1)


async def test_an_input_that_its_types_validator_chokes_on_ends_its_job(database: Database) -> None:
    """As after a deploy that narrowed the type; the validator raises what pydantic does not take for a refusal."""

    class Narrowed(BaseModel):
        text: str = ""

        @field_validator("text")
        @classmethod
        def known(cls, text: str) -> str:
            return {"known": text}[text]

    async def never(_: AnyJob) -> None:
        raise AssertionError("it must not run")

    async with Jobs(database, table()) as creator:
        created = await creator.create("note", {"text": "unknown"})
    async with working(database, {JobType("note", Narrowed): never}, lease_s=60.0):
        view = await ended(database, created.id)
    assert (view.state, view.error) == ("failed", "its input does not fit its type any more: 'unknown'")


async def test_a_timed_out_handler_that_cleans_up_slowly_does_not_outlive_the_lease(database: Database) -> None:
    cleaning = asyncio.Event()
    ends = list[str]()

    async def handle(job: AnyJob) -> Complete:
        if job.lost_count:
            ends.append("successor ended")
            return Complete()
        try:
            await asyncio.sleep(600)
        finally:
            cleaning.set()
            try:
                await asyncio.sleep(600)
            finally:
                ends.append("cleaning up ended")
        return Complete()

    job_type = JobType("note", Note, timeout=timedelta(seconds=0.1))
    async with working(database, {job_type: handle}) as (jobs, _):
        created = await jobs.create("note", {})
        await cleaning.wait()
        async with database.connection() as conn:
            await execute(conn, "UPDATE jobs.workers SET dead_at = clock_timestamp()")
        async with running_alone(jobs):
            view = await ended(database, created.id)
    assert ends == ["cleaning up ended", "successor ended"]
    assert (view.state, view.retry_count, view.lost_count) == ("complete", 0, 1)


PARTS = {"Worker", "Shift", "Claims", "Runners", "Collectors", "Collector", "Listener", "Upkeep"}


def tasks_of_a_worker() -> set[str]:
    """The classes of a worker's parts that have a task here."""
    owners = {getattr(task.get_coro(), "__qualname__", "").partition(".")[0] for task in asyncio.all_tasks()}
    return owners & PARTS


@pytest.mark.direct("needs LISTEN")
async def test_a_cancelled_worker_leaves_no_thread_no_task_and_no_run(database: Database) -> None:
    started, stopped = asyncio.Event(), asyncio.Event()

    async def handle(_: AnyJob) -> None:
        started.set()
        try:
            await asyncio.sleep(600)
        finally:
            stopped.set()

    known = HandlerTable()
    known.register_handler(NOTE, handle)
    async with Jobs(database, known) as jobs:
        worker = Worker(jobs, queues=["default"], settings=WorkerSettings.read(**QUICK))
        task = asyncio.create_task(worker.run())
        await jobs.create(NOTE, Note())
        await started.wait()
        assert tasks_of_a_worker() == PARTS
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert stopped.is_set()
        assert tasks_of_a_worker() == set()

        async def no_lease_kept() -> bool:
            return "lease" not in {thread.name for thread in threading.enumerate()}

        await until(no_lease_kept)


async def test_a_forced_drain_hands_back_a_job_that_is_just_being_started(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    starting, go_on = asyncio.Event(), asyncio.Event()
    ran = list[int]()

    async def start_slowly(conn: Connection, jobs: Sequence[AnyJob]) -> set[int]:
        starting.set()
        await go_on.wait()
        return await start_many(conn, jobs)

    async def handle(job: AnyJob) -> None:
        ran.append(job.id)

    monkeypatch.setattr(workers.collectors, "start_many", start_slowly)
    async with working(database, {NOTE: handle}) as (jobs, worker):
        created = await jobs.create(NOTE, Note())
        await starting.wait()
        worker.drain()
        worker.drain()
        await until(handing_back(worker))
        go_on.set()
    view = await view_of(database, created.id)
    assert ran == []
    assert (view.state, view.retry_count, view.lost_count) == ("pending", 0, 0)


def handing_back(worker: Worker) -> Any:
    async def asked() -> bool:
        return worker._shift._executor._handing_back

    return asked


async def test_a_drain_ends_the_process_of_a_handler_that_will_not_end(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody waits for it for ever: its lease runs out, and the job is taken over."""
    started, ended_process, let_go = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def handle(_: AnyJob) -> None:
        started.set()
        while not let_go.is_set():
            try:
                await let_go.wait()
            except asyncio.CancelledError:
                continue

    def end_process(_: object) -> None:
        ended_process.set()
        let_go.set()

    monkeypatch.setattr(workers.worker, "end_process", end_process)
    monkeypatch.setattr(workers.shift, "_HAND_BACK_S", 0.2)
    async with working(database, {NOTE: handle}, drain_s=0.1) as (jobs, worker):
        await jobs.create(NOTE, Note())
        await started.wait()
        worker.drain()
        await asyncio.wait_for(ended_process.wait(), 10)
