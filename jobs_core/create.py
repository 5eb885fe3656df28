"""Create: the one way in for jobs, alone, in the caller's transaction, or in bulk.

Inputs pass the gate and their type's model before anything is written; a name that no type has is refused. A job whose key
another one holds is not inserted: the create meets that one, and says so.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Self

from pydantic import BaseModel

from jobs_core import db, metrics
from jobs_core.cancel import Cancelled, cancel
from jobs_core.insert import Inserted, insert, insert_plain, insert_ready
from jobs_core.job_types import HandlerTable, JobType, UniqueWhile
from jobs_core.keys import insert_or_meet
from jobs_core.new_job import NewJob, Row, has_keys, is_plain, row_of
from jobs_core.sticky import stick
from jobs_core.waits import Emitted, emit
from jobs_core.wake import Notifier, Ready


@dataclass(slots=True)
class Created:
    """A job for each that was asked for, in the order given. After the caller's commit, `wake()` tells idle workers at once.

    met: those of `ids` that were there before: nothing was inserted for them. Two of one call with the same key are one job,
    whose id stands twice. merged: those of `met` that took an input of this call in. due: by id, when the jobs that this call
    has debounced will start, by Postgres' clock, unless a next create puts that off.
    """

    ids: tuple[int, ...]
    met: frozenset[int]
    _ready: frozenset[Ready]
    merged: frozenset[int]
    due: Mapping[int, datetime]
    _notifier: Notifier

    @property
    def id(self) -> int:
        """The one job's id."""
        (job_id,) = self.ids
        return job_id

    @property
    def ready(self) -> frozenset[Ready]:
        """Where they stand ready: for an outcome's `also` to return, instead of `wake()`."""
        return self._ready

    def wake(self) -> None:
        """Wake idle workers. Without it they find the jobs at their next poll."""
        self._notifier.wake(self._ready)


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
        idempotency_key: str | None = None,
        unique_key: str | None = None,
        unique_while: UniqueWhile | None = None,
        debounce: timedelta | None = None,
        debounce_at_most: timedelta | None = None,
        conn: db.Connection | None = None,
        unchecked: bool = False,
    ) -> Created:
        """Insert one job, or meet the one that holds its key; NewJob says what the arguments are.

        With `conn` it is part of the caller's transaction: commit, then call `wake()` on what is returned. Create last: a job's
        lane is locked until then, and so is a job that was met. If that had not been claimed, its run sees whatever the caller
        wrote before. Without `conn` it is committed and idle workers are woken.
        `unchecked` lets a JobType through that this process' table does not know: in a rolling deploy others may.
        Raises UnknownJobType, and InvalidInput, naming the field, before anything is written, or where inputs cannot be merged;
        KeyReused where the idempotency key stands for another input; in the caller's transaction also one of db.Retryable: roll
        back and begin again.
        """
        job = NewJob(
            job_type,
            input,
            user_id,
            task_id,
            project_id,
            queue,
            priority,
            scheduled_for,
            idempotency_key,
            unique_key,
            unique_while,
            debounce,
            debounce_at_most,
        )
        return await self._create([self._row(job, unchecked)], conn)

    async def create_many(
        self, jobs: Sequence[NewJob], *, conn: db.Connection | None = None, unchecked: bool = False
    ) -> Created:
        """Insert, or meet, many jobs: all or none. As `create`."""
        return await self._create([self._row(job, unchecked) for job in jobs], conn)

    async def emit(self, event: str, payload: Any = None, *, conn: db.Connection | None = None) -> bool:
        """Tell an event: every job that waits for it, or ever will, gets this payload. False: an earlier one counts.

        payload: plain JSON, or a model. With `conn` it is part of the caller's transaction, and waiting jobs are found by the
        next poll after its commit. Raises InvalidInput.
        """
        if conn is not None:
            return (await emit(conn, event, payload)).first

        async def once() -> Emitted:
            async with self.database.transaction() as own:
                return await emit(own, event, payload)

        told = await db.retried(once)
        self.notifier.wake(told.ready)
        return told.first

    async def cancel(self, job_id: int, *, reason: str | None = None) -> Cancelled | None:
        """End a job, in whatever state, and all that its runs have created; None where no such job lives.

        One that runs is told within a second, and ends as cancelled unless it completes first.
        """
        async with self.database.connection() as conn:
            cancelled = await cancel(conn, job_id, reason=reason, retentions=self.table.retentions)
        if cancelled:
            self.notifier.wake(cancelled.ready)
        if cancelled and cancelled.asked:
            self.notifier.tell_of_cancels()
        return cancelled

    def lane_of(self, job: NewJob) -> str | None:
        """The lane that a job would stand in. Raises UnknownJobType, InvalidInput."""
        lane: str | None = self._row(job, unchecked=False)["lane"]
        return lane

    def _row(self, job: NewJob, unchecked: bool) -> Row:  # noqa: FBT001 - ours alone
        job_type = job.job_type
        if isinstance(job_type, str) or not unchecked:
            job_type = self.table.job_type(job_type if isinstance(job_type, str) else job_type.name)
        return row_of(job, job_type)

    async def _create(self, rows: Sequence[Row], conn: db.Connection | None) -> Created:
        if conn is not None:
            return self._created(rows, await _insert(conn, rows))

        async def once() -> Inserted:
            async with self.database.connection() as own:
                return await _insert(own, rows)

        created = self._created(rows, await db.retried(once))
        created.wake()
        return created

    def _created(self, rows: Sequence[Row], inserted: Inserted) -> Created:
        metrics.count_created(rows, inserted.ids, inserted.met)
        return Created(*inserted, self.notifier)


async def _insert(conn: db.Connection, rows: Sequence[Row]) -> Inserted:
    if any(row["sticky_key"] is not None for row in rows):
        async with conn.transaction():
            return await stick(conn, rows, await _insert_all(conn, rows))
    return await _insert_all(conn, rows)


async def _insert_all(conn: db.Connection, rows: Sequence[Row]) -> Inserted:
    if all(is_plain(row) for row in rows):
        return await (insert_plain(conn, rows[0]) if len(rows) == 1 else insert_ready(conn, rows))
    if any(has_keys(row) for row in rows):
        return await insert_or_meet(conn, rows)
    return await insert(conn, rows)
