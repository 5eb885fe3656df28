"""Looking at jobs: those that live and those that ended, as one list.

History is walked in spans of days, from the newest back, and no further than needed:

    living ─▶ today ─▶ 1 day ─▶ 2 days ─▶ 4 … 32 days at a time ─▶ the oldest day
                 └─ enough found, and the last of them was created in this span or later: older days hold lower ids only

One statement over all days would open each of them: with 420 partitions that took 2,150 locks, and thirty of them at once all
that a server for 200 connections has, so that settles failed, too.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

from jobs_core import db
from jobs_core.history import midnight, oldest_day
from jobs_core.statements import statement

LIVING = ("pending", "blocked", "waiting", "claimed", "running")
ENDED = ("complete", "failed", "cancelled")
_LONGEST_SPAN_DAYS = 32
_DAY = timedelta(days=1)

Span = tuple[datetime | None, datetime | None]
"""From the first moment to before the second; None: open."""


@dataclass(frozen=True, slots=True)
class JobSummary:
    """A job as a list shows it, in whatever state. Times are UTC; `retention` and `ended_at` are set when it has ended."""

    id: int
    job_type: str
    queue: str
    priority: int
    state: str
    error: str | None
    user_id: str | None
    task_id: int | None
    project_id: str | None
    lane: str | None
    unique_key: str | None
    retention: str | None
    scheduled_for: datetime | None
    give_up_at: datetime | None
    worker_id: int | None
    token: int | None
    retry_count: int
    lost_count: int
    created_at: datetime
    claimed_at: datetime | None
    started_at: datetime | None
    ended_at: datetime | None


@dataclass(frozen=True, slots=True)
class JobView(JobSummary):
    """All that is known of a job but its attempts.

    parent_id: the job whose run created it. retry_of: the job that this one was made to do again. redriven_as: the job that was
    made to do this one again.
    While it lives: fair_key: whose it is, where it takes turns (empty: nobody's); first_priority: the class it was created in,
    where it has gone up since by waiting.
    debounce_until: the latest start that creates of its key may put it off to; None: it was created without a debounce.
    """

    input: Any
    result: Any
    parent_id: int | None
    retry_of: int | None
    redriven_as: int | None
    fair_key: str | None
    first_priority: int | None
    debounce_until: datetime | None


@dataclass(frozen=True, slots=True)
class Attempt:
    """A run that did not complete; `reason` as `attempts.reason` has it, alone: in a process of its own."""

    token: int
    reason: str
    error: str | None
    worker_id: int | None
    alone: bool
    claimed_at: datetime | None
    started_at: datetime | None
    ended_at: datetime


async def find(conn: db.Connection, job_id: int) -> JobView | None:
    """The job of that id, living or ended; None where there is none, or its type keeps no history."""
    row = await db.fetch_one(conn, statement("jobs_core", "job/find"), {"id": job_id})
    if row:
        return JobView(**row)
    return await _find_ended(conn, job_id)  # a job that ended since is in history now


async def attempts_of(conn: db.Connection, job: JobSummary) -> list[Attempt]:
    """The job's runs that did not complete, first one first; they are kept as long as history of class `standard`."""
    values = {"job_id": job.id, "since": job.created_at}
    rows = await db.fetch(conn, statement("jobs_core", "attempt/of_job"), values, prepare=False)
    return [Attempt(**row) for row in rows]


async def newest(
    conn: db.Connection,
    *,
    state: str | None = None,
    job_type: str | None = None,
    queue: str | None = None,
    user_id: str | None = None,
    lane: str | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    limit: int = 50,
    before_id: int | None = None,
) -> list[JobSummary]:
    """The newest jobs, living and ended, that match what is given; page on with the last one's id as `before_id`.

    since, until: of jobs that ended, those that did so in between; of living ones, those created in between. Users, lanes, and
    failed jobs of a type are found by indexes; other types and queues are looked for among all, day by day.
    """
    matching = {"state": state, "job_type": job_type, "queue": queue, "user_id": user_id, "lane": lane}
    values = {**matching, "limit": limit, "before_id": before_id}
    found = dict[int, JobSummary]()
    if state not in ENDED:
        rows = await db.fetch(
            conn, statement("jobs_core", "job/newest"), {**values, "since": since, "until": until}, prepare=False
        )
        found.update((row["id"], JobSummary(**row)) for row in rows)
    walk = spans(await oldest_day(conn), since, until) if state not in LIVING else ()
    for first, next_ in walk:
        rows = await db.fetch(
            conn, statement("jobs_core", "history/newest"), {**values, "first": first, "next": next_}, prepare=False
        )
        found.update((row["id"], JobSummary(**row)) for row in rows)  # one that ended since is told as ended
        if _is_whole(_page(found, limit), limit, first):
            break
    return _page(found, limit)


async def counts(conn: db.Connection) -> list[db.Row]:
    """Living jobs by queue, job_type, state: n, and oldest_s, the age in seconds of the one that has waited longest."""
    return await db.fetch(conn, statement("jobs_core", "job/counts"))


async def ended_counts(
    conn: db.Connection,
    *,
    state: str | None = None,
    job_type: str | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
) -> list[db.Row]:
    """Jobs that left no history (retention `none`) by UTC day, job_type, state: n, newest day first.

    since, until: the days that these moments lie in are counted whole.
    """
    values = {"state": state, "job_type": job_type, "since": _day(since), "until": _day(until)}
    return await db.fetch(conn, statement("jobs_core", "history/ended_counts"), values)


async def _find_ended(conn: db.Connection, job_id: int) -> JobView | None:
    """Walk back to the job's span; a long one is passed by where its first day holds no ids as low as this one."""
    passed_by = list[Span]()
    for first, next_ in spans(await oldest_day(conn)):
        if first and next_ and next_ - first > _DAY:
            below = await _nearest(conn, job_id, (first, first + _DAY))
            if below is None or (below["id"] != job_id and below["created_at"] < first):
                passed_by.append((first, next_))
                continue
        row = await _nearest(conn, job_id, (first, next_))
        if row and row["id"] == job_id:
            return JobView(**row)
        if row and first and row["created_at"] >= first:
            break
    for span in passed_by:  # it ended long after its neighbours, or that first day was empty, or it is not there
        row = await _nearest(conn, job_id, span)
        if row and row["id"] == job_id:
            return JobView(**row)
    return None


async def _nearest(conn: db.Connection, job_id: int, span: Span) -> db.Row | None:
    """The job of that id, or of the next lower one, that ended in that span."""
    values = {"id": job_id, "first": span[0], "next": span[1]}
    rows = await db.fetch(conn, statement("jobs_core", "history/find"), values, prepare=False)
    return rows[0] if rows else None


def _page(found: dict[int, JobSummary], limit: int) -> list[JobSummary]:
    return [found[job_id] for job_id in sorted(found, reverse=True)[:limit]]


def _is_whole(page: list[JobSummary], limit: int, first: datetime | None) -> bool:
    """Whether nothing that ended before `first` belongs on the page: it is full, and its last job was created since."""
    return first is not None and len(page) == limit and page[-1].created_at >= first


def spans(oldest: date | None, since: datetime | None = None, until: datetime | None = None) -> Iterator[Span]:
    """Spans of days that lie side by side, the newest first, back to the oldest day there is; each but the first the longer."""
    now = datetime.now(UTC)
    first, next_ = midnight(min(until or now, now).astimezone(UTC).date()), until
    days = 1
    while oldest is not None and first > midnight(oldest) and (since is None or first > since):
        yield first, next_
        first, next_ = first - days * _DAY, first
        days = min(days * 2, _LONGEST_SPAN_DAYS)
    yield since, next_


def _day(moment: datetime | None) -> date | None:
    return moment.astimezone(UTC).date() if moment else None
