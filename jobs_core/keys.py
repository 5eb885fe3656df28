"""Keys: a create that would repeat a job meets it instead, in one short transaction, or savepoint of the caller's.

lock lanes ─▶ find idempotency keys ─▶ lock the living jobs met ─▶ merge ─▶ insert the rest ─▶ take the new idempotency keys
    ▲                                                                          │ its unique key        │ somebody else
    └──── roll back, go round again: now there is a job to meet ◀──────────────┴── was inserted ───────┴── took one

Only what meets a job by its unique key is merged into it: who repeats an event has been heard.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import reduce

from jobs_core import db
from jobs_core.errors import KeyReused
from jobs_core.insert import Inserted, insert
from jobs_core.merges import merged, unclaimed, write
from jobs_core.new_job import Row
from jobs_core.statements import statement
from jobs_core.wake import Ready

_ROUNDS = 5
EXPIRE_BATCH = 1_000

Key = tuple[str, str, str]
"""Which kind of key (a column of Row), job type, key."""


class _Overtaken(Exception):
    """An idempotency key was taken between the look and the insert."""


@dataclass(slots=True, eq=False)
class _Place:
    """A job that rows stand for: met (row is None), or to be inserted for the first of them. brought: rows to merge into it."""

    row: Row | None = None
    id: int = 0
    brought: list[Row] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Taken:
    """What an idempotency key of a row stands for: that row's input, and the job that has it, if any."""

    input_hash: bytes
    job_id: int | None


async def insert_or_meet(conn: db.Connection, rows: Sequence[Row]) -> Inserted:
    """Insert the jobs whose keys no job holds, and lock the others', which are what `met` names; merge what is to be merged.

    Raises KeyReused where an idempotency key stands for another input, InvalidInput where inputs cannot be merged, one of
    db.Retryable where others were faster each time; nothing was written then.
    """
    for _ in range(_ROUNDS):
        try:
            async with conn.transaction():
                return await _round(conn, rows)
        except (_Overtaken, db.UniqueViolation) as error:
            overtaken = error
    raise db.SerializationFailure(f"jobs of the same keys came and went {_ROUNDS} times: try again") from overtaken


async def expire_keys(conn: db.Connection, *, batch: int = EXPIRE_BATCH) -> int:
    """Delete idempotency keys whose time is over, at most `batch`; returns how many: fewer, and none is left."""
    return await db.execute(conn, statement("jobs_core", "key/expire"), {"batch": batch})


async def _round(conn: db.Connection, rows: Sequence[Row]) -> Inserted:
    lanes = sorted({row["lane"] for row in rows if row["lane"]})
    if lanes:  # before any job: settle, too, locks the lane first
        await db.execute(conn, statement("jobs_core", "lane/lock"), {"lanes": lanes})
    taken = await _look_up(conn, rows)
    met, ready = await _meet(conn, rows, taken)
    places = list(_places(rows, met))
    known = {place.id: place for place in places if place.row is None}
    changed = await _merge(conn, [place for place in known.values() if place.brought])
    fresh = {place: reduce(merged, place.brought, place.row) for place in places if place.row is not None}
    if fresh:
        inserted = await insert(conn, list(fresh.values()))
        ready |= inserted.ready
        for place, job_id in zip(fresh, inserted.ids, strict=True):
            place.id = job_id
    debounced = {place.id: row for place, row in fresh.items() if row["at_most_s"] is not None}
    due = await write(conn, changed | debounced)
    await _take(conn, rows, places, taken)
    return Inserted(tuple(place.id for place in places), frozenset(known), ready, frozenset(changed), due)


async def _merge(conn: db.Connection, places: Sequence[_Place]) -> dict[int, Row]:
    """What becomes of jobs that were met and locked, by id."""
    jobs = await unclaimed(conn, [place.id for place in places])
    return {place.id: reduce(merged, place.brought, jobs[place.id]) for place in places}


