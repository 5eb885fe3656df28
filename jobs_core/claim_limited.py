"""Claims of jobs with limits, or that take turns: free slots first, then the first jobs of just those that they are for.

    look (locks nothing) ─▶ turns ─▶ lock the worker ─▶ free slots, buckets ─▶ first jobs ─▶ each with all its slots: claimed
      │ nothing has its slots                                                     │
      ▼                                                                           └─ short after all: left for the next look
    until a slot is freed, or a permit falls due

Jobs that have the same keys wait as one group. One short transaction, in which a claim waits for nobody but its worker's row:
what another has locked is passed over. A job has all its slots or none, and they are rows, so a limit is never passed, however
many claim at once. Turns are taken before it (turns.py).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

from jobs_core import db
from jobs_core.job import AnyJob, Job
from jobs_core.job_types import GIVE_UP_AFTER
from jobs_core.limit import Limit
from jobs_core.limits import fit_limits, make_limits
from jobs_core.statements import statement
from jobs_core.turns import AHEAD, Line, give_back, key_of, keys_of, take_turns

GROUPS_AT_ONCE = 2_000
"""Groups of a queue and type that one look steps over; where more wait, the next look goes on behind them."""
_SOON_S = 0.02
"""Until a permit is fetched, at the least: where many fall due a second, several are fetched at once."""
_SPARE_TURNS = 16
"""More jobs that take turns than there is room for: others may have taken the turns of the first since the look."""
_ROUNDING = 1e-9  # of permits: a wait that was computed to the end of one must not end a hair before it

_in_order = attrgetter("priority", "ready_seq")


@dataclass(slots=True)
class Found:
    """The jobs claimed, first in priority and readiness first, their input still JSON text.

    again_in_s: when another look may find more; None: when a slot is freed. after: where that look begins. contended: there
    were jobs with slots, all of which others had locked: they may leave them. permit_in_s: when a job of those that this look
    stepped over has its permits; None: none waits for that. The next look is behind them.
    """

    jobs: list[AnyJob]
    again_in_s: float | None
    after: str = ""
    contended: bool = False
    permit_in_s: float | None = None


@dataclass(slots=True)
class _Key:
    """What a claim has of one key: numbers of free slots that it has locked, and permits. slots, burst: None, no such limit."""

    slots: int | None
    burst: float | None
    permits: float | None
    free: list[int]
    spent: float = 0.0
    short: bool = False  # a job that came first did not fit

    def fits(self, weight: int) -> bool:
        """Whether a job of this weight may have what it needs."""
        has_slots = self.slots is None or len(self.free) >= max(min(weight, self.slots), 1)
        left = (self.permits or 0.0) - self.spent + _ROUNDING
        has_permits = self.burst is None or left >= min(weight, self.burst)
        self.short = self.short or not (has_slots and has_permits)
        return not self.short

    def take(self, weight: int) -> list[int]:
        """The numbers of the slots that a job of this weight takes."""
        if self.burst is not None:
            self.spent += min(weight, self.burst)
        n_slots = 0 if self.slots is None else min(weight, self.slots)
        taken, self.free = self.free[:n_slots], self.free[n_slots:]
        return taken


@dataclass(slots=True)
class _Head:
    """A job that is locked; `limits` by key, its weight in each. place: in the order of all, by its readiness or its turn."""

    line: int
    id: int
    job_type: str
    priority: int
    ready_seq: int
    limits: dict[str, dict[str, Any]] | None
    place: int = 0


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

    alone: suspects only, else none of them. after: as the last look said. The connection is not in a transaction. Nothing is
    claimed where the worker's lease is no longer good (its renewal will say so).
    """
    mine = {"queues": list(queues), "job_types": list(job_types), "alone": alone}
    values = {**mine, "after": after, "groups": GROUPS_AT_ONCE, "jobs": slots, "spare": _SPARE_TURNS, "ahead": AHEAD}
    seen = await db.fetch_one(conn, statement("jobs_core", "job/limited"), values)
    assert seen is not None
    if seen["new"] or seen["over"]:
        await make_limits(conn, [Limit(**key) for key in seen["new"]])
        await fit_limits(conn, seen["over"])
        return Found([], 0.0, after)
    wait_s = None if seen["permit_in_s"] is None else max(seen["permit_in_s"], _SOON_S)
    found = Found([], wait_s if seen["last"] is None else 0.0, seen["last"] or "", permit_in_s=wait_s)
    if seen["lines"]:
        lines, taken = await take_turns(conn, seen["lines"], slots)
        found.jobs, lines = await _claim(conn, worker_id, lines, seen["keys"], give_up_after_s or {}, alone=alone)
        await give_back(conn, taken, {key_of(line) for line in lines})
        found.contended = not found.jobs
        if 0 < len(found.jobs) < slots:
            found.again_in_s = 0.0
    return found


