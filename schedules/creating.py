"""Creates the jobs of ticks: many in one go, and where one is refused, the others all the same."""

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from typing import Any

from jobs_core import Connection, Created, Jobs, JobType, NewJob, execute, gate, statement
from schedules.rules import Due
from schedules.schedule import Schedule
from schedules.tick import Tick, takes_tick

_MOST_BYTES = 1024 * 1024
"""Of inputs that are checked between two statements: 0.1 s of work. A thousand of 64 KiB took 8 s, and a scheduler's
transaction that lies idle for 5 s is cut off: each time anew, and with it all others of the batch."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """A tick that is to have a job."""

    schedule: Schedule
    due: Due


@dataclass(frozen=True, slots=True)
class Refused:
    """Why a tick has no job: its input does not fit its type any more, say."""

    error: str


async def create(conn: Connection, jobs: Jobs, wanted: Sequence[Wanted]) -> tuple[list[int | Refused], list[Created]]:
    """For each tick its job's id, or why it was refused; and what to wake after the commit.

    In the caller's transaction, which holds the schedules' locks. Raises what the database raises.
    """
    made, to_wake = list[int | Refused](), list[Created]()
    for part in _parts(wanted):
        try:
            async with conn.transaction():
                created = await jobs.create_many([_job(jobs, one) for one in part], conn=conn, unchecked=True)
        except Exception as error:
            if _is_the_databases(error):
                raise
            ids, each = await _one_by_one(conn, jobs, part)
        else:
            ids, each = list(created.ids), [created]
        made += ids
        to_wake += each
    return made, to_wake


async def add_ticks(conn: Connection, ticks: Sequence[Wanted], results: Sequence[int | Refused | None]) -> None:
    """Record ticks, each with its job's id, why it was refused, or None: a job of an earlier one had not ended."""
    if not ticks:
        return
    values: dict[str, list[object]] = {
        "schedule_ids": [tick.schedule.id for tick in ticks],
        "slots": [tick.due.slot for tick in ticks],
        "due_ats": [tick.due.at for tick in ticks],
        "job_ids": [result if isinstance(result, int) else None for result in results],
        "outcomes": [_outcome(result) for result in results],
        "errors": [result.error if isinstance(result, Refused) else None for result in results],
    }
    await execute(conn, statement("schedules", "tick/add"), values)


def _outcome(result: int | Refused | None) -> str | None:
    if result is None:
        return "overlapped"
    return "refused" if isinstance(result, Refused) else None


def _parts(wanted: Sequence[Wanted]) -> Iterator[Sequence[Wanted]]:
    """In order, each of no more than _MOST_BYTES of input, or of one tick."""
    inputs = {one.schedule.id: one.schedule.input for one in wanted}
    size_of = {schedule_id: len(json.dumps(given)) for schedule_id, given in inputs.items()}
    begin = size = 0
    for end, one in enumerate(wanted):
        size += size_of[one.schedule.id]
        if size > _MOST_BYTES and end > begin:
            yield wanted[begin:end]
            begin, size = end, size_of[one.schedule.id]
    if wanted:
        yield wanted[begin:]


async def _one_by_one(
    conn: Connection, jobs: Jobs, wanted: Sequence[Wanted]
) -> tuple[list[int | Refused], list[Created]]:
    made, to_wake = list[int | Refused](), list[Created]()
    for one in wanted:
        try:
            async with conn.transaction():
                created = await jobs.create_many([_job(jobs, one)], conn=conn, unchecked=True)
        except Exception as error:
            if _is_the_databases(error):
                raise
            made.append(Refused(gate.clean_text(f"{type(error).__name__}: {error}")))
        else:
            made.append(created.id)
            to_wake.append(created)
    return made, to_wake


def _is_the_databases(error: Exception) -> bool:
    """Whether the database raised it: it says nothing of the schedule. All that psycopg raises has the attribute."""
    return hasattr(error, "sqlstate")


def _job(jobs: Jobs, wanted: Wanted) -> NewJob:
    schedule, due = wanted.schedule, wanted.due
    job_type, given = jobs.table.job_type(schedule.job_type), schedule.input
    if takes_tick(job_type):
        tick = Tick(schedule_id=schedule.id, name=schedule.name, slot=due.slot, due_at=due.at)
        given = given | {"tick": tick.model_dump(mode="json")}
    return NewJob(
        _in_line(job_type, schedule),
        given,
        user_id=schedule.user_id,
        scheduled_for=due.at + _jitter(schedule, due) if schedule.rule.jitter_s else None,
    )


def _in_line(job_type: JobType[Any], schedule: Schedule) -> JobType[Any]:
    """The type, with a lane of the schedule's where its jobs are to follow on one another and have no lane of their own."""
    if schedule.rule.overlap == "skip" or job_type.lane is not None:
        return job_type
    return replace(job_type, lane=partial(_lane, schedule.id))


def _lane(schedule_id: int, _: Any) -> str:
    return f"schedule:{schedule_id}"


def _jitter(schedule: Schedule, due: Due) -> timedelta:
    """The same for a tick whoever asks."""
    digest = hashlib.blake2b(f"{schedule.id} {due.slot}".encode(), digest_size=8).digest()
    return timedelta(seconds=schedule.rule.jitter_s * int.from_bytes(digest) / 2**64)
