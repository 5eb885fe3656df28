"""Ageing: a ready job of low priority goes up one class for each `ageing` of its type that it waits.

    class 3  ▢▢▢▢▣ ─ ready for `ageing` ─▶ tail of class 2 ─ once more ─▶ tail of class 1 ─▶ class 0

When a job became ready stands in no column: creates and claims would pay for it. Readiness numbers only grow, so it is enough
to note now and then how far they have come: a job whose number is below what was noted an hour ago has waited for an hour.
Up to a fifth of the span longer is possible, a tenth until the note and one until the look; shorter is not. In its new class
the job draws a new number, and stands behind those who are there: so claims find it where they go on (docs/decisions/0006), and
its waiting begins anew.
"""

from collections.abc import Mapping, Sequence
from datetime import timedelta

from jobs_core import db
from jobs_core.job_types import LONGEST_AGEING
from jobs_core.statements import statement

BATCH = 1_000
"""In one statement: claims pass over them until it has ended, and upkeep does nothing else."""
_SHORTEST_STEP_S, _LONGEST_STEP_S = 1.0, 60.0


def step_s(ageing: Mapping[str, timedelta]) -> float:
    """How often to look: ten times in the shortest span, at most once a second and at least once a minute."""
    return min(max(min(ageing.values()).total_seconds() / 10, _SHORTEST_STEP_S), _LONGEST_STEP_S)


async def age(
    conn: db.Connection, ageing: Mapping[str, timedelta], *, queues: Sequence[str], batch: int = BATCH
) -> bool:
    """Have jobs of these types that were ready for so long go up a class; returns whether there may be more of them.

    The connection is not in a transaction. No worker need be woken: who is idle would have claimed them.
    """
    values = {
        "queues": list(queues),
        "job_types": list(ageing),
        "ages_s": [span.total_seconds() for span in ageing.values()],
        "batch": batch,
    }
    raised = await db.execute(conn, statement("jobs_core", "ageing/raise"), values)
    await db.execute(
        conn, statement("jobs_core", "ageing/sample"), {"every_s": step_s(ageing)}
    )  # with what they drew just now
    return raised >= batch


async def forget_ready_times(conn: db.Connection) -> None:
    """Delete what was noted so long ago that no type asks for it."""
    await db.execute(conn, statement("jobs_core", "ageing/forget"), {"keep_s": 2 * LONGEST_AGEING.total_seconds()})
