"""The rows of live events: written for many runs at once, each fenced; read by many watchers at once; forgotten after an hour.

Every verb takes the connection first. It need not be in a transaction: each is one statement.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple
from uuid import UUID

from jobs_core import Connection, execute, fetch, fetch_one, statement

KEEP_S = 3600.0
FORGET_BATCH = 1_000


class Audience(NamedTuple):
    """Who may watch a run: those who ask by this `topic`, a chat's id. `token` is the run's claim, Job.token."""

    topic: str
    token: int


@dataclass(frozen=True, slots=True)
class LiveRow:
    """One write of a run; a later one has a higher `seq`. events: a JSON array of [kind, about]."""

    topic: str
    token: int
    seq: int
    turn_id: UUID
    events: str


@dataclass(frozen=True, slots=True)
class Held:
    """Under which epoch a run holds its session."""

    session_id: UUID
    epoch: int


class Place(NamedTuple):
    """How far a watcher has come in a topic: a run, and which of its writes."""

    token: int = 0
    seq: int = 0


class Written(NamedTuple):
    """By their seq: the rows that are there, and those whose runs hold their sessions."""

    written: Collection[int]
    holding: Collection[int]


async def write_live(conn: Connection, rows: Sequence[tuple[Held, LiveRow]]) -> Written:
    """Write a row for each run, in one statement; no two have the same seq.

    Of a run that was replaced nothing is written, and its row is in neither part of the result. One that is in `holding` only
    was passed over: somebody has the session locked.
    """
    values = {
        "session_ids": [held.session_id for held, _ in rows],
        "epochs": [held.epoch for held, _ in rows],
        "topics": [row.topic for _, row in rows],
        "turn_ids": [row.turn_id for _, row in rows],
        "tokens": [row.token for _, row in rows],
        "seqs": [row.seq for _, row in rows],
        "events": [row.events for _, row in rows],
    }
    found = await fetch_one(conn, statement("sessions", "live/write"), values)
    assert found is not None
    return Written(set(found["written"] or ()), set(found["holding"] or ()))


async def live_news(conn: Connection, places: Mapping[str, Place], *, most: int) -> list[LiveRow]:
    """What was written since these places, by topic, in order; of each topic `most` rows at most."""
    values = {
        "topics": list(places),
        "tokens": [place.token for place in places.values()],
        "seqs": [place.seq for place in places.values()],
        "most": most,
    }
    return [LiveRow(**row) for row in await fetch(conn, statement("sessions", "live/news"), values)]


async def recent_topics(conn: Connection, *, within_s: float) -> set[str]:
    """Where something was written in this time, except what took longer than that to be committed."""
    rows = await fetch(conn, statement("sessions", "live/recent"), {"within_s": within_s})
    return {row["topic"] for row in rows}


async def newest_runs(conn: Connection, topics: Collection[str]) -> dict[str, Place]:
    """Where the newest run of each topic begins; the very beginning, where there is none."""
    rows = await fetch(conn, statement("sessions", "live/newest"), {"topics": list(topics)})
    return {row["topic"]: Place(row["token"] or 0, 0) for row in rows}


async def forget_live(conn: Connection, *, keep_s: float = KEEP_S) -> int:
    """Delete up to 1,000 rows of runs that have said nothing for an hour; returns how many."""
    return await execute(conn, statement("sessions", "live/forget"), {"keep_s": keep_s, "batch": FORGET_BATCH})
