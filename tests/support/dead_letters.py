"""Dead letters for tests, and redrives of them."""

from datetime import UTC, datetime
from typing import Any

from jobs_core import Connection, Jobs, fetch, fetch_one, redrive
from jobs_core.dead_letters import Letters
from jobs_core.redrive import Batch

INSERT_DEAD = """
INSERT INTO jobs.history (id, job_type, queue, priority, state, input, error, lane, retry_count, lost_count, created_at)
VALUES (nextval('jobs.job_id_seq'), %(job_type)s, 'default', 2, %(state)s, %(input)s, 'no', %(lane)s, 0, 0, now())
RETURNING id
"""


async def dead(conn: Connection, job_type: str = "note", job_input: str = "{}", **more: Any) -> int:
    """The id of a dead letter written by hand."""
    values = {"job_type": job_type, "input": job_input, "state": "failed", "lane": None, **more}
    row = await fetch_one(conn, INSERT_DEAD, values)
    assert row is not None
    return int(row["id"])


async def redriven(conn: Connection, jobs: Jobs, letters: Letters, **how: Any) -> Batch:
    """All batches of a redrive as one."""
    batches = [batch async for batch in redrive.redrive(conn, jobs.table, letters, **how)]
    made = {old: new for batch in batches for old, new in batch.redriven.items()}
    left = [one for batch in batches for one in batch.left]
    ready = frozenset(one for batch in batches for one in batch.ready)
    return Batch(made, left, None, ready, datetime.now(UTC))


async def living(conn: Connection) -> list[dict[str, Any]]:
    """The rows of all living jobs."""
    return await fetch(conn, "SELECT * FROM jobs.jobs ORDER BY id")