async def _look_up(conn: db.Connection, rows: Sequence[Row]) -> dict[Key, _Taken]:
    """What the idempotency keys stand for. Raises KeyReused."""
    asked = [row for row in rows if row["idempotency_key"] is not None]
    if not asked:
        return {}
    values = {
        "job_types": [row["job_type"] for row in asked],
        "keys": [row["idempotency_key"] for row in asked],
        "inputs": [row["input"] for row in asked],
    }
    taken: dict[Key, _Taken] = {}
    found = await db.fetch(conn, statement("jobs_core", "key/find"), values)
    for row, seen in zip(asked, found, strict=True):
        known = _Taken(seen["known_hash"] or seen["input_hash"], seen["job_id"])
        first = taken.setdefault(("idempotency_key", row["job_type"], row["idempotency_key"]), known)
        if first.input_hash != seen["input_hash"]:
            job = "another job of this call" if first.job_id is None else f"job {first.job_id}"
            raise KeyReused(
                f"idempotency_key: {row['idempotency_key']!r} was given to {job}, with another input; "
                "repeat that one, or take a new key",
                field="idempotency_key",
            )
    return taken


async def _meet(
    conn: db.Connection, rows: Sequence[Row], taken: Mapping[Key, _Taken]
) -> tuple[dict[Key, int], frozenset[Ready]]:
    """The jobs that the keys stand for, those that live locked, and where one of them stands ready."""
    met: dict[Key, int] = {key: known.job_id for key, known in taken.items() if known.job_id is not None}
    asked = [row for row in rows if row["unique_key"] is not None]
    if not asked and not met:
        return {}, frozenset()
    values = {
        "job_types": [row["job_type"] for row in asked],
        "unique_keys": [row["unique_key"] for row in asked],
        "ids": list(met.values()),
    }
    living = await db.fetch(conn, statement("jobs_core", "job/meet"), values)
    holders = {("unique_key", job["job_type"], job["unique_key"]): job["id"] for job in living if job["unique_key"]}
    ready = frozenset(Ready(job["queue"], job["job_type"], job["worker_id"]) for job in living if job["ready"])
    return met | holders, ready


def _places(rows: Sequence[Row], met: Mapping[Key, int]) -> Iterator[_Place]:
    """The job that each row stands for: met by its keys, the idempotency key first, or that of an earlier row, or its own."""
    jobs = {job_id: _Place(id=job_id) for job_id in met.values()}
    known: dict[Key | None, _Place] = {key: jobs[job_id] for key, job_id in met.items()}
    for row in rows:
        event, unique = (_key(kind, row) for kind in ("idempotency_key", "unique_key"))
        place = known.get(event)
        if place is None:
            place = known.get(unique) or _Place(row)
            if row["merged_as"] and place.row is not row:
                place.brought.append(row)
        if event:
            known[event] = place
        if unique and place.row is row:
            known[unique] = place
        yield place


def _key(kind: str, row: Row) -> Key | None:
    return None if row[kind] is None else (kind, row["job_type"], row[kind])


async def _take(
    conn: db.Connection, rows: Sequence[Row], places: Sequence[_Place], taken: Mapping[Key, _Taken]
) -> None:
    """Have the idempotency keys that are new stand for their jobs, met ones too. Raises _Overtaken."""
    new = {
        key: (place.id, known.input_hash, row["idempotency_s"])
        for row, place in zip(rows, places, strict=True)
        if (key := _key("idempotency_key", row)) and (known := taken[key]).job_id is None
    }
    if not new:
        return
    job_ids, input_hashes, spans_s = zip(*new.values(), strict=True)
    values = {
        "job_types": [job_type for _, job_type, _ in new],
        "keys": [key for _, _, key in new],
        "job_ids": list(job_ids),
        "input_hashes": list(input_hashes),
        "spans_s": list(spans_s),
    }
    if await db.execute(conn, statement("jobs_core", "key/take"), values) < len(new):
        raise _Overtaken
