"""Taking events in: each once, with its job, in one transaction for all that came together.

    look for those that are known ─▶ create the jobs of the others ─▶ insert these events ─▶ commit ─▶ wake workers
      ▲                                                                    │ another door was faster
      └───────────────────────── roll back, look again ◀───────────────────┘

Two events of one call never have the same source and key. Jobs are created in the order in which their events came, for the
sake of their lanes; events are inserted in the order of their keys, and after all that their jobs lock, so that two calls wait
for each other's commits and never in a circle.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

from gateways.webhooks.errors import NotMapped
from jobs_core import Connection, Created, Jobs, NewJob, execute, fetch, gate, statement
from jobs_core.db import Row, SerializationFailure

KEPT_FOR = timedelta(days=30)
"""How long an event is kept, and its repeats are known."""
_ROUNDS = 5
_PRUNE_BATCH = 500
_MAX_HEADERS_BYTES = 64 * 1024

Result = Literal["created", "met", "ignored", "failed"]
"""A job was created for it, or its key met one; its source's filter let it out; or no job could be made of it."""


@dataclass(slots=True, eq=False)
class Arrived:
    """An event whose sender is known. made: its job, None where the filter lets it out, or why there can be none."""

    source: str
    key: str
    digest: bytes
    body: bytes
    headers: dict[str, str]
    made: NewJob | NotMapped | None


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of an event. new: it was not known before. same_body: nor does its id stand for another event."""

    id: int
    result: Result
    job_id: int | None
    new: bool = True
    same_body: bool = True


class _Overtaken(Exception):
    """An event was taken in between the look and the insert."""


async def take(jobs: Jobs, conn: Connection, arrived: Sequence[Arrived], *, lock_wait_s: float) -> list[Taken]:
    """Take events in, committed when it returns; what became of each, in their order.

    Raises LockNotAvailable where somebody holds what their jobs need for longer than lock_wait_s, what `create_many` raises,
    and one of db.Retryable where others were faster each time; nothing was written then.
    """
    for _ in range(_ROUNDS):
        try:
            async with conn.transaction():
                taken, created = await _round(jobs, conn, arrived, lock_wait_s)
        except _Overtaken:
            continue
        if created:
            created.wake()
        return taken
    raise SerializationFailure(f"webhook events came by other doors {_ROUNDS} times: try again")


async def _round(
    jobs: Jobs, conn: Connection, arrived: Sequence[Arrived], lock_wait_s: float
) -> tuple[list[Taken], Created | None]:
    keys = {"sources": [one.source for one in arrived], "keys": [one.key for one in arrived]}
    rows = await fetch(conn, statement("gateways", "webhook_event/known"), keys)
    known = {(row["source"], row["key"]): row for row in rows}
    fresh = [one for one in arrived if _name(one) not in known]
    if not fresh:
        return [_repeated(one, known[_name(one)]) for one in arrived], None
    await execute(conn, statement("gateways", "webhook_event/wait_for_locks"), {"ms": f"{lock_wait_s * 1000:.0f}"})
    wanted = [one.made for one in fresh if isinstance(one.made, NewJob)]
    created = await jobs.create_many(wanted, conn=conn) if wanted else None
    inserted = await _insert(conn, fresh, created)
    return [inserted.get(_name(one)) or _repeated(one, known[_name(one)]) for one in arrived], created


async def _insert(conn: Connection, fresh: Sequence[Arrived], created: Created | None) -> dict[tuple[str, str], Taken]:
    """Insert the events with their jobs; what became of each, by source and key. Raises _Overtaken."""
    job_ids = iter(created.ids if created else ())
    met = created.met if created else frozenset[int]()
    with_job = [(one, next(job_ids) if isinstance(one.made, NewJob) else None) for one in fresh]
    with_job.sort(key=lambda pair: _name(pair[0]))
    values = {
        "sources": [one.source for one, _ in with_job],
        "keys": [one.key for one, _ in with_job],
        "digests": [one.digest for one, _ in with_job],
        "bodies": [one.body for one, _ in with_job],
        "headers": [gate.to_json(one.headers, field="headers", max_bytes=_MAX_HEADERS_BYTES) for one, _ in with_job],
        "results": [result_of(one.made, job_id, met) for one, job_id in with_job],
        "errors": [error_of(one.made) for one, _ in with_job],
        "job_ids": [job_id for _, job_id in with_job],
    }
    rows = await fetch(conn, statement("gateways", "webhook_event/add"), values)
    if len(rows) < len(fresh):
        raise _Overtaken
    return {(row["source"], row["key"]): Taken(row["id"], row["result"], row["job_id"]) for row in rows}


def result_of(made: NewJob | NotMapped | None, job_id: int | None, met: frozenset[int]) -> Result:
    """What became of an event, from what was to be made of it and the job it has."""
    if isinstance(made, NotMapped):
        return "failed"
    if job_id is None:
        return "ignored"
    return "met" if job_id in met else "created"


def error_of(made: NewJob | NotMapped | None) -> str | None:
    """Why no job could be made of an event, as it is kept."""
    return gate.clean_text(str(made)) if isinstance(made, NotMapped) else None


def _repeated(one: Arrived, known: Row) -> Taken:
    same_body = known["digest"] == one.digest
    return Taken(known["id"], known["result"], known["job_id"], new=False, same_body=same_body)


def _name(one: Arrived) -> tuple[str, str]:
    return one.source, one.key


async def prune(conn: Connection) -> int:
    """Delete the events that were kept for long enough; returns how many."""
    deleted = 0
    values = {"kept_s": KEPT_FOR.total_seconds(), "batch": _PRUNE_BATCH}
    while batch := await execute(conn, statement("gateways", "webhook_event/prune"), values):
        deleted += batch
    return deleted
