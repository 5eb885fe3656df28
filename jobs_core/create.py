"""Create: the one way in for jobs, alone, in the caller's transaction, or in bulk.

Inputs pass the gate and their type's model before anything is written; a name that no type has is refused.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Self

from pydantic import BaseModel

from jobs_core import db, gate
from jobs_core.errors import InvalidInput
from jobs_core.job_types import PRIORITIES, HandlerTable, JobType
from jobs_core.settle import due_values
from jobs_core.statements import statement
from jobs_core.wake import Notifier


@dataclass(frozen=True, slots=True)
class NewJob:
    """One job to create. Queue and priority are its type's unless given; `scheduled_for` is a time or a span from now."""

    job_type: JobType[Any] | str
    input: BaseModel | dict[str, Any]
    user_id: str | None = None
    task_id: int | None = None
    project_id: str | None = None
    queue: str | None = None
    priority: int | None = None
    scheduled_for: datetime | timedelta | None = None


@dataclass(frozen=True, slots=True)
class Created:
    """Jobs that were inserted, in the order given. After the caller's commit, `wake()` lets idle workers know at once."""

    ids: tuple[int, ...]
    _ready_queues: frozenset[str]
    _notifier: Notifier

    @property
    def id(self) -> int:
        """The one job's id."""
        (job_id,) = self.ids
        return job_id

    def wake(self) -> None:
        """Wake idle workers. Without it they find the jobs at their next poll."""
        self._notifier.wake(self._ready_queues)


class Jobs:
    """Creates jobs of the types in `table`. An async context manager: leaving it sends the last wake-ups."""

    def __init__(self, database: db.Database, table: HandlerTable) -> None:
        self.database = database
        self.table = table
        self.notifier = Notifier(database)

    async def __aenter__(self) -> Self:
        await self.notifier.__aenter__()
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self.notifier.__aexit__(*exception)

    async def create(
        self,
        job_type: JobType[Any] | str,
        input: BaseModel | dict[str, Any],  # noqa: A002 - the name that job and table give it
        *,
        user_id: str | None = None,
        task_id: int | None = None,
        project_id: str | None = None,
        queue: str | None = None,
        priority: int | None = None,
        scheduled_for: datetime | timedelta | None = None,
        conn: db.Connection | None = None,
        unchecked: bool = False,
    ) -> Created:
        """Insert one job.

        With `conn` it is part of the caller's transaction: commit, then call `wake()` on what is returned; a job with a lane
        locks that lane until then, so create it last. Without, it is committed and idle workers are woken.
        `unchecked` lets a JobType through that this process' table does not know: in a rolling deploy others may.
        Raises UnknownJobType and InvalidInput (naming the field) before anything is written.
        """
        job = NewJob(job_type, input, user_id, task_id, project_id, queue, priority, scheduled_for)
        return await self.create_many([job], conn=conn, unchecked=unchecked)

    async def create_many(
        self, jobs: Sequence[NewJob], *, conn: db.Connection | None = None, unchecked: bool = False
    ) -> Created:
        """Insert many jobs in one statement: all or none. As `create`."""
        rows = [self._row(job, unchecked=unchecked) for job in jobs]
        columns = {column: [row[column] for row in rows] for column in _COLUMNS}
        if conn is not None:
            return await self._insert(conn, columns)
        for attempt in range(_ATTEMPTS):
            try:
                async with self.database.connection() as own:
                    created = await self._insert(own, columns)
                break
            except db.Retryable:
                if attempt == _ATTEMPTS - 1:
                    raise
        created.wake()
        return created

    async def _insert(self, conn: db.Connection, columns: dict[str, list[Any]]) -> Created:
        inserted = await db.fetch(conn, statement("jobs_core", "job/create"), columns)
        ready = frozenset(queue for row, queue in zip(inserted, columns["queues"], strict=True) if row["ready"])
        return Created(tuple(row["id"] for row in inserted), ready, self.notifier)

    def _row(self, job: NewJob, *, unchecked: bool) -> dict[str, Any]:
        job_type = job.job_type
        if isinstance(job_type, str) or not unchecked:
            job_type = self.table.job_type(job_type if isinstance(job_type, str) else job_type.name)
        fitted = gate.fit(job_type.Input, job.input, field="input")
        return {
            "job_types": job_type.name,
            "queues": _name(job_type.queue if job.queue is None else job.queue, "queue"),
            "priorities": _priority(job_type.priority if job.priority is None else job.priority),
            "inputs": gate.to_json(fitted, field="input", max_bytes=gate.MAX_INPUT_BYTES),
            "user_ids": _name(job.user_id, "user_id"),
            "task_ids": _task_id(job.task_id),
            "project_ids": _name(job.project_id, "project_id"),
            "lanes": _name(job_type.lane(fitted), "lane") if job_type.lane else None,
            **_due(job.scheduled_for),
        }


_LONGEST_DELAY = timedelta(days=36_500)
_BIGINT = 2**63
_ATTEMPTS = 5  # of an insert that met a deadlock: it was rolled back whole
_COLUMNS = (
    "job_types",
    "queues",
    "priorities",
    "inputs",
    "user_ids",
    "task_ids",
    "project_ids",
    "lanes",
    "times",
    "delays_s",
)


def _name(text: str | None, field: str) -> str | None:
    if text is None:
        return None
    if not text:
        raise InvalidInput(f"{field}: is empty; leave it out or give a name", field=field)
    return gate.check_text(text, field=field, max_chars=gate.MAX_NAME_CHARS)


def _priority(priority: int) -> int:
    if isinstance(priority, bool) or priority not in PRIORITIES:
        raise InvalidInput(f"priority: {priority} is not one of 0 (first) to 4 (last)", field="priority")
    return priority


def _task_id(task_id: int | None) -> int | None:
    if task_id is not None and not -_BIGINT <= task_id < _BIGINT:
        raise InvalidInput(f"task_id: {task_id} is out of range", field="task_id")
    return task_id


def _due(scheduled_for: datetime | timedelta | None) -> dict[str, Any]:
    if isinstance(scheduled_for, datetime) and scheduled_for.tzinfo is None:
        raise InvalidInput("scheduled_for: has no time zone; give one, for example +00:00", field="scheduled_for")
    if isinstance(scheduled_for, timedelta) and abs(scheduled_for) > _LONGEST_DELAY:
        raise InvalidInput(f"scheduled_for: {scheduled_for} is more than {_LONGEST_DELAY} away", field="scheduled_for")
    due = due_values(scheduled_for)
    return {"times": due["time"], "delays_s": due["delay_s"]}
