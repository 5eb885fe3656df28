"""Jobs with limits: types whose input says them, claims without a process, and what must hold of slots at every moment."""

from typing import Any

from pydantic import BaseModel, ConfigDict

from jobs_core import AnyJob, Connection, Database, HandlerTable, Jobs, JobType, Limit, NewJob, db, fetch
from jobs_core.claim import start
from jobs_core.claim_limited import Found, claim_limited
from jobs_core.leases import retire
from jobs_core.upkeep import rescue
from tests.support.job_types import BRIEF_NOTE, LANE_NOTE, NOTE


class Bound(BaseModel):
    """An input that says its job's limits."""

    model_config = ConfigDict(extra="forbid")

    text: str = ""
    lane: str = ""
    limits: list[dict[str, Any]] = []


def _limits(given: Bound) -> list[Limit]:
    return [Limit(**limit) for limit in given.limits]


BOUND = JobType("bound", Bound, limits=_limits)
BRIEF_BOUND = JobType("brief_bound", Bound, limits=_limits, brief=True)
LANE_BOUND = JobType("lane_bound", Bound, limits=_limits, lane=lambda given: given.lane)
TYPES = (BOUND, BRIEF_BOUND, LANE_BOUND)


def table() -> HandlerTable:
    """A table that knows these types beside the ordinary ones, without code for them."""
    known = HandlerTable()
    known.declare_all([NOTE, BRIEF_NOTE, LANE_NOTE, *TYPES])
    return known


def slots_of(key: str, slots: int = 1, weight: int = 1) -> dict[str, Any]:
    """A limit as an input says it: at most so many at once."""
    return {"key": key, "slots": slots, "weight": weight}


def rate_of(key: str, rate_per_s: float, burst: float | None = None) -> dict[str, Any]:
    """A limit as an input says it: at most so many a second."""
    return {"key": key, "rate_per_s": rate_per_s, "burst": burst}


async def create(
    jobs: Jobs, *limits: dict[str, Any], n: int = 1, job_type: JobType[Bound] = BOUND, **job: Any
) -> list[int]:
    """So many jobs with these limits; returns their ids."""
    lane = job.pop("lane", "")
    new = NewJob(job_type, Bound(limits=list(limits), lane=lane), **job)
    return list((await jobs.create_many([new] * n)).ids)


async def die(database: Database, worker_id: int, last: AnyJob, *, started: bool) -> None:
    """A worker dies, with the last of its runs started or not; what it held is rescued."""
    async with database.connection() as conn:
        if started:
            await start(conn, last)
        await retire(conn, worker_id)
        await rescue(conn, max_lost=1_000)


async def claim_once(
    conn: Connection, worker_id: int, *, slots: int = 100, alone: bool = False, after: str = ""
) -> Found:
    """One look of a worker that knows all types of the default queue."""
    names = [job_type.name for job_type in (NOTE, *TYPES)]
    mine = {"worker_id": worker_id, "queues": ["default"], "job_types": names}
    return await claim_limited(conn, **mine, slots=slots, alone=alone, after=after)  # type: ignore[arg-type]  # as named


async def claim_all(conn: Connection, worker_id: int, *, slots: int = 100) -> list[AnyJob]:
    """All jobs that have their slots now, as a worker takes them that looks again for as long as it is told to."""
    jobs, found = list[AnyJob](), Found([], 0.0)
    while found.again_in_s == 0.0 and len(jobs) < slots:
        found = await claim_once(conn, worker_id, slots=slots - len(jobs), after=found.after)
        jobs += found.jobs
    return jobs


PASSED = """
SELECT each.key, l.slots, sum(least((each.own ->> 'weight')::integer, l.slots)) AS in_use
FROM jobs.jobs AS j
CROSS JOIN LATERAL jsonb_each(j.limits) AS each (key, own)
JOIN jobs.limits AS l ON l.key = each.key
WHERE j.state IN ('claimed', 'running')
GROUP BY each.key, l.slots
HAVING sum(least((each.own ->> 'weight')::integer, l.slots)) > l.slots
"""
LEAKED = """
SELECT key, job_id, token FROM jobs.limit_slots AS s
WHERE job_id IS NOT NULL AND NOT EXISTS (
    SELECT FROM jobs.jobs AS j WHERE j.id = s.job_id AND j.token = s.token AND j.state IN ('claimed', 'running')
)
"""
MISSING = """
SELECT j.id, each.key FROM jobs.jobs AS j
CROSS JOIN LATERAL jsonb_each(j.limits) AS each (key, own)
JOIN jobs.limits AS l ON l.key = each.key
WHERE j.state IN ('claimed', 'running')
  AND least((each.own ->> 'weight')::integer, l.slots) <> (
      SELECT count(*) FROM jobs.limit_slots AS s WHERE s.key = each.key AND s.job_id = j.id AND s.token = j.token
  )
"""

UNFIT = """
SELECT l.key, l.slots, count(s.n) AS n FROM jobs.limits AS l
LEFT JOIN jobs.limit_slots AS s ON s.key = l.key
WHERE NOT l.over
GROUP BY l.key, l.slots
HAVING count(s.n) <> l.slots
"""


async def wrong(conn: Connection, *, changing: bool = False) -> dict[str, list[db.Row]]:
    """What does not hold now: limits that are passed, slots that no claim holds, claims that lack one; each look is a snapshot.

    changing: the keys' numbers of slots may have been changed since the claims, so that what a job needs now says nothing.
    """
    looks = {"leaked": LEAKED, "unfit": UNFIT} | ({} if changing else {"passed": PASSED, "missing": MISSING})
    found = {name: await fetch(conn, look) for name, look in looks.items()}
    return {name: rows for name, rows in found.items() if rows}


async def in_use(conn: Connection) -> dict[str, tuple[int, int]]:
    """By key: slots held, and slots there are."""
    rows = await fetch(conn, "SELECT key, count(job_id) AS held, count(*) AS n FROM jobs.limit_slots GROUP BY key")
    return {row["key"]: (row["held"], row["n"]) for row in rows}