async def _claim(
    conn: db.Connection,
    worker_id: int,
    lines: Sequence[Line],
    wanted: Mapping[str, int],
    give_up_after_s: Mapping[str, float],
    *,
    alone: bool,
) -> tuple[list[AnyJob], list[Line]]:
    """The jobs claimed of these lines, and the line of each; wanted: how many slots of each key they need."""
    async with conn.transaction():
        if await db.fetch_one(conn, statement("jobs_core", "worker/hold"), {"worker_id": worker_id}) is None:
            return [], []
        keys = await _acquire(conn, wanted) if wanted else {}
        lines = [line for line in lines if _has_any(line, keys)]
        taken = _share_out(await _heads(conn, lines, alone=alone), keys)
        jobs = await _write(conn, worker_id, taken, keys, give_up_after_s) if taken else []
    return jobs, [lines[head.line - 1] for head, _ in taken] if jobs else []


async def _acquire(conn: db.Connection, wanted: Mapping[str, int]) -> dict[str, _Key]:
    """Lock free slots of these keys, at most so many of each, and their buckets, as far as they are to be had."""
    values = {"keys": list(wanted), "wanted": list(wanted.values())}
    rows = await db.fetch(conn, statement("jobs_core", "limit/acquire"), values)
    return {row.pop("key"): _Key(**row) for row in rows}


def _has_any(line: Line, keys: Mapping[str, _Key]) -> bool:
    names = keys_of(line["limit_group"])
    return all(name in keys and (keys[name].slots is None or keys[name].free) for name in names)


async def _heads(conn: db.Connection, lines: Sequence[Line], *, alone: bool) -> list[_Head]:
    """Lock the first jobs of these lines; returns them in their order among all."""
    if not lines:
        return []
    values = {
        "line_queues": [line["queue"] for line in lines],
        "line_types": [line["job_type"] for line in lines],
        "line_priorities": [line["priority"] for line in lines],
        "line_groups": [line["limit_group"] for line in lines],
        "jobs": [line["jobs"] for line in lines],
        "alone": alone,
    }
    rows = await db.fetch(conn, statement("jobs_core", "job/limited_heads"), values)
    heads = sorted((_Head(**row) for row in rows), key=_in_order)
    places = [iter(line["places"]) for line in lines]
    for head in heads:
        head.place = next(places[head.line - 1])
    return sorted(heads, key=attrgetter("priority", "place"))


def _share_out(heads: Sequence[_Head], keys: Mapping[str, _Key]) -> list[tuple[_Head, list[tuple[str, int]]]]:
    """Give slots (key, n) to the jobs in order: to each all that it needs, or none."""
    taken = []
    for head in heads:
        weights = {name: own["weight"] for name, own in (head.limits or {}).items()}
        # of each, not up to the first: those that are short are so for all jobs that follow
        fitting = [keys[name].fits(weight) for name, weight in weights.items()]
        if all(fitting):
            taken.append((head, [(name, n) for name, weight in weights.items() for n in keys[name].take(weight)]))
    return taken


async def _write(
    conn: db.Connection,
    worker_id: int,
    taken: Sequence[tuple[_Head, Sequence[tuple[str, int]]]],
    keys: Mapping[str, _Key],
    give_up_after_s: Mapping[str, float],
) -> list[AnyJob]:
    longest_s = GIVE_UP_AFTER.total_seconds()
    slots = [(name, n, head.id) for head, held in taken for name, n in held]
    claims = {
        "worker_id": worker_id,
        "ids": [head.id for head, _ in taken],
        "give_up_s": [give_up_after_s.get(head.job_type, longest_s) for head, _ in taken],
        "ready_seqs": [head.ready_seq for head, _ in taken],
        "slot_keys": [name for name, _, _ in slots],
        "slot_ns": [n for _, n, _ in slots],
        "slot_jobs": [job_id for _, _, job_id in slots],
    }
    rows = await db.fetch_tuples(conn, statement("jobs_core", "job/claim_limited"), claims)
    spent = {name: key.spent for name, key in keys.items() if key.spent}
    if rows and spent:
        values = {"keys": list(spent), "spent": list(spent.values())}
        await db.execute(conn, statement("jobs_core", "limit/spend"), values)
    return sorted((Job(*row) for row in rows), key=_in_order)
