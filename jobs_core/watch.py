"""Watch: what happens to a job, as a stream with a cursor, read off the rows that there are anyway.

    look ─▶ the job's row, attempts, steps, notes: one statement ─▶ what is new since the cursor ─▶ events, each with its cursor
     ▲                          └─ no row: history ─▶ ended                                                    │
     └────────────── 0.25 s, growing to 1 s; no connection meanwhile ◀─────────────────────────────────────────┘

Each source has an order of its own, which grows in the order of the commits (token and stage of a run; the numbers of lines, of
words of progress, of steps), and a cursor holds the place in each: who goes on from it misses nothing and sees nothing twice.
What leaves no row, nobody is told of later: a wait that is over but for its step, progress that newer progress has replaced.
"""

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from heapq import merge
from typing import Any, Literal, NamedTuple, Self

from jobs_core import db
from jobs_core.children import CHILDREN
from jobs_core.errors import InvalidInput
from jobs_core.look import JobView, find
from jobs_core.notes import line_text, progress_text
from jobs_core.statements import statement

SHORTEST_S, LONGEST_S = 0.25, 1.0
"""Between two looks: the first after something happened, the second where nothing does."""
MOST = 200
"""Of each source in one look."""
_LATE = timedelta(days=1)
"""A row may be written so long after the time that stands in it: a settle whose `also` takes its time, notes kept in memory
while Postgres was away. Looks go back so far, and no further, or one at a job that waits for weeks would open all its days."""

EventKind = Literal[
    "created", "claimed", "started", "progress", "log", "dropped", "step", "waiting", "attempt", "ended"
]

_CLAIMED, _STARTED, _OVER, _ENDED = 1, 2, 3, 4  # stages of a run


@dataclass(frozen=True, slots=True)
class Cursor:
    """How far a watcher has come: the run (by its token) and its stage; the last line, progress, step. Text: `7.2.120.4.31`."""

    token: int = 0
    stage: int = 0
    log: int = 0
    progress: int = 0
    step: int = 0

    @classmethod
    def parse(cls, text: str, *, field: str) -> Self:
        """The cursor of that text. Raises InvalidInput naming the field."""
        if not re.fullmatch(r"[0-9]{1,18}(\.[0-9]{1,18}){4}", text):
            raise InvalidInput(f"{field}: is no id of an event of a job", field=field)
        return cls(*map(int, text.split(".")))

    def __str__(self) -> str:
        return f"{self.token}.{self.stage}.{self.log}.{self.progress}.{self.step}"


@dataclass(frozen=True, slots=True)
class JobEvent:
    """Something that happened to a job. id: the cursor right after it. text: for people, about: the same for programs."""

    id: str
    kind: EventKind
    at: datetime | None
    text: str
    about: dict[str, Any] = field(default_factory=dict)


class _Found(NamedTuple):
    """An event before its place among the others is known. moves: where it takes the cursor."""

    at: datetime
    moves: dict[str, int]
    kind: EventKind
    text: str
    about: dict[str, Any]


class Watch:
    """One watcher of one job; `look` goes on where the last one ended."""

    def __init__(self, job_id: int, cursor: Cursor | None = None) -> None:
        self.job_id = job_id
        self._cursor = cursor
        self._since: datetime | None = None
        self.state: str | None = None
        """How the job ended; None: it has not, or it left no word."""
        self.more = False
        """Whether the last look left something for the next, which is better not waited for."""

    @property
    def ended(self) -> bool:
        """Whether the job has ended and all was told."""
        return self._cursor is not None and self._cursor.stage == _ENDED

    async def look(self, conn: db.Connection) -> list[JobEvent] | None:
        """What happened since the last look, or the cursor; None: there is no such job, or nothing was kept of it."""
        if self.ended:
            return []
        if self._since is None:
            job = await find(conn, self.job_id)
            if job is None and self._cursor is None:
                return None
            self._since = job.created_at if job else datetime.now(UTC) - 2 * _LATE
            if job and self._cursor is None:
                self._cursor = Cursor()
                created = _Found(job.created_at, {}, "created", f"{job.job_type} on queue {job.queue}", _origin(job))
                return [*self._told([created]), *await self._news(conn, self._since)]
        return await self._news(conn, self._since)

    async def _news(self, conn: db.Connection, since: datetime) -> list[JobEvent]:
        at = self._cursor or Cursor()
        where = {"token": at.token, "log": at.log, "progress": at.progress, "step": at.step}
        values = {"id": self.job_id, "since": since, "most": MOST, **where}
        (seen,) = await db.fetch(conn, statement("jobs_core", "watch/look"), values, prepare=False)
        full = [source for source in ("attempts", "log", "progress", "steps") if len(seen[source]) == MOST]
        self.more = bool(full)
        ended = None if seen["job"] else await find(conn, self.job_id)
        runs = seen["attempts"] if "attempts" in full else _with_last(seen["attempts"], seen["job"], ended)
        found = merge(
            _runs(runs, at), _lines(seen["log"], at.log), _progress(seen["progress"]), _steps(seen["steps"]), key=_time
        )
        told = self._told(found)
        if not seen["job"] and not full:
            told += self._told([self._end(ended, seen["now"])])
        if not full:  # what is left may be as old as the job
            self._since = max(since, seen["now"] - _LATE)
        return told

    def _end(self, job: JobView | None, now: datetime) -> _Found:
        self.state = job.state if job else None
        if job is None:
            return _Found(now, {"stage": _ENDED}, "ended", "how is not known: it was not kept", {"state": None})
        text = f"{job.state}: {job.error}" if job.error else job.state
        about = {"state": job.state, "error": job.error}
        return _Found(job.ended_at or now, {"stage": _ENDED}, "ended", text, about)

    def _told(self, found: "Sequence[_Found] | Iterator[_Found]") -> list[JobEvent]:
        events = list[JobEvent]()
        for event in found:
            self._cursor = replace(self._cursor or Cursor(), **event.moves)
            events.append(JobEvent(str(self._cursor), event.kind, event.at, event.text, event.about))
        return events


