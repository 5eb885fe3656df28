"""What any worker does for all: take over from the dead, and make ready what has fallen due. Each in bounded batches."""

from dataclasses import dataclass

from jobs_core import db
from jobs_core.errors import LeaseLost
from jobs_core.job import ClaimNumbers
from jobs_core.settle import end
from jobs_core.statements import statement

BATCH = 1_000
MAX_LOST = 10
"""How often a job's started run may be lost with its worker before the job fails. High, because a crash charges every job
that ran beside the one that caused it: a limit of three took dozens of innocent jobs along."""
KEEP_DEAD_WORKERS_S = 24 * 3600.0


@dataclass(frozen=True, slots=True)
class Seen:
    """What there is to do: leases that ran out, jobs whose worker is gone, and in how many seconds a job is due (or None)."""

    expired: bool
    gone: bool
    due_in_s: float | None


async def look(conn: db.Connection) -> Seen:
    """Look, in one statement, whether any upkeep is due."""
    row = await db.fetch_one(conn, statement("jobs_core", "upkeep/look"))
    assert row is not None
    return Seen(**row)


async def bury(conn: db.Connection) -> list[db.Row]:
    """Mark workers dead whose lease ran out; returns id, host, pid of each. Not in the first lease after Postgres came up."""
    return await db.fetch(conn, statement("jobs_core", "worker/bury"))


async def rescue(conn: db.Connection, *, max_lost: int = MAX_LOST) -> tuple[list[int], set[str]]:
    """Put back the jobs of workers that are gone, and end those that were lost too often.

    The connection is not in a transaction. Returns the ids rescued and the queues in which jobs became ready.
    """
    gone = [row["id"] for row in await db.fetch(conn, statement("jobs_core", "worker/gone"))]
    if not gone:
        return [], set()
    limits = {"worker_ids": gone, "batch": BATCH, "max_lost": max_lost}
    queues = set[str]()
    error = f"lost: its worker died or froze during {max_lost} runs; not tried again"
    ids = list[int]()
    while rows := await db.fetch(conn, statement("jobs_core", "job/rescue"), limits):
        ids += [row["id"] for row in rows]
        queues.update(row["queue"] for row in rows)
    for row in await db.fetch(conn, statement("jobs_core", "job/crashed"), limits):
        crashed = ClaimNumbers(**row)
        async with conn.transaction():
            if crashed.lane and not await _try_lock(conn, [crashed.lane]):
                continue  # someone holds its lane: in the next round
            try:
                queues.update((await end(conn, crashed, "failed", error=error)).wakes)
            except LeaseLost:  # another worker's rescue was faster
                continue
    return ids, queues


async def promote_due(conn: db.Connection) -> tuple[float | None, set[str]]:
    """Make due jobs ready; those with a lane join its tail.

    The connection is not in a transaction. Returns the seconds until the next one is due (None: none waits; 0 or less:
    more are due now) and the queues in which jobs became ready.
    """
    rows = await db.fetch(conn, statement("jobs_core", "job/promote"), {"batch": BATCH})
    lanes = [row["lane"] for row in await db.fetch(conn, statement("jobs_core", "job/due_for_lanes"), {"batch": BATCH})]
    if lanes:
        async with conn.transaction():
            locked = {"lanes": await _try_lock(conn, lanes), "batch": BATCH}
            rows += await db.fetch(conn, statement("jobs_core", "job/join"), locked)
    return (await look(conn)).due_in_s, {row["queue"] for row in rows}


async def _try_lock(conn: db.Connection, lanes: list[str]) -> list[str]:
    """The lanes, of these, that are locked now; upkeep waits for nobody's."""
    return [row["lane"] for row in await db.fetch(conn, statement("jobs_core", "lane/try_lock"), {"lanes": lanes})]


async def put_back_strays(conn: db.Connection, worker_id: int, known: list[int]) -> set[str]:
    """Put back what the worker holds but does not run (`known` are the ids it runs); returns the queues that are ready.

    A claim whose answer was lost leaves such jobs, and nobody else would ever look at them: their worker lives.
    """
    values = {"worker_id": worker_id, "ids": known}
    return {row["queue"] for row in await db.fetch(conn, statement("jobs_core", "job/put_back_strays"), values)}


async def forget_workers(conn: db.Connection) -> None:
    """Delete workers that have been dead for a day and hold nothing."""
    await db.execute(conn, statement("jobs_core", "worker/forget"), {"keep_s": KEEP_DEAD_WORKERS_S})
