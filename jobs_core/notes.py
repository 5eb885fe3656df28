"""Notes: what a run says of itself while it works, lines of a log and how far it is; kept with the job, and bounded.

    job.log, job.progress ─▶ the run's notebook ─ take ─▶ write (fenced) ─▶ taken off │ the job's row was locked: again
      in any thread           in memory; full: the oldest line goes; progress: only the last

A job keeps its newest lines; their numbers go on through all its runs, so that what was dropped is known by the gap.
"""

import json
import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from threading import Lock
from typing import Any, Literal, NamedTuple

from jobs_core import db, gate
from jobs_core.errors import InvalidInput
from jobs_core.statements import statement

Kind = Literal["log", "progress"]

MAX_TEXT_CHARS = 2_000
MAX_DATA_BYTES = 4_096
KEPT: Mapping[Kind, int] = {"log": 1_000, "progress": 100}
"""How many of each a job keeps: up to a tenth more, for they are deleted in that many steps."""
SHOWN_LINES = 20
_DELETED_TOGETHER = 10  # tenths


class Note(NamedTuple):
    """n: its number in its run, of its kind, from 1. data: JSON text. said_s: by the process' monotonic clock."""

    kind: Kind
    n: int
    text: str | None
    data: str | None
    said_s: float


class Dated(NamedTuple):
    """A note with its number in its job, and its time by Postgres' clock."""

    kind: Kind
    n: int
    text: str | None
    data: str | None
    said_at: datetime


class Newest(NamedTuple):
    """The last progress of a job, and its last lines, the oldest first: kind, n, text, data, said_at of each."""

    progress: db.Row | None
    log: Sequence[db.Row]


class Notebook:
    """What one run has said and nobody has written yet. Its verbs for the handler are safe in any thread, and never raise."""

    def __init__(self, job_id: int, token: int, created_at: datetime) -> None:
        self.job_id = job_id
        self.token = token
        self.created_at = created_at
        self.taken: Sequence[Dated] = ()
        """What is being written; the same again until that is known to be done."""
        self.numbers_before: Mapping[Kind, int] | None = None
        """How far the job's earlier runs have come, of each kind; None: not looked for yet."""
        self._lock = Lock()
        self._lines = deque[Note](maxlen=KEPT["log"])
        self._progress: Note | None = None
        self._n: dict[Kind, int] = {"log": 0, "progress": 0}
        self.closed = False

    def log(self, text: str, data: Mapping[str, Any]) -> None:
        """Add a line; the oldest of those that nobody has written is dropped where there are too many."""
        text, kept = _text(text), _data(data)
        with self._lock:
            if not self.closed:
                self._n["log"] += 1
                self._lines.append(Note("log", self._n["log"], text, kept, time.monotonic()))

    def progress(self, done: float | Mapping[str, Any], text: str) -> None:
        """Say how far it is; it takes the place of what nobody has written."""
        kept = _data(done if isinstance(done, Mapping) else {"fraction": done})
        with self._lock:
            if not self.closed:
                self._progress = Note("progress", self._n["progress"] + 1, _text(text) or None, kept, time.monotonic())

    def close(self) -> None:
        """Take nothing more, and forget what was not written: the run is over, or has lost its job."""
        with self._lock:
            self.closed = True
            self._lines.clear()
            self._progress, self.taken = None, ()

    def refuse(self) -> None:
        """Forget what was taken: Postgres does not want it. One that is new says nothing any more."""
        self.taken = ()
        if self.numbers_before is None:
            self.close()

    @property
    def has_news(self) -> bool:
        """Whether something was said that is not written."""
        return bool(self.taken or self._lines or self._progress)

    def take(self, most: int, clock: "Clock") -> Sequence[Dated]:
        """What is to be written now, `most` lines at most: until `taken` was emptied, the same again. `begin` came before."""
        assert self.numbers_before is not None
        if not self.taken:
            with self._lock:
                notes = [self._lines.popleft() for _ in range(min(most, len(self._lines)))]
                if self._progress:
                    notes.append(self._progress)
                    self._n["progress"], self._progress = self._progress.n, None
            before = self.numbers_before
            self.taken = [
                Dated(note.kind, before[note.kind] + note.n, note.text, note.data, clock.at(note.said_s))
                for note in notes
            ]
        return self.taken


@dataclass(slots=True)
class Clock:
    """Postgres' clock as this process knows it: what it said when, by our monotonic one."""

    now: datetime
    read_s: float

    def at(self, monotonic_s: float) -> datetime:
        """Postgres' time at that moment of ours."""
        return self.now + timedelta(seconds=monotonic_s - self.read_s)


