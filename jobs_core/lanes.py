"""Lanes, as an operator sees, holds and releases them.

    a job fails whose type holds its lane ─┐                            ┌─ release ─────────▶ the first that waits is the head
    somebody holds it by hand ─────────────┴─▶ held: nothing begins ────┴─ and redrive ─────▶ the failed job's successor is

What has begun goes on to its end, retries and waits included; what is created, or falls due, joins behind the others. Whoever
holds or releases a lane locks its row in a statement before the one that looks at its jobs, as creates and settles do.
"""

from dataclasses import dataclass
from datetime import datetime
from functools import partial

from jobs_core import db, gate
from jobs_core.errors import InvalidInput, NotRedriven
from jobs_core.job_types import HandlerTable
from jobs_core.redrive import redrive_one
from jobs_core.statements import statement
from jobs_core.sticky import promote_next
from jobs_core.wake import Ready

MOST_JOBS = 1_000
"""What a list counts up to."""


@dataclass(frozen=True, slots=True)
class LaneView:
    """A lane as a list shows it; times are UTC.

    jobs: that stand in it, counted up to 1,000, without those that are not due. first_job, first_state: the first of them, its
    head unless it is blocked. held_at: None, it is not held. held_by: a person, or the job that failed. failed_job: that job;
    None: it is held by hand only.
    """

    lane: str
    jobs: int
    first_job: int | None
    first_state: str | None
    held_at: datetime | None
    held_by: str | None
    held_reason: str | None
    failed_job: int | None

    @property
    def because(self) -> str:
        """Why it is held: `because job 812 failed: no answer`, or `by ada: the disk is full`."""
        failed = "" if self.failed_job is None else f"because job {self.failed_job} failed"
        by_hand = "" if self.held_by == f"job {self.failed_job}" else f"by {self.held_by}"
        reason = f": {self.held_reason}" if self.held_reason else ""
        return " and ".join(part for part in (failed, by_hand) if part) + reason


@dataclass(frozen=True, slots=True)
class Released:
    """A hold that was lifted. redriven: the new job that does the failed one again. ready: wake these after the commit."""

    lane: str
    held_at: datetime
    held_by: str
    held_reason: str | None
    failed_job: int | None
    redriven: int | None
    ready: tuple[Ready, ...]


async def list_lanes(conn: db.Connection, *, held: bool = False, after: str = "", limit: int = 100) -> list[LaneView]:
    """Lanes that have jobs or are held, or only those that are held, in order; page on with the last one as `after`."""
    return await _views(conn, lane=None, held=held, after=after, limit=limit)


async def find_lane(conn: db.Connection, lane: str) -> LaneView | None:
    """One lane; None where no job ever stood in it and nobody held it."""
    return next(iter(await _views(conn, lane=lane, held=False, after="", limit=1)), None)


async def count_held(conn: db.Connection) -> int:
    """How many lanes are held."""
    row = await db.fetch_one(conn, statement("jobs_core", "lane/count_held"))
    assert row is not None
    return int(row["held"])


async def hold(conn: db.Connection, lane: str, *, held_by: str, reason: str | None = None) -> LaneView:
    """Hold a lane, used or not: no job of it begins until `release`. One that is held gets this reason in place of its own.

    A job that was claimed before goes on to its end, retries and waits included; then the lane stands still. Raises
    InvalidInput.
    """
    values = {
        "lane": _name(lane, "lane"),
        "held_by": _name(held_by, "held_by"),
        "reason": reason if reason is None else gate.check_text(reason, field="reason", max_chars=gate.MAX_ERROR_CHARS),
    }
    async with conn.transaction():
        await db.execute(conn, statement("jobs_core", "lane/hold"), values)
        await db.execute(conn, statement("jobs_core", "lane/send_back"), {"lane": lane})
        found = await find_lane(conn, lane)
    assert found is not None
    return found


async def release(conn: db.Connection, lane: str, *, redrive: HandlerTable | None = None) -> Released | None:
    """Let a held lane go on with the first job that waits; None where it is not held.

    redrive: do the job that failed again, with its type of this table, before all that wait. Raises NotRedriven where that
    cannot be: no job failed, or it was redriven before, or its type no longer puts it into this lane; the lane stays held.
    """
    return await db.retried(partial(_release, conn, lane, redrive))


async def _release(conn: db.Connection, lane: str, table: HandlerTable | None) -> Released | None:
    async with conn.transaction():
        failed = redriven = None
        if table is not None:
            held = await find_lane(conn, lane)
            if held is None or held.held_at is None:
                return None
            failed = held.failed_job
            redriven = await _redrive_first(conn, lane, failed, table)
        row = await db.fetch_one(conn, statement("jobs_core", "lane/let_go"), {"lane": lane})
        if row is None and redriven is None:
            return None
        if row is None or (redriven is not None and row["held_job"] != failed):
            raise NotRedriven(f"lane {lane} was released by somebody else just now: look at it again")
        ready = await promote_next(conn, lane)
    failed_job = row.pop("held_job")
    return Released(lane, **row, failed_job=failed_job, redriven=redriven, ready=ready)


async def _redrive_first(conn: db.Connection, lane: str, failed: int | None, table: HandlerTable) -> int:
    """Redrive the failed job, and put its successor before all that wait in the lane, which is held. Raises NotRedriven."""
    if failed is None:
        raise NotRedriven(f"lane {lane} is held by hand: no job failed that could be redriven; release it as it is")
    new = await redrive_one(conn, table, failed)
    if not isinstance(new, int):
        raise NotRedriven(f"{new}: lane {lane} stays held; release it as it is")
    if not await db.execute(conn, statement("jobs_core", "lane/to_front"), {"lane": lane, "id": new}):
        raise NotRedriven(
            f"job {failed} would be redriven in another lane than {lane}, which stays held; use ./jobs redrive"
        )
    return new


async def _views(conn: db.Connection, *, lane: str | None, held: bool, after: str, limit: int) -> list[LaneView]:
    values = {"lane": lane, "held": held, "after": after, "limit": limit, "most": MOST_JOBS}
    return [LaneView(**row) for row in await db.fetch(conn, statement("jobs_core", "lane/list"), values, prepare=False)]


def _name(text: str, field: str) -> str:
    if text == "":
        raise InvalidInput(f"{field}: is empty; give a name", field=field)
    return gate.check_text(text, field=field, max_chars=gate.MAX_NAME_CHARS)
