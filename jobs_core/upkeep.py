"""What any worker does for all: take over from the dead, and make ready what has fallen due. Each in bounded batches."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, LiteralString

from jobs_core import db, metrics
from jobs_core.errors import LeaseLost
from jobs_core.job import ClaimNumbers
from jobs_core.job_types import Retention
from jobs_core.limits import free_slots
from jobs_core.settle import end, failed_as
from jobs_core.settled import Settled
from jobs_core.statements import statement
from jobs_core.waits import go_on
from jobs_core.wake import Ready

BATCH = 1_000
MAX_LOST_ALONE = 3
"""How often a job's run may be lost while it is the only one in its process; then it fails. Losses among others do not count:
a crash takes along all that ran beside its cause, and a plain limit of three failed dozens of innocent jobs."""
MOST_SUSPECTS = 100
"""What a look counts up to."""
KEEP_DEAD_WORKERS_S = 24 * 3600.0
_LOST = "lost: its worker died or froze"
_STOPPED = "lost: Postgres was away for longer than the lease, and its worker stopped it"


@dataclass(frozen=True, slots=True)
class Seen:
    """What there is to do: leases that ran out, jobs whose worker is gone, in how many seconds a job is due or a pause ends (or
    None), whether somebody wants a job ended, a pause that has ended, how many suspects, of those asked for, stand ready to run
    alone or will soon, whether a job with limits, of anybody's, stands ready, and how far readiness numbers had come, and
    when.
    """

    expired: bool
    gone: bool
    due_in_s: float | None
    cancels: bool
    pause_over: bool
    suspects: int
    limited: bool
    drawn: int
    at: datetime


async def look(conn: db.Connection, *, queues: Sequence[str] = (), job_types: Sequence[str] = ()) -> Seen:
    """Look, in one statement, whether any upkeep is due; `queues` and `job_types` are those whose suspects are counted."""
    values = {"queues": list(queues), "job_types": list(job_types), "most": MOST_SUSPECTS}
    row = await db.fetch_one(conn, statement("jobs_core", "upkeep/look"), values)
    assert row is not None
    return Seen(**row)


async def bury(conn: db.Connection) -> list[db.Row]:
    """Mark workers dead whose lease ran out; returns id, host, pid of each. Not in the first lease after Postgres came up."""
    return await db.fetch(conn, statement("jobs_core", "worker/bury"))


async def rescue(
    conn: db.Connection,
    *,
    max_lost: int = MAX_LOST_ALONE,
    retentions: Mapping[str, Retention] | None = None,
    unsuspected: Sequence[str] = (),
) -> tuple[list[int], set[Ready]]:
    """Put back the jobs of workers that are gone, those that had started as suspects, and end those lost too often alone.

    The connection is not in a transaction. retentions: by job type, `standard` where one is not named. unsuspected: types whose
    jobs are put back for all. Returns the ids rescued and where jobs became ready for all.
    """
    gone = [row["id"] for row in await db.fetch(conn, statement("jobs_core", "worker/gone"))]
    if not gone:
        return [], set()
    limits = {
        "worker_ids": gone,
        "batch": BATCH,
        "max_lost": max_lost,
        "error": _LOST,
        "unsuspected": list(unsuspected),
    }
    ids, ready = list[int](), set[Ready]()
    while rows := await _take_back(conn, "job/rescue", limits, ready):
        ids += [row["id"] for row in rows]
    for row in await db.fetch(conn, statement("jobs_core", "job/crashed"), limits):
        job_type = row.pop("job_type")
        retention = failed_as((retentions or {}).get(job_type, "standard"))
        holds_lane = row.pop("holds_lane")
        crashed = ClaimNumbers(**row)
        if (settled := await _fail_crashed(conn, crashed, max_lost, retention, holds_lane=holds_lane)) is not None:
            metrics.ended.labels(job_type, settled.state).inc()
            ready.update(settled.ready)
    return ids, ready


async def _fail_crashed(
    conn: db.Connection, crashed: ClaimNumbers, max_lost: int, retention: Retention, *, holds_lane: bool
) -> Settled | None:
    """End a job that was lost alone for the last time; None: another does, or the next round."""
    error = f"lost: its worker died or froze {max_lost} times while this job was the only one in its process; not tried again"
    lane_is_ours = False
    try:
        async with conn.transaction():
            if crashed.lane and not await _try_lock(conn, [crashed.lane]):
                return None  # someone holds its lane: in the next round
            lane_is_ours = True
            await db.wait_briefly_for_locks(conn)  # its parent's
            return await end(
                conn, crashed, "failed", error=error, because="lost", retention=retention, holds_lane=holds_lane
            )
    except LeaseLost:  # another worker's rescue was faster
        return None
    except db.LockNotAvailable:
        if not lane_is_ours:
            raise
        return None  # someone holds its parent: in the next round


async def unsuspect(conn: db.Connection, *, queues: Sequence[str], job_types: Sequence[str]) -> set[Ready]:
    """Have suspects of these types run among others: who put them back did not know the types. Call it where they run.

    The connection is not in a transaction. Returns where jobs became ready for all.
    """
    values = {"queues": list(queues), "job_types": list(job_types), "batch": BATCH}
    rows = await db.fetch(conn, statement("jobs_core", "job/unsuspect"), values)
    return {Ready(row["queue"], row["job_type"]) for row in rows}


async def promote_due(conn: db.Connection) -> tuple[float | None, set[Ready]]:
    """Make ready what is due, or has waited long enough; due jobs with a lane join its tail.

    The connection is not in a transaction. Returns the seconds until the next one is due or a pause ends (None: none waits; 0
    or less: more are due now) and where jobs became ready.
    """
    waited = await go_on(conn, batch=BATCH)
    rows = await db.fetch(conn, statement("jobs_core", "job/promote"), {"batch": BATCH})
    lanes = [row["lane"] for row in await db.fetch(conn, statement("jobs_core", "job/due_for_lanes"), {"batch": BATCH})]
    if lanes:
        async with conn.transaction():
            locked = {"lanes": await _try_lock(conn, lanes), "batch": BATCH}
            rows += await db.fetch(conn, statement("jobs_core", "job/join"), locked)
    return (await look(conn)).due_in_s, {*waited, *(Ready(**row) for row in rows)}


async def _try_lock(conn: db.Connection, lanes: list[str]) -> list[str]:
    """The lanes, of these, that are locked now; upkeep waits for nobody's."""
    return [row["lane"] for row in await db.fetch(conn, statement("jobs_core", "lane/try_lock"), {"lanes": lanes})]


