"""Suspects: jobs whose started run was lost with its worker. Each runs next alone, as the only job in its process.

    lost among others ─▶ suspect ─ claim_alone ─▶ runs alone ─┬─ its own outcome ─▶ cleared, or ended
                            ▲                                 └─ lost: counted ─▶ the third time it fails
                            └───────────────────────────────────────┘

A crash takes along all that ran beside its cause, and nobody can tell which of them it was. Alone, the cause shows itself, and
the others complete.
"""

from collections.abc import Sequence

from jobs_core import db
from jobs_core.claim_limited import claim_limited
from jobs_core.job import AnyJob, Job
from jobs_core.job_types import GIVE_UP_AFTER
from jobs_core.statements import statement


async def claim_alone(
    conn: db.Connection, *, worker_id: int, queues: Sequence[str], job_types: Sequence[str]
) -> AnyJob | None:
    """Take the first suspect in priority and readiness; its input is still JSON text. `claim` never takes one.

    One with limits is taken where none without is ready, and only with its slots and permits.

    None where no suspect is ready, and where the worker's lease is no longer good (its renewal will say so).
    """
    values = {
        "worker_id": worker_id,
        "queues": list(queues),
        "job_types": list(job_types),
        "give_up_s": GIVE_UP_AFTER.total_seconds(),
    }
    if rows := await db.fetch_tuples(conn, statement("jobs_core", "job/claim_alone"), values):
        return Job(*rows[0])
    limited = await claim_limited(conn, worker_id=worker_id, queues=queues, job_types=job_types, slots=1, alone=True)
    return limited.jobs[0] if limited.jobs else None
