"""Ends: how jobs have ended, many in one look. For one job there is `look.find`."""

from collections.abc import Collection
from datetime import datetime, timedelta

from jobs_core import db
from jobs_core.history import oldest_day
from jobs_core.look import spans
from jobs_core.statements import statement

_CLOCKS_DIFFER = timedelta(days=1)
"""A server that took over may be behind the one that wrote `since`."""


async def living(conn: db.Connection, job_ids: Collection[int]) -> set[int]:
    """Those of the jobs that have not ended."""
    rows = await db.fetch(conn, statement("jobs_core", "job/living"), {"ids": list(job_ids)})
    return {row["id"] for row in rows}


async def ends(conn: db.Connection, job_ids: Collection[int], *, since: datetime) -> dict[int, str]:
    """How jobs ended, by id: complete, failed or cancelled. Days are walked back, and no further than needed (look.py).

    since: when all of them lived. Those that history does not have are left out: they live, their type keeps none that
    completed, or they were pruned. A job that `living` did not name before is found here, if it is kept.
    """
    found, wanted = dict[int, str](), set(job_ids)
    if not wanted:
        return found
    for first, next_ in spans(await oldest_day(conn), since - _CLOCKS_DIFFER):
        values = {"ids": list(wanted - found.keys()), "first": first, "next": next_}
        rows = await db.fetch(conn, statement("jobs_core", "history/ends"), values, prepare=False)
        found.update((row["id"], row["state"]) for row in rows)
        if len(found) == len(wanted):
            break
    return found