async def follow(
    database: db.Database, watch: Watch, *, on_away: Callable[[Exception], object]
) -> AsyncIterator[list[JobEvent]]:
    """Look again and again until the job has ended; what each look found, mostly nothing. No connection is held in between.

    A database that is away is told to `on_away`, once, and looked for again. The caller has looked once.
    """
    pause_s, away = SHORTEST_S, False
    while not watch.ended:
        await asyncio.sleep(0 if watch.more else pause_s)
        try:
            async with database.connection() as conn:
                events = await watch.look(conn) or []
            away = False
        except Exception as error:
            if not db.will_pass(error):
                raise
            if not away:
                on_away(error)
            events, away = [], True
        pause_s = SHORTEST_S if events else min(pause_s * 1.5, LONGEST_S)
        yield events


def _time(found: _Found) -> datetime:
    return found.at


def _origin(job: JobView) -> dict[str, Any]:
    return {"job_type": job.job_type, "queue": job.queue}


def _with_last(attempts: list[db.Row], job: db.Row | None, ended: JobView | None) -> list[db.Row]:
    """The runs that did not complete, and the one after them, if there is one."""
    last = job or (ended and {"token": ended.token, "claimed_at": ended.claimed_at, "started_at": ended.started_at,
                              "worker_id": ended.worker_id})  # fmt: skip
    known = {attempt["token"] for attempt in attempts}
    return [*attempts, last] if last and last["token"] is not None and last["token"] not in known else attempts


def _runs(runs: Sequence[db.Row], after: Cursor) -> Iterator[_Found]:
    """The stages of each run that come after the cursor."""
    for run in runs:
        token, worker = run["token"], run["worker_id"]
        by = {"worker_id": worker} if worker else {}
        where = f"worker {worker}" if worker else "a worker"
        stages = [(_CLAIMED, run["claimed_at"], "claimed", f"by {where}", by),
                  (_STARTED, run["started_at"], "started", f"on {where}", by),
                  _end_of_run(run)]  # fmt: skip
        for stage, at, kind, text, about in stages:
            if at is not None and (token, stage) > (after.token, after.stage):
                yield _Found(_moment(at), {"token": token, "stage": stage}, kind, text, about)


def _end_of_run(run: db.Row) -> tuple[int, Any, Any, str, dict[str, Any]]:
    """How a run ended that did not end its job; its time is None where it has not."""
    if run.get("reason"):
        error = f": {run['error']}" if run["error"] else ""
        about = {"reason": run["reason"], "error": run["error"]}
        return _OVER, run["ended_at"], "attempt", f"{run['reason']}{error}", about
    event, until = run.get("wait_event"), run.get("wait_until")
    what = "for its children" if event == CHILDREN else f"for the event {event}" if event else ""
    at_last = f"until {_moment(until):%Y-%m-%d %H:%M:%S} UTC" if until else ""
    return _OVER, run.get("waiting_since"), "waiting", f"{what} {at_last}".strip(), {"event": event, "until": until}


def _lines(notes: Sequence[db.Row], last: int) -> Iterator[_Found]:
    for note in notes:
        n, at = note["n"], _moment(note["said_at"])
        if dropped := n - last - 1:
            text = f"{dropped:,} {'line' if dropped == 1 else 'lines'} before this one"
            yield _Found(at, {"log": n - 1}, "dropped", text, {"lines": dropped})
        last = n
        yield _Found(at, {"log": n}, "log", line_text(note), _said(note))


def _progress(notes: Sequence[db.Row]) -> Iterator[_Found]:
    for note in notes:
        moves = {"progress": note["n"]}
        yield _Found(_moment(note["said_at"]), moves, "progress", progress_text(note), _said(note))


def _steps(steps: Sequence[db.Row]) -> Iterator[_Found]:
    for step in steps:
        name, state = step["name"].removeprefix("step:"), step["state"]
        yield _Found(
            _moment(step["at"]), {"step": step["seq"]}, "step", f"{name} {state}", {"name": name, "state": state}
        )


def _said(note: db.Row) -> dict[str, Any]:
    return {"text": note["text"], "data": note["data"]}


def _moment(value: str | datetime) -> datetime:
    """A time from a row, or from the JSON of one."""
    return value if isinstance(value, datetime) else datetime.fromisoformat(value).astimezone(UTC)
