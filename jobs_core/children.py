"""Children: jobs that a job's run has created, whose ends it can wait for.

The end of a child locks its parent's row first, in a statement of its own, and so does a parent that begins to wait: whichever
comes second sees what the other did.
"""

import json

from jobs_core import db
from jobs_core.job import Claim
from jobs_core.statements import statement
from jobs_core.wake import Ready

CHILDREN = "jobs:children"
"""What a parent waits for as `wait_event`; no event has such a name."""


def record_of(child_id: int) -> str:
    """The name under which a child's end stands among its parent's steps."""
    return f"child:{child_id}"


async def tell_parent(
    conn: db.Connection, parent_id: int, child: Claim, state: str, *, result: str | None, error: str | None
) -> list[Ready]:
    """Record a child's end with its parent, which is locked, and let that go on if it waits for its last child.

    result: JSON text. Returns where the parent is ready now, if it is.
    """
    output = f'{{"id":{child.id},"state":"{state}","result":{result or "null"},"error":{json.dumps(error)}}}'
    record = {"job_id": parent_id, "name": record_of(child.id), "state": "done", "output": output, "token": child.token}
    await db.execute(conn, statement("jobs_core", "step/write"), record)
    rows = await db.fetch(conn, statement("jobs_core", "job/wake_parent"), {"id": parent_id})
    return [Ready(**row) for row in rows]


async def has_children(conn: db.Connection, parent_id: int) -> bool:
    """Whether a child of that job lives."""
    row = await db.fetch_one(conn, statement("jobs_core", "job/has_children"), {"id": parent_id})
    return row is not None and bool(row["children"])