async def put_back_strays(
    conn: db.Connection, worker_id: int, known: list[int], *, unsuspected: Sequence[str] = ()
) -> set[Ready]:
    """Put back what the worker holds but does not run (`known` are the ids it runs); returns where jobs became ready for all.

    A claim whose answer was lost leaves such jobs, and nobody else would ever look at them: their worker lives. Those of
    runs that had started become suspects, as in `rescue`.
    """
    return await _put_back(conn, worker_id, known, error=_LOST, suspected=True, unsuspected=unsuspected)


async def put_back_stopped(conn: db.Connection, worker_id: int) -> set[Ready]:
    """Put back what a worker held that stopped its runs itself, Postgres having been away for longer than its lease.

    Nobody is suspected: nothing died. Returns where jobs became ready for all.
    """
    return await _put_back(conn, worker_id, [], error=_STOPPED, suspected=False)


async def _put_back(
    conn: db.Connection,
    worker_id: int,
    known: list[int],
    *,
    error: str,
    suspected: bool,
    unsuspected: Sequence[str] = (),
) -> set[Ready]:
    values = {
        "worker_id": worker_id,
        "ids": known,
        "error": error,
        "suspected": suspected,
        "unsuspected": list(unsuspected),
    }
    ready = set[Ready]()
    await _take_back(conn, "job/put_back_strays", values, ready)
    return ready


async def _take_back(
    conn: db.Connection, name: LiteralString, values: Mapping[str, Any], ready: set[Ready]
) -> list[db.Row]:
    """Put jobs back, with the slots they held; adds to `ready` where jobs now stand ready for all, not only as suspects."""
    async with conn.transaction():
        rows = await db.fetch(conn, statement("jobs_core", name), values)
        freed_for = await free_slots(conn, [row["id"] for row in rows if row["limited"]])
    ready |= freed_for | {Ready(row["queue"], row["job_type"]) for row in rows if not row["alone"]}
    return rows


async def forget_workers(conn: db.Connection) -> None:
    """Delete workers that have been dead for a day and hold nothing."""
    await db.execute(conn, statement("jobs_core", "worker/forget"), {"keep_s": KEEP_DEAD_WORKERS_S})
