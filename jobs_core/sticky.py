"""Sticky jobs: they would rather run where the last one of their key did, and wait for that worker a moment.

    made ready ─▶ the key's last worker lives and has room? ─ no ─▶ ready, for all
                        │ yes
                        ▼
                  waits for it ─┬─ it claims it, hinted at once ─▶ claimed ─▶ runs: it is the key's last worker
                                └─ sticky_for is over (upkeep) ──▶ ready, for all

Only a job that becomes ready by its creation, or as its lane's turn comes, waits so. For all but one worker it is a job for
the future, so that claims, and jobs without a key, know nothing of it. It is a hint: where any of it is lost, the job runs a
moment later, anywhere.
"""

from collections.abc import Mapping, Sequence

from jobs_core import db
from jobs_core.insert import Inserted
from jobs_core.job import AnyJob, Job
from jobs_core.job_types import GIVE_UP_AFTER
from jobs_core.new_job import Row
from jobs_core.statements import statement
from jobs_core.wake import Ready

KEEP_S = 24 * 3600.0
"""After which a key is forgotten that no job has used."""


async def stick(conn: db.Connection, rows: Sequence[Row], inserted: Inserted) -> Inserted:
    """Have those of these jobs that have a key wait for its worker, in the transaction that inserted them."""
    firsts = dict(reversed([*zip(inserted.ids, rows, strict=True)]))  # of rows that are one job, the one it was made of
    new = {
        job_id: row for job_id, row in firsts.items() if row["sticky_key"] is not None and job_id not in inserted.met
    }
    if not new:
        return inserted
    values = {
        "ids": list(new),
        "keys": [row["sticky_key"] for row in new.values()],
        "spans_s": [row["sticky_s"] for row in new.values()],
    }
    await db.execute(conn, statement("jobs_core", "sticky/set"), values)
    waiting = await prefer(conn, list(new))
    others = inserted.ready if len(waiting) < len(set(inserted.ids)) else frozenset[Ready]()
    return inserted._replace(ready=others | frozenset(waiting.values()))


async def prefer(conn: db.Connection, ids: Sequence[int]) -> dict[int, Ready]:
    """Have jobs that this transaction has made ready wait for the last workers of their keys; a hint for each that does."""
    rows = await db.fetch(conn, statement("jobs_core", "sticky/prefer"), {"ids": list(ids)})
    return {row.pop("id"): Ready(**row) for row in rows}


async def promote_next(conn: db.Connection, lane: str) -> tuple[Ready, ...]:
    """Make the next job of a lane, which the caller has locked, its head, unless it is held; returns where that is ready."""
    head = await db.fetch_one(conn, statement("jobs_core", "lane/promote"), {"lane": lane})
    if head is None:
        return ()
    waiting = await prefer(conn, [head["id"]]) if head["sticky"] else {}
    return (waiting.get(head["id"]) or Ready(head["queue"], head["job_type"]),)


async def claim_sticky(
    conn: db.Connection,
    *,
    worker_id: int,
    queues: Sequence[str],
    job_types: Sequence[str],
    slots: int,
    give_up_after_s: Mapping[str, float] | None = None,
) -> list[AnyJob]:
    """Take up to `slots` jobs that wait for this worker; the arguments, and what is returned, as of `claim`."""
    after_s = give_up_after_s or {}
    values = {
        "worker_id": worker_id,
        "queues": list(queues),
        "job_types": list(job_types),
        "give_up_s": [after_s.get(name, GIVE_UP_AFTER.total_seconds()) for name in job_types],
        "slots": slots,
    }
    return [Job(*row) for row in await db.fetch_tuples(conn, statement("jobs_core", "sticky/claim"), values)]


async def remember(conn: db.Connection, job: AnyJob) -> None:
    """The worker that holds this job is the last one of its key."""
    await db.execute(conn, statement("jobs_core", "sticky/remember"), {"id": job.id, "token": job.token})


async def leave(conn: db.Connection, worker_id: int) -> frozenset[Ready]:
    """No job waits for this worker any more, it claims no more; returns where jobs are ready now."""
    values = {"worker_id": worker_id}
    await db.execute(conn, statement("jobs_core", "sticky/forget_worker"), values)
    return frozenset(Ready(**row) for row in await db.fetch(conn, statement("jobs_core", "sticky/let_go"), values))


async def forget_sticky_keys(conn: db.Connection) -> None:
    """Delete the keys of dead workers, and those that no job has used for a day."""
    await db.execute(conn, statement("jobs_core", "sticky/forget"), {"keep_s": KEEP_S})
