"""Turns: jobs of one type, queue and class go round by whose they are, and not by arrival.

    waiting, by key    A A A A …   B   C C        served last: C, then A; B: not of late
    claimed            B A C A C A A …

The key whose last claim is the longest ago is next, which is one number a key: the token of that claim. A key that was idle has
no credit but for one turn, and a newcomer waits for none: it is next. Jobs that take turns wait where those with limits do, in
groups, their key in an array of its own before the keys of their limits. A look (job/limited) says whose turn it is; a claim
locks these keys, and serves those that nobody has served since. So no two claims take the same turn, and it is only an order:
a row that is forgotten strands nothing.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from typing import Any

from jobs_core import db
from jobs_core.statements import statement

_FORGET_AFTER = timedelta(hours=1)

_Key = tuple[str, str, int, str]


def keys_of(limit_group: str) -> list[str]:
    """The keys of limits in a group."""
    return [key for key in json.loads(limit_group) if isinstance(key, str)]


def fair_key_of(limit_group: str | None) -> str | None:
    """Whose the jobs of a group are; empty: nobody's. None: they take no turns."""
    first = json.loads(limit_group)[0] if limit_group else None
    return first[0] if isinstance(first, list) else None


async def make_fair_keys(conn: db.Connection, lines: Sequence[Mapping[str, Any]]) -> None:
    """Make the rows of keys that were not served of late. The connection is not in a transaction: none waits for its end."""
    if new := _by_key(line for line in lines if line["served"] == 0):
        await db.execute(conn, statement("jobs_core", "fair_key/make"), _columns(new))


async def take_turns(conn: db.Connection, lines: Sequence[Mapping[str, Any]]) -> tuple[list[Mapping[str, Any]], bool]:
    """Lock the keys of these lines; returns those of which nobody has taken the turn, and whether somebody has of another."""
    keys = _by_key(lines)
    if not keys:
        return list(lines), False
    rows = await db.fetch(conn, statement("jobs_core", "fair_key/lock"), _columns(keys))
    served = {_key(row): row["served"] for row in rows}
    ours = [line for line in lines if line["fair_key"] is None or served.get(_key(line)) == line["served"]]
    return ours, any(served.get(key, line["served"]) != line["served"] for key, line in keys.items())


async def serve(conn: db.Connection, claims: Sequence[tuple[Mapping[str, Any], int]]) -> None:
    """Note whose jobs were claimed: the line of each, and the claim's token. Their keys are locked (`take_turns`)."""
    tokens = dict[_Key, int]()
    for line, token in claims:
        tokens[_key(line)] = max(token, tokens.get(_key(line), 0))
    if served := _by_key(line for line, _ in claims):
        values = {**_columns(served), "tokens": [tokens[key] for key in served]}
        await db.execute(conn, statement("jobs_core", "fair_key/serve"), values)


async def forget_fair_keys(conn: db.Connection) -> None:
    """Delete keys that were not served for an hour: with a row or without, they come before all that were."""
    await db.execute(conn, statement("jobs_core", "fair_key/forget"), {"keep_s": _FORGET_AFTER.total_seconds()})


def _by_key(lines: Iterable[Mapping[str, Any]]) -> dict[_Key, Mapping[str, Any]]:
    """Lines that take turns, one of each key, sorted: the order in which keys are locked."""
    found = {_key(line): line for line in lines if line["fair_key"] is not None}
    return dict(sorted(found.items()))


def _key(line: Mapping[str, Any]) -> _Key:
    return line["queue"], line["job_type"], line["priority"], line["fair_key"]


def _columns(keys: Iterable[_Key]) -> dict[str, list[Any]]:
    queues, job_types, priorities, names = zip(*keys, strict=True)
    return {"queues": [*queues], "job_types": [*job_types], "priorities": [*priorities], "keys": [*names]}
