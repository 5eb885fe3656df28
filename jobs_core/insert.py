"""Insert: rows of jobs, as `new_job` made them, into the queue. Keys are minded by `keys`, before and after."""

from collections.abc import Sequence
from typing import NamedTuple

from jobs_core import db
from jobs_core.new_job import Row
from jobs_core.statements import statement

_COLUMNS = (
    "job_type",
    "queue",
    "priority",
    "input",
    "user_id",
    "task_id",
    "project_id",
    "lane",
    "unique_key",
    "unique_while",
    "time",
    "delay_s",
)


class Inserted(NamedTuple):
    """A job for each row, in their order; `met` are those that were there before; the queues where one stands ready."""

    ids: tuple[int, ...]
    met: frozenset[int]
    ready_queues: frozenset[str]


async def insert_plain(conn: db.Connection, row: Row) -> Inserted:
    """Insert one job that `is_plain`: a third of the cost of the arrays that any others take."""
    new = await db.fetch_one(conn, statement("jobs_core", "job/create_one"), row)
    assert new is not None
    return Inserted((new["id"],), frozenset(), frozenset((row["queue"],)))


async def insert(conn: db.Connection, rows: Sequence[Row]) -> Inserted:
    """Insert any number of jobs in one statement. Raises UniqueViolation where one's unique key is held."""
    columns = {column: [row[column] for row in rows] for column in _COLUMNS}
    new = await db.fetch(conn, statement("jobs_core", "job/create"), columns)
    ready = frozenset(row["queue"] for row, job in zip(rows, new, strict=True) if job["ready"])
    return Inserted(tuple(job["id"] for job in new), frozenset(), ready)