async def begin(conn: db.Connection, notebooks: Sequence[Notebook]) -> Clock:
    """Find out for new notebooks how far earlier runs of their jobs have come, and what time it is."""
    values = {
        "ids": [notebook.job_id for notebook in notebooks],
        "since": min(notebook.created_at for notebook in notebooks),
    }
    rows = await db.fetch(conn, statement("jobs_core", "note/begin"), values, prepare=False)
    before: dict[int, Mapping[Kind, int]] = {
        row["job_id"]: {"log": row["log"], "progress": row["progress"]} for row in rows
    }
    for notebook in notebooks:
        notebook.numbers_before = before[notebook.job_id]
    return Clock(rows[0]["now"], time.monotonic())


async def write(conn: db.Connection, notebooks: Sequence[Notebook]) -> Clock:
    """Write what was taken of these, in one statement. What is written is taken off; a run that lost its job has said nothing.

    Where somebody had a job's row locked, what was taken stays, for the next time. The connection is not in a transaction: what
    is locked would stay so.
    """
    said = [(notebook.token, *note) for notebook in notebooks for note in notebook.taken]
    tokens, kinds, ns, texts, data, said_at = (list(column) for column in zip(*said, strict=True))
    claims = {
        "ids": [notebook.job_id for notebook in notebooks],
        "tokens": [notebook.token for notebook in notebooks],
    }
    notes = {"of": tokens, "kinds": kinds, "ns": ns, "texts": texts, "data": data, "said_at": said_at}
    row = await db.fetch_one(conn, statement("jobs_core", "note/write"), {**claims, **notes})
    assert row is not None
    written, holding = set(row["written"] or ()), set(row["holding"] or ())
    await _trim(conn, [notebook for notebook in notebooks if notebook.token in written])
    for notebook in notebooks:
        if notebook.token in written:
            notebook.taken = ()
        elif notebook.token not in holding:
            notebook.close()
    return Clock(row["now"], time.monotonic())


async def newest(conn: db.Connection, job_id: int, created_at: datetime, *, lines: int = SHOWN_LINES) -> Newest:
    """The last of what the job's runs have said."""
    values = {"job_id": job_id, "since": created_at, "limit": lines}
    rows = await db.fetch(conn, statement("jobs_core", "note/newest"), values, prepare=False)
    progress = next((row for row in rows if row["kind"] == "progress"), None)
    return Newest(progress, [row for row in rows if row["kind"] == "log"])


def line_text(note: db.Row) -> str:
    """A line of a job's log as a person reads it."""
    return f"{note['text']}{_shown(note['data'])}"


def progress_text(note: db.Row) -> str:
    """Progress as a person reads it: `40 %, counting`."""
    text, data = note["text"], note["data"]
    share = data.get("fraction") if isinstance(data, dict) and len(data) == 1 else None
    done = f"{share:.0%}".replace("%", " %") if isinstance(share, (int, float)) else _shown(data).strip()
    return ", ".join(filter(None, (done, text)))


async def _trim(conn: db.Connection, notebooks: Sequence[Notebook]) -> None:
    """Drop the oldest notes of jobs that have too many; looked at in tenths of what is kept."""
    too_old = [
        (notebook, kind, ns[-1] - kept)
        for notebook in notebooks
        for kind, kept in KEPT.items()
        if (ns := [note.n for note in notebook.taken if note.kind == kind])
        and ns[-1] > kept
        and ns[-1] * _DELETED_TOGETHER // kept > (ns[0] - 1) * _DELETED_TOGETHER // kept
    ]
    if too_old:
        values = {
            "ids": [notebook.job_id for notebook, _, _ in too_old],
            "kinds": [kind for _, kind, _ in too_old],
            "lasts": [last for _, _, last in too_old],
            "since": min(notebook.created_at for notebook, _, _ in too_old),
        }
        await conn.execute(statement("jobs_core", "note/trim"), values, prepare=False)


def _text(text: Any) -> str:
    return gate.clean_text(str(text), max_chars=MAX_TEXT_CHARS)


def _data(data: Mapping[str, Any]) -> str | None:
    """The data as JSON text, or why it cannot be kept: a line of a log is no reason for a run to fail."""
    if not data:
        return None
    try:
        return gate.to_json(dict(data), field="data", max_bytes=MAX_DATA_BYTES)
    except InvalidInput as error:
        return json.dumps({"not_kept": gate.clean_text(str(error), max_chars=MAX_TEXT_CHARS)})


def _shown(data: Any) -> str:
    return f" {json.dumps(data, ensure_ascii=False)}" if data else ""
