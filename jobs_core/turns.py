"""Turns: jobs of one type, queue and class go round by whose they are, and not by arrival.

    waiting, by key    A A A A …   B   C C        served last: C, then A; B: not of late
    claimed            B A C A C A A …

Next is the key that has waited longest, since its last turn or since its first job became ready, where a newcomer has 1,000
numbers of readiness in advance: it is next, but does not keep waiting for ever who was there. A key that was idle has no
other credit. Jobs that take turns wait where those with limits do, in groups, their key in an array of its own before the keys
of their limits.

    look: who could be next ─▶ take turns, by what is noted now ─▶ claim the jobs ─▶ give back the turns that came to nothing

A turn is taken by one statement, under locks that last no longer than itself: so no two claims take the same one, and a claim
that freezes keeps nobody waiting. It is only an order: where a claim died, or a row was forgotten, nothing strands.
"""

import json
from collections import defaultdict
from collections.abc import Collection, Container, Iterable, Mapping, Sequence
from datetime import timedelta
from typing import Any, NamedTuple

from jobs_core import db
from jobs_core.statements import statement

_FORGET_AFTER = timedelta(hours=1)
AHEAD = 1_000
"""How far a newcomer comes before those that have waited for longer, in readiness numbers: it is next, unless so many jobs
became ready, or took turns, since another's last turn. Or a stream of newcomers would keep those waiting for ever."""

Line = Mapping[str, Any]
"""Jobs that a claim should try, as job/limited returns them."""
_Round = tuple[str, str, int]
Key = tuple[str, str, int, str]
"""Queue, type, class, and whose."""


class Taken(NamedTuple):
    """Turns of a key: since when it had waited, in readiness numbers, how many, and what is noted of it, now and before."""

    since: int
    served: int
    key: Key
    n: int
    before: int


def keys_of(limit_group: str) -> list[str]:
    """The keys of limits in a group."""
    return [key for key in json.loads(limit_group) if isinstance(key, str)]


def fair_key_of(limit_group: str | None) -> str | None:
    """Whose the jobs of a group are; empty: nobody's. None: they take no turns."""
    first = json.loads(limit_group)[0] if limit_group else None
    return first[0] if isinstance(first, list) else None


async def take_turns(conn: db.Connection, lines: Sequence[Line], slots: int) -> tuple[list[Line], list[Taken]]:
    """Of what a look found, the first `slots` jobs: those that take no turns, and those of the keys whose turn it is now.

    Returns them, and the turns that were taken (`give_back`). The connection is not in a transaction.
    """
    in_order = sorted(
        (line["priority"], place, number) for number, line in enumerate(lines) for place in line["places"]
    )
    kept, shared = defaultdict[int, list[int]](list), defaultdict[_Round, list[int]](list)
    for _, place, number in in_order[:slots]:
        line = lines[number]
        (kept[number] if line["fair_key"] is None else shared[_round(line)]).append(place)
    taken = list[Taken]()
    if shared:
        waiting = _waiting(lines, shared)
        arrived = {key: min(lines[number]["arrived"] for number in jobs) for key, jobs in waiting.items()}
        turns_of = {who: len(places) for who, places in shared.items()}
        taken = await _take(conn, waiting, arrived, turns_of)
        for who, places in shared.items():
            turns = sorted((nth, turn) for turn in taken if turn.key[:3] == who for nth in range(turn.n))
            for place, (nth, turn) in zip(places, turns, strict=False):
                kept[waiting[turn.key][nth]].append(place)
    return [{**lines[number], "places": places, "jobs": len(places)} for number, places in kept.items()], taken


async def _take(
    conn: db.Connection, waiting: Mapping[Key, Sequence[int]], arrived: Mapping[Key, int], turns: Mapping[_Round, int]
) -> list[Taken]:
    """Have those keys take turns whose turn it is, so many of each round."""
    await db.execute(conn, statement("jobs_core", "fair_key/make"), _columns(sorted(waiting)))
    values = {
        **_columns(waiting),
        "waiting": [len(jobs) for jobs in waiting.values()],
        "arrived": [arrived[key] for key in waiting],
        "turns": [turns[key[:3]] for key in waiting],
        "ahead": AHEAD,
    }
    rows = await db.fetch(conn, statement("jobs_core", "fair_key/take"), values)
    return [Taken(row["since"], row["served"], key_of(row), row["n"], row["before"]) for row in rows]


async def give_back(conn: db.Connection, taken: Sequence[Taken], claimed: Collection[Key]) -> None:
    """Have keys that took a turn, and of which no job was claimed after all, come before the others again."""
    if vain := [turn for turn in taken if turn.key not in claimed]:
        values = {"served": [turn.served for turn in vain], "before": [turn.before for turn in vain]}
        await db.execute(
            conn, statement("jobs_core", "fair_key/give_back"), {**_columns(turn.key for turn in vain), **values}
        )


async def forget_fair_keys(conn: db.Connection) -> None:
    """Delete keys that were not served for an hour: since when they wait, their jobs' numbers say."""
    await db.execute(conn, statement("jobs_core", "fair_key/forget"), {"keep_s": _FORGET_AFTER.total_seconds()})


def key_of(line: Line) -> Key:
    """Queue, type, class and name."""
    return *_round(line), line["fair_key"]


def _round(line: Line) -> _Round:
    return line["queue"], line["job_type"], line["priority"]


def _waiting(lines: Sequence[Line], rounds: Container[_Round]) -> dict[Key, list[int]]:
    """For each key of these rounds the number of the line that its first job stands in, that of its second, …"""
    found = defaultdict[Key, list[tuple[int, int]]](list)
    for number, line in enumerate(lines):
        if line["fair_key"] is not None and _round(line) in rounds:
            found[key_of(line)] += [(place, number) for place in line["places"]]
    in_order = sorted((sorted(jobs), key) for key, jobs in found.items())
    return {key: [number for _, number in jobs] for jobs, key in in_order}


def _columns(keys: Iterable[Key]) -> dict[str, list[Any]]:
    queues, job_types, priorities, names = zip(*keys, strict=True)
    return {"queues": [*queues], "job_types": [*job_types], "priorities": [*priorities], "keys": [*names]}
