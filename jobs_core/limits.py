"""Limits: keys with slots and permits, as an operator sees and sets them, and as settles free them.

    a job type's numbers ─ first job of the key ─▶ made ─▶ set by hand ─▶ removed ─ next job ─▶ made again
                                                    └── unused for a day ─▶ forgotten

A slot is a row that a claim takes and whoever ends the claim frees. A limit that is lowered ends nothing: while more slots are
held than it says, it is over, and no claim takes one. Whoever changes the number of slots locks the key's row, then all its
slots in a statement of its own, and then fits them: only then is all seen that a claim or a settle did meanwhile.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import accumulate

from jobs_core import db
from jobs_core.errors import LimitInUse
from jobs_core.limit import MOST_SLOTS, Limit, checked
from jobs_core.statements import statement
from jobs_core.wake import Ready

MOST_WAITING = 1_000
"""What a list counts up to."""
FORGET_BATCH = 1_000
_FORGET_AFTER = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class LimitView:
    """A key as a list shows it.

    slots, rate_per_s, burst: its numbers, None: not limited so. in_use: slots held by the jobs `held_by`. waiting: jobs of
    the key that stand ready, counted up to 1,000. permits: what is in its bucket. by_hand: set, not made for a job.
    """

    key: str
    slots: int | None
    in_use: int
    waiting: int
    rate_per_s: float | None
    burst: float | None
    permits: float | None
    by_hand: bool
    held_by: list[int]


async def list_limits(conn: db.Connection, *, after: str = "", limit: int = 100) -> list[LimitView]:
    """Keys in order, at most `limit`; page on with the last one as `after`."""
    return await _views(conn, key=None, after=after, limit=limit)


async def find_limit(conn: db.Connection, key: str, *, most_waiting: int = MOST_WAITING) -> LimitView | None:
    """One key; None where nobody set it and no job of it was claimed yet, or not of late.

    most_waiting: what its waiting jobs are counted up to; with 0 no group that waits is looked at (10,000 of them: 90 ms).
    """
    return next(iter(await _views(conn, key=key, after="", limit=1, most_waiting=most_waiting)), None)


async def set_limit(conn: db.Connection, limit: Limit) -> frozenset[Ready]:
    """Give a key these numbers; what is not given is not limited. In effect for all claims from the commit on.

    Jobs that run go on: where they hold more slots than there are now, none is taken until enough have ended. A key that had no
    slots counts the jobs claimed from now on. Returns where jobs with limits wait, for a wake-up after the commit. Raises
    InvalidInput.
    """
    limit = checked(limit, field="limit")
    values = {"key": limit.key, "slots": limit.slots, "rate_per_s": limit.rate_per_s, "burst": limit.burst}
    async with conn.transaction():
        await _fit(conn, await db.fetch(conn, statement("jobs_core", "limit/put"), values))
        return await waiters(conn)


async def remove_limit(conn: db.Connection, key: str) -> frozenset[Ready] | None:
    """Forget what was set: the key's next job makes it anew, with the numbers of its type. None where there is no such key.

    Returns where jobs with limits wait, for a wake-up after the commit. Raises LimitInUse where jobs hold slots of it.
    """
    async with conn.transaction():
        if not await db.fetch(conn, statement("jobs_core", "limit/lock"), {"keys": [key]}):
            return None
        if not await _remove(conn, [key], unused=False):
            raise LimitInUse(f"jobs hold slots of {key!r}: set it, or remove it when they have ended")
        return await waiters(conn)


async def make_limits(conn: db.Connection, limits: Sequence[Limit]) -> None:
    """Make those of these keys that are not there: the first of them, with no more slots than one key may have.

    Each slot is a row, and a worker claims nothing meanwhile: 200 keys of 10,000 took 18 s.
    """
    if not limits:
        return
    slots = accumulate(limit.slots or 0 for limit in limits)
    limits = limits[: max(sum(n <= MOST_SLOTS for n in slots), 1)]
    values = {
        "keys": [limit.key for limit in limits],
        "slots": [limit.slots for limit in limits],
        "rate_per_s": [_float(limit.rate_per_s) for limit in limits],
        "burst": [_float(limit.burst) for limit in limits],
    }
    async with conn.transaction():
        await _fit(conn, await db.fetch(conn, statement("jobs_core", "limit/make"), values))


async def fit_limits(conn: db.Connection, keys: Sequence[str]) -> None:
    """Make the slots of keys that were over their limits as many as these say, as far as enough have been freed."""
    if not keys:
        return
    async with conn.transaction():
        await _fit(conn, await db.fetch(conn, statement("jobs_core", "limit/lock"), {"keys": list(keys)}))


async def forget_limits(conn: db.Connection, *, batch: int = FORGET_BATCH) -> int:
    """Remove keys that were made for jobs a day ago or more and that nobody uses, at most `batch`; returns how many."""
    values = {"batch": batch, "keep_s": _FORGET_AFTER.total_seconds()}
    unused = [row["key"] for row in await db.fetch(conn, statement("jobs_core", "limit/unused"), values)]
    if not unused:
        return 0
    async with conn.transaction():
        await db.execute(conn, statement("jobs_core", "limit/lock"), {"keys": unused})
        return len(await _remove(conn, unused, unused=True))


async def free_strays(conn: db.Connection) -> int:
    """Free slots of claims that were ended without it; returns how many.

    Code from before there were limits does so, where it is the first to see that a worker is gone (docs/deploys.md).
    """
    keys = [row["key"] for row in await db.fetch(conn, statement("jobs_core", "slot/stray_keys"))]
    if not keys:
        return 0
    async with conn.transaction():
        await db.execute(conn, statement("jobs_core", "slot/lock"), {"keys": keys})
        return await db.execute(conn, statement("jobs_core", "slot/free_strays"), {"keys": keys})


async def free_slots(conn: db.Connection, job_ids: Sequence[int]) -> frozenset[Ready]:
    """Free what these jobs hold, whose claims the caller has ended in this transaction; returns where jobs may wait for it."""
    if not job_ids or not await db.execute(conn, statement("jobs_core", "slot/free"), {"ids": list(job_ids)}):
        return frozenset()
    return await waiters(conn)


async def waiters(conn: db.Connection) -> frozenset[Ready]:
    """Where jobs with limits stand ready, whichever keys they wait for: it is for a hint, and a look costs little."""
    return frozenset(Ready(**row) for row in await db.fetch(conn, statement("jobs_core", "job/limited_waiters")))


async def _fit(conn: db.Connection, rows: Sequence[db.Row]) -> None:
    """Make the slots of these keys, whose rows are locked, as many as they say."""
    if not rows:
        return
    keys = [row["key"] for row in rows]
    await db.execute(conn, statement("jobs_core", "slot/lock"), {"keys": keys})
    values = {"keys": keys, "slots": [row["slots"] for row in rows]}
    await db.execute(conn, statement("jobs_core", "slot/fit"), values)


def _float(number: float | None) -> float | None:
    """As one type: where SQL created the job, its JSON has 2 for 2.0, and no array may hold both."""
    return None if number is None else float(number)


async def _remove(conn: db.Connection, keys: Sequence[str], *, unused: bool) -> list[db.Row]:
    """Remove those of these keys, whose rows are locked, of which no slot is held; unused: nor was set or spent since."""
    values = {"keys": list(keys), "unused": unused}
    await db.execute(conn, statement("jobs_core", "slot/lock"), values)
    return await db.fetch(conn, statement("jobs_core", "limit/remove"), values)


async def _views(
    conn: db.Connection, *, key: str | None, after: str, limit: int, most_waiting: int = MOST_WAITING
) -> list[LimitView]:
    values = {"key": key, "after": after, "limit": limit, "most": most_waiting}
    return [LimitView(**row) for row in await db.fetch(conn, statement("jobs_core", "limit/list"), values)]
