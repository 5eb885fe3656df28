"""Insert: rows of jobs, as `new_job` made them, into the queue. Keys are minded by `keys`, before and after."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import Any, NamedTuple

from jobs_core import db
from jobs_core.new_job import Row
from jobs_core.statements import statement
from jobs_core.wake import Ready

_READY_COLUMNS = ("job_type", "queue", "priority", "input", "user_id", "task_id", "project_id")
_COLUMNS = (*_READY_COLUMNS, "lane", "unique_key", "unique_while", "limits", "limit_group", "time", "delay_s")


class Inserted(NamedTuple):
    """A job for each row, in their order; `met` are those that were there before; where one stands ready.

    merged: those met whose input is another now. due: when those start that this call has debounced.
    """

    ids: tuple[int, ...]
    met: frozenset[int]
    ready: frozenset[Ready]
    merged: frozenset[int] = frozenset()
    due: Mapping[int, datetime] = MappingProxyType({})


async def insert_plain(conn: db.Connection, row: Row) -> Inserted:
    """Insert one job that `is_plain`."""
    new = await db.fetch_one(conn, statement("jobs_core", "job/create_one"), row)
    assert new is not None
    return Inserted((new["id"],), frozenset(), frozenset((_where(row),)))


async def insert_ready(conn: db.Connection, rows: Sequence[Row]) -> Inserted:
    """Insert any number of jobs that are plain, without the look at lanes, keys, limits and times."""
    new = await db.fetch_tuples(conn, statement("jobs_core", "job/create_ready"), _arrays(rows, _READY_COLUMNS))
    return Inserted(tuple(job_id for (job_id,) in new), frozenset(), frozenset(map(_where, rows)))


async def insert(conn: db.Connection, rows: Sequence[Row]) -> Inserted:
    """Insert any number of jobs in one statement. Raises UniqueViolation where one's unique key is held."""
    new = await db.fetch_tuples(conn, statement("jobs_core", "job/create"), _arrays(rows, _COLUMNS))
    where = frozenset(_where(row) for row, (_, ready) in zip(rows, new, strict=True) if ready)
    return Inserted(tuple(job_id for job_id, _ in new), frozenset(), where)


def _where(row: Row) -> Ready:
    return Ready(row["queue"], row["job_type"])


def _arrays(rows: Sequence[Row], columns: Sequence[str]) -> dict[str, list[Any]]:
    return {column: [row[column] for row in rows] for column in columns}
