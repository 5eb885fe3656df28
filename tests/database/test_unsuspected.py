"""Types of which nobody is suspected: their lost jobs run where their type does, whoever puts them back."""

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest

from jobs_core import AnyJob, Connection, Database, HandlerTable, Jobs, JobType, Limit, fetch_one
from jobs_core.claim import claim, start
from jobs_core.claim_limited import claim_limited
from jobs_core.leases import register, retire
from jobs_core.limits import set_limit
from jobs_core.upkeep import look, rescue
from tests.support.job_types import LANE_NOTE, Note
from workers.upkeep import Upkeep

ONE = Limit("one", slots=1)
ONLY_HERE = replace(LANE_NOTE, name="only_here", suspected=False)
WITH_LIMITS = JobType("with_limits", Note, limits=lambda _: [ONE], suspected=False)
NAMES: dict[str, Any] = {"queues": ["default"], "job_types": ["only_here", "with_limits"]}


@pytest.fixture
async def here(database: Database) -> AsyncIterator[Jobs]:
    """Creates jobs of these types; a worker with its table runs them."""
    table = HandlerTable()
    for job_type in (ONLY_HERE, WITH_LIMITS):
        table.register_handler(job_type, lambda _: None)
    async with Jobs(database, table) as creator:
        yield creator


async def claimed(conn: Connection) -> list[AnyJob]:
    worker = await register(conn, slots=9, lease_s=600, **NAMES)
    plain = await claim(conn, worker_id=worker, slots=9, **NAMES)
    return [*plain, *(await claim_limited(conn, worker_id=worker, slots=9, **NAMES)).jobs]


async def lose(conn: Connection) -> None:
    """A worker takes and starts what is ready, and dies; another, which knows nothing of these types, rescues that."""
    (job,) = await claimed(conn)
    await start(conn, job)
    row = await fetch_one(conn, "SELECT worker_id FROM jobs.jobs WHERE id = %(id)s", {"id": job.id})
    assert row is not None
    await retire(conn, row["worker_id"])
    assert (await rescue(conn))[0] == [job.id]


@pytest.mark.parametrize("job_type", [ONLY_HERE, WITH_LIMITS], ids=["in a lane", "with limits"])
async def test_a_job_that_was_rescued_where_its_type_is_unknown_runs_again_where_its_type_does(
    here: Jobs, conn: Connection, job_type: JobType[Note]
) -> None:
    """Its lane would stop for ever: no process that runs jobs alone serves the type."""
    await set_limit(conn, ONE)
    first = await here.create(job_type, {"lane": "a"})
    await lose(conn)
    assert await claimed(conn) == []
    await Upkeep(here, 1.0, queues=["elsewhere"]).run_once()
    assert await claimed(conn) == []
    await Upkeep(here, 1.0, queues=["default"]).run_once()
    (job,) = await claimed(conn)
    assert (job.id, job.lost_count, job.rescued) == (first.id, 1, True)
    assert (await look(conn, **NAMES)).suspects == 0
