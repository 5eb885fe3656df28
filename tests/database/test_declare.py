"""What SQL knows of job types: written by whoever starts with them, and only where it differs."""

import asyncio
from datetime import timedelta

from jobs_core import AnyJob, Complete, Connection, Database, HandlerTable, Jobs, JobType, Limit, execute, fetch
from jobs_core.declare import declare_types
from tests.support.job_types import NOTE, Note
from workers.settings import WorkerSettings
from workers.worker import Worker

WHOLE = JobType(
    "whole",
    Note,
    queue="mail",
    priority=4,
    lane=lambda note: note.lane,
    holds_lane=True,
    unique_key=lambda note: note.text,
    unique_while="unstarted",
    merge=lambda _, new: new,
    limits=lambda note: [Limit(note.text, slots=1)],
    fair_by="project_id",
    idempotency_for=timedelta(minutes=1),
)
ROWS = {
    "note": ("default", 2, False, False, False, "unfinished", 7 * 24 * 3600.0, None, False, False),
    "whole": ("mail", 4, True, True, True, "unstarted", 60.0, "project_id", True, True),
}


async def known(conn: Connection) -> dict[str, tuple[object, ...]]:
    return {row.pop("name"): tuple(row.values()) for row in await fetch(conn, "SELECT * FROM jobs.job_types")}


async def test_types_are_written_once_and_others_are_left_alone(conn: Connection) -> None:
    assert await declare_types(conn, [WHOLE]) == 1
    assert await declare_types(conn, [WHOLE, NOTE]) == 1
    assert await known(conn) == ROWS
    assert await declare_types(conn, []) == 0
    changed = JobType("note", Note, idempotency_for=timedelta(hours=1), fair_by=lambda note: note.text)
    assert await declare_types(conn, [WHOLE, changed]) == 1
    assert (await known(conn))["note"] == (
        "default",
        2,
        False,
        False,
        False,
        "unfinished",
        3600.0,
        "input",
        False,
        False,
    )


async def test_programs_that_start_at_once_with_types_in_another_order_do_not_deadlock(database: Database) -> None:
    types = [JobType(f"type {n}", Note) for n in range(50)]

    async def declare(order: int) -> None:
        async with database.connection() as conn:
            for priority in range(5):
                changed = [JobType(one.name, Note, priority=priority) for one in types[::order]]
                await declare_types(conn, changed)

    await asyncio.gather(*(declare(order) for order in (1, -1) * 3))


async def test_a_worker_declares_all_types_of_its_table_once(database: Database, conn: Connection) -> None:
    """Once: a worker that comes back under a new id after an outage may be older than what declared since."""

    async def handle(_: AnyJob) -> Complete:
        return Complete()

    table = HandlerTable()
    table.declare(NOTE)
    table.register_handler(WHOLE, handle)
    async with Jobs(database, table) as jobs:
        worker = Worker(jobs, queues=["mail"], settings=WorkerSettings.read(lease_s=2.0, renew_s=0.1, poll_s=60.0))
        run = asyncio.create_task(worker.run())
        await registered(conn, 1)
        assert await known(conn) == ROWS
        await execute(conn, "DELETE FROM jobs.job_types")
        await execute(conn, "UPDATE jobs.workers SET dead_at = now()")
        await registered(conn, 2)
        assert await known(conn) == {}
        worker.drain()
        await run


async def registered(conn: Connection, ids: int) -> None:
    """Wait until the worker has had that many ids."""
    async with asyncio.timeout(30):
        while len(await fetch(conn, "SELECT FROM jobs.workers")) < ids:
            await asyncio.sleep(0.02)
