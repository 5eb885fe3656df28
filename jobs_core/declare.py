"""Declare: what SQL must know of job types is written to the table `job_types`, where `create` in SQL and rescue look it up.

Workers do it when they start, `jobs migrate` and `jobs up` after they migrated. Nothing is deleted: other programs may have
types of their own in the same schema.
"""

from collections.abc import Iterable
from typing import Any

from jobs_core import db
from jobs_core.job_types import JobType
from jobs_core.statements import statement


async def declare_types(conn: db.Connection, job_types: Iterable[JobType[Any]]) -> int:
    """Make these types known to SQL as they are declared here; returns how many were new or had changed.

    Where two versions of the code declare a type differently, the process that started last is heard.
    """
    types = list(job_types)
    values = {
        "names": [one.name for one in types],
        "queues": [one.queue for one in types],
        "priorities": [one.priority for one in types],
        "has_lanes": [one.lane is not None for one in types],
        "has_unique_keys": [one.unique_key is not None for one in types],
        "has_limits": [one.limits is not None for one in types],
        "fair_bys": [_fair_by(one) for one in types],
        "unique_whiles": [one.unique_while for one in types],
        "merges": [one.merge is not None for one in types],
        "idempotency_s": [one.idempotency_for.total_seconds() for one in types],
        "holds_lanes": [one.holds_lane for one in types],
    }
    return await db.execute(conn, statement("jobs_core", "job_type/declare"), values)


def _fair_by(job_type: JobType[Any]) -> str | None:
    """What SQL can do of it by itself: nothing where it is computed from the input."""
    return "input" if callable(job_type.fair_by) else job_type.fair_by
