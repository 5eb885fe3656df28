"""Claims of jobs with limits: free slots first, then the first jobs of just those keys.

    look (locks nothing) ─▶ lock the worker ─▶ free slots and buckets ─▶ the keys' first jobs ─▶ what else these need
      │ nothing to claim                                                                            │
      ▼                                     short at another key: wait under that one from now on ◀─┤
    until a slot is freed, or a permit falls due                                                    ▼
                                                                            each with all its slots: claimed

One short transaction, in which it waits for nobody but its worker's row: what another has locked is passed over. A job has all
its slots or none, and they are rows, so a limit is never passed, however many claim at once. Of one key, whoever stands behind
a job that does not fit waits with it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Any

from jobs_core import db
from jobs_core.job import AnyJob, Job
from jobs_core.job_types import GIVE_UP_AFTER
from jobs_core.limit import Limit
from jobs_core.limits import fit_limits, make_limits
from jobs_core.statements import statement

KEYS_AT_ONCE = 500
"""Keys that one look steps over; where more are waited under, the next look goes on behind them."""
_SOON_S = 0.02
"""Until a permit is fetched, at the least: where many fall due a second, several are fetched at once."""
_ROUNDING = 1e-9  # of permits: a wait that was computed to the end of one must not end a hair before it

_in_order = attrgetter("priority", "ready_seq")


@dataclass(slots=True)
class Found:
    """The jobs claimed, first in priority and readiness first, their input still JSON text.

    again_in_s: when another look may find more; None: when a slot is freed. after: where that look begins. contended: there
    were jobs with slots, all of which others had locked: they may leave them.
    """

    jobs: list[AnyJob]
    again_in_s: float | None
    after: str = ""
    contended: bool = False


@dataclass(slots=True)
class _Key:
    """What a claim has of one key: numbers of free slots that it has locked, and permits. slots, burst: None, no such limit."""

    slots: int | None
    burst: float | None
    permits: float | None
    free: list[int]
    spent: float = 0.0
    blocked: bool = False  # a job that came first did not fit


@dataclass(slots=True)
class _Head:
    """A job that is locked; `limits` by key, its weight in each."""

    id: int
    job_type: str
    priority: int
    ready_seq: int
    limit_key: str
    limits: dict[str, dict[str, Any]]


@dataclass(slots=True)
class _Plan:
    """What becomes of the jobs looked at: claimed with these slots (key, n, job), or waiting under another key."""

    claimed: list[_Head] = field(default_factory=list)
    slots: list[tuple[str, int, int]] = field(default_factory=list)
    moved: dict[int, str] = field(default_factory=dict)


async def claim_limited(
    conn: db.Connection,
    *,
    worker_id: int,
    queues: Sequence[str],
    job_types: Sequence[str],
    slots: int,
    give_up_after_s: Mapping[str, float] | None = None,
    alone: bool = False,
    after: str = "",
) -> Found:
    """Take up to `slots` ready jobs with limits, as far as their keys have slots and permits; the arguments as of `claim`.

    alone: suspects only, else none of them. The connection is not in a transaction. Nothing is claimed where the worker's
    lease is no longer good (its renewal will say so).
    """
    mine = {"queues": list(queues), "job_types": list(job_types), "alone": alone}
    look = {**mine, "after": after, "keys": KEYS_AT_ONCE, "jobs": slots}
    seen = await db.fetch_one(conn, statement("jobs_core", "job/limited"), look)
    assert seen is not None
    go_on = None if seen["whole"] else 0.0
    found = Found([], _sooner(go_on, seen["permit_in_s"]), "" if seen["whole"] else seen["last"])
    if await _mend(conn, seen["keys"]):
        return Found([], 0.0, after)
    if seen["keys"]:
        plan, found.jobs = await _claim(conn, worker_id, mine, seen["keys"], give_up_after_s or {})
        found.contended = not found.jobs and not plan.moved
        if not found.contended and len(found.jobs) < slots:  # jobs behind these, or where some were moved to
            found.again_in_s = 0.0
    return found


def _sooner(go_on_s: float | None, permit_in_s: float | None) -> float | None:
    if go_on_s is not None or permit_in_s is None:
        return go_on_s
    return max(permit_in_s, _SOON_S)


async def _mend(conn: db.Connection, keys: Sequence[Mapping[str, Any]]) -> bool:
    """Make keys that are new, and fit those that were over their limits; False: there was none of either."""
    new = [
        Limit(key["key"], slots=key["slots"], rate_per_s=key["rate_per_s"], burst=key["burst"])
        for key in keys
        if not key["made"]
    ]
    over = [key["key"] for key in keys if key["over"]]
    if new:
        await make_limits(conn, new)
    if over:
        await fit_limits(conn, over)
    return bool(new or over)


async def _claim(
    conn: db.Connection,
    worker_id: int,
    mine: Mapping[str, Any],
    wanted: Sequence[Mapping[str, Any]],
    give_up_after_s: Mapping[str, float],
) -> tuple[_Plan, list[AnyJob]]:
    async with conn.transaction():
        if await db.fetch_one(conn, statement("jobs_core", "worker/hold"), {"worker_id": worker_id}) is None:
            return _Plan(), []
        keys = await _acquire(conn, {key["key"]: key["slots"] for key in wanted})
        n_jobs = {key["key"]: key["jobs"] for key in wanted if _has_any(keys.get(key["key"]))}
        values = {**mine, "keys": list(n_jobs), "jobs": list(n_jobs.values())}
        heads = [_Head(**row) for row in await db.fetch(conn, statement("jobs_core", "job/limited_heads"), values)]
        heads.sort(key=_in_order)
        keys |= await _acquire(conn, _further(heads, keys))
        plan = _plan(heads, keys)
        return plan, await _write(conn, worker_id, plan, keys, give_up_after_s)


def _has_any(key: _Key | None) -> bool:
    return key is not None and (key.slots is None or bool(key.free))


def _further(heads: Sequence[_Head], keys: Mapping[str, _Key]) -> dict[str, int]:
    """The other keys that these jobs need, and how many slots they need of each together."""
    wanted: dict[str, int] = {}
    for head in heads:
        for key, own in head.limits.items():
            if key not in keys:
                wanted[key] = wanted.get(key, 0) + own["weight"]
    return wanted


async def _acquire(conn: db.Connection, wanted: Mapping[str, int]) -> dict[str, _Key]:
    """Lock free slots of these keys, at most so many of each, and their buckets; a key that is not made is left out."""
    if not wanted:
        return {}
    values = {"keys": list(wanted), "wanted": list(wanted.values())}
    rows = await db.fetch(conn, statement("jobs_core", "limit/acquire"), values)
    return {row.pop("key"): _Key(**row) for row in rows}


def _plan(heads: Sequence[_Head], keys: Mapping[str, _Key]) -> _Plan:
    """Give slots to the jobs in order: to each all that it needs, or none."""
    plan = _Plan()
    for head in heads:
        in_turn = sorted(head.limits, key=lambda key: (key != head.limit_key, key))  # the one it waits under first
        weights = {key: head.limits[key]["weight"] for key in in_turn}
        short = next((key for key in in_turn if not _fits(keys.get(key), weights[key])), None)
        if short is None:
            plan.claimed.append(head)
            for key, weight in weights.items():
                plan.slots += [(key, n, head.id) for n in _take(keys[key], weight)]
            continue
        if short != head.limit_key:
            plan.moved[head.id] = short
        if short in keys:
            keys[short].blocked = True
    return plan


def _fits(key: _Key | None, weight: int) -> bool:
    if key is None or key.blocked or key.slots == 0:
        return False
    has_slots = key.slots is None or len(key.free) >= min(weight, key.slots)
    has_permits = key.burst is None or _left(key) + _ROUNDING >= min(weight, key.burst)
    return has_slots and has_permits


def _left(key: _Key) -> float:
    return (key.permits or 0.0) - key.spent


def _take(key: _Key, weight: int) -> list[int]:
    """The numbers of the slots that a job of this weight takes."""
    if key.burst is not None:
        key.spent += min(weight, key.burst)
    n_slots = 0 if key.slots is None else min(weight, key.slots)
    taken, key.free = key.free[:n_slots], key.free[n_slots:]
    return taken


async def _write(
    conn: db.Connection, worker_id: int, plan: _Plan, keys: Mapping[str, _Key], give_up_after_s: Mapping[str, float]
) -> list[AnyJob]:
    if plan.moved:
        moved = {"ids": list(plan.moved), "keys": list(plan.moved.values())}
        await db.execute(conn, statement("jobs_core", "job/move_limited"), moved)
    if not plan.claimed:
        return []
    longest_s = GIVE_UP_AFTER.total_seconds()
    claims = {
        "worker_id": worker_id,
        "ids": [head.id for head in plan.claimed],
        "give_up_s": [give_up_after_s.get(head.job_type, longest_s) for head in plan.claimed],
        "ready_seqs": [head.ready_seq for head in plan.claimed],
        "slot_keys": [key for key, _, _ in plan.slots],
        "slot_ns": [n for _, n, _ in plan.slots],
        "slot_jobs": [job_id for _, _, job_id in plan.slots],
    }
    rows = await db.fetch_tuples(conn, statement("jobs_core", "job/claim_limited"), claims)
    spent = {name: key.spent for name, key in keys.items() if key.spent}
    if rows and spent:
        values = {"keys": list(spent), "spent": list(spent.values())}
        await db.execute(conn, statement("jobs_core", "limit/spend"), values)
    return sorted((Job(*row) for row in rows), key=_in_order)
