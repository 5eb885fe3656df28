"""Redrive: new jobs do again what jobs that failed, or were cancelled, were for. An ended job stays ended.

    preview          count by type and error
    redrive   ┌─▶ the next letters ─▶ lock them in history ─▶ which have a successor? ─▶ create ─▶ link ─▶ commit ─▶ told ─┐
              └────────────────────────────────── at most rate_per_s ◀────────────────────────────────────────────────────┘

The new job has the old one's type, input, user, task, project, queue and priority, and names it in `retry_of`. It begins anew:
its retries are unspent, and it stands at the tail of its lane. What was redriven is no dead letter any more; its successor may
become one.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import Any

from pydantic import RootModel

from jobs_core import db, gate, metrics
from jobs_core.dead_letters import Left, Letters, Place, pages, preview, strangers, successors
from jobs_core.errors import InvalidInput, UnknownJobType
from jobs_core.job_types import HandlerTable, JobType
from jobs_core.keys import insert_or_meet
from jobs_core.new_job import NewJob, Row, row_of
from jobs_core.statements import statement
from jobs_core.sticky import stick
from jobs_core.wake import Ready

__all__ = ["Batch", "Left", "Letters", "Place", "preview", "redrive"]

BATCH = 100
"""Jobs redriven in one transaction: 25 MiB of input at most, and no lane locked for longer than milliseconds."""


@dataclass(frozen=True, slots=True)
class Batch:
    """What one transaction came to.

    redriven: the new job's id by the old one's. last: the last letter looked at, to go on behind; None: there are no more.
    ready: where jobs stand ready now, for the caller to wake workers by. until: letters that ended since are not looked at.
    """

    redriven: dict[int, int]
    left: list[Left]
    last: Place | None
    ready: frozenset[Ready]
    until: datetime


async def redrive(
    conn: db.Connection,
    table: HandlerTable,
    letters: Letters,
    *,
    limit: int | None = None,
    rate_per_s: float | None = None,
    after: Place | None = None,
) -> AsyncGenerator[Batch, None]:
    """Redrive the letters that are meant, the first that ended first, in batches, each committed before it is told.

    The connection is not in a transaction. limit: new jobs at most. after: go on behind this one. A caller who stops early, or
    is killed, has lost nothing: what was redriven is passed by the next time. What fails again meanwhile is not redriven again.
    Raises one of db.Retryable where others were faster each time, for a batch that was not written.
    """
    until = await _until(conn, letters)
    batch = BATCH if rate_per_s is None else max(1, min(BATCH, int(rate_per_s)))
    seen, done, began = set[int](), 0, time.monotonic()
    async for page in pages(conn, replace(letters, until=until), after):
        while page:
            size = batch if limit is None else min(batch, limit - done)
            if not size:
                return
            if rate_per_s is not None:
                await asyncio.sleep(began + done / rate_per_s - time.monotonic())
            chunk, page = page[:size], page[size:]  # noqa: PLW2901 - what is left of it
            redriven, left, ready = await db.retried(partial(_redrive, conn, table, chunk, again=letters.again))
            seen.update(redriven, (one.id for one in left))  # not what was pruned since the look
            done += len(redriven)
            metrics.redriven.inc(len(redriven))
            yield Batch(redriven, left, chunk[-1], ready, until)
    if letters.ids is not None:
        yield Batch({}, await strangers(conn, letters, seen), None, frozenset(), until)


async def redrive_one(conn: db.Connection, table: HandlerTable, job_id: int) -> int | Left:
    """Redrive one failed job in the caller's transaction; returns the new job's id, or why it is left as it is.

    Raises one of db.Retryable where others were faster: roll back and begin again.
    """
    letters = Letters(ids=(job_id,))
    async for places in pages(conn, letters):
        redriven, left, _ = await _redrive(conn, table, places, again=False)
        if redriven or left:
            metrics.redriven.inc(len(redriven))
            return redriven[job_id] if redriven else left[0]
    return (await strangers(conn, letters, ()))[0]


async def _until(conn: db.Connection, letters: Letters) -> datetime:
    row = await db.fetch_one(conn, statement("jobs_core", "redrive/now"))
    assert row is not None
    now: datetime = row["now"]
    return min(letters.until or now, now)


async def _redrive(
    conn: db.Connection, table: HandlerTable, places: Sequence[Place], *, again: bool
) -> tuple[dict[int, int], list[Left], frozenset[Ready]]:
    """One batch, in a transaction: new jobs by the old ones, those left, and where jobs stand ready."""
    async with conn.transaction():
        letters = await _take(conn, places)
        redriven_before = {} if again else await successors(conn, [letter["id"] for letter in letters])
        rows, left = _rows(table, letters, redriven_before, await _strange(conn, table, letters))
        made = list(rows.values())
        inserted = await stick(conn, made, await insert_or_meet(conn, made))
        redriven = dict[int, int]()
        for old, new in zip(rows, inserted.ids, strict=True):
            if new in inserted.met or new in redriven.values():  # or, of two letters with one key, the first one's
                left.append(Left(old, "met", new))
            else:
                redriven[old] = new
        if redriven:
            linked = {"ids": list(redriven), "successor_ids": list(redriven.values())}
            await db.execute(conn, statement("jobs_core", "redrive/link"), linked)
    return redriven, left, inserted.ready


async def _take(conn: db.Connection, places: Sequence[Place]) -> list[db.Row]:
    """The letters as history has them, locked, in the order of their places; without those that were pruned meanwhile."""
    ids = [place.id for place in places]
    values = {"ids": ids, "first": places[0].ended_at, "last": places[-1].ended_at}
    rows = await db.fetch(conn, statement("jobs_core", "redrive/take"), values, prepare=False)
    return sorted(rows, key=lambda row: ids.index(row["id"]))


async def _strange(conn: db.Connection, table: HandlerTable, letters: Sequence[db.Row]) -> set[str]:
    """Types whose code is not known here, and without it their jobs would run past their limits or turns."""
    names = {letter["job_type"] for letter in letters}.difference(table.names)
    found = await db.fetch(conn, statement("jobs_core", "job_type/computing"), {"names": list(names)}) if names else []
    return {row["name"] for row in found}


def _rows(
    table: HandlerTable, letters: Sequence[db.Row], redriven_before: dict[int, int], strange: set[str]
) -> tuple[dict[int, Row], list[Left]]:
    """The rows of the new jobs by the ids of the old ones, and what cannot be redriven."""
    rows, left = dict[int, Row](), list[Left]()
    for letter in letters:
        job_id = letter["id"]
        if job_id in redriven_before:
            left.append(Left(job_id, "redriven", redriven_before[job_id]))
            continue
        if letter["job_type"] in strange:
            left.append(Left(job_id, "strange", detail=letter["job_type"]))
            continue
        try:
            rows[job_id] = _row(table, letter)
        except InvalidInput as error:
            left.append(Left(job_id, "unfit", detail=str(error)))
        except Exception as error:  # noqa: BLE001 - of the type's own code; or one letter would stop all behind it
            left.append(Left(job_id, "unfit", detail=f"what it computes of the input raised {type(error).__name__}"))
    return rows, left


def _row(table: HandlerTable, letter: db.Row) -> Row:
    """The new job's row. Raises InvalidInput where the input no longer fits the type, whose runs would refuse it, too."""
    job_type = replace(
        _type_of(table, letter), merge=None, unique_key=None
    )  # the letter's key; whom it meets is left as it was
    job = NewJob(
        job_type,
        gate.fit_json(job_type.Input, letter["input"], field="input"),
        letter["user_id"],
        letter["task_id"],
        letter["project_id"],
        letter["queue"],
        letter["priority"],
        unique_key=letter["unique_key"],
        unique_while=letter["unique_while"],
    )
    return {**row_of(job, job_type), "input": letter["input"]}  # as it was: what a model's defaults add, each run adds


def _type_of(table: HandlerTable, letter: db.Row) -> JobType[Any]:
    """The letter's type, or, where its code is not known here, one that takes any input and puts the job where it stood."""
    try:
        return table.job_type(letter["job_type"])
    except UnknownJobType:
        lane = letter["lane"]
        return JobType(letter["job_type"], RootModel[Any], lane=(lambda _: lane) if lane is not None else None)
