"""Explain: why a job does not run, in one line a reason, the nearest first; each with what it is about, for programs.

due in 4 min
debounced: due in 4 s, at the latest at 09:12
waits for the event paid:9 since 09:12
third in lane turn:7, behind job 812 ─▶ why that one does not end
lane turn:7 is held since 09:12 because job 812 failed: release it with ./jobs lane release turn:7
no live worker serves mail on queue slow
queue slow is paused by ann until 09:30
waits for worker 7, which ran the last job of session:9, until 09:12:03
limit project:acme: 5 of 5 in use, held by 7, 9, 12, 13, 20
it has gone up from class 3 to class 1 by waiting
ready: 11 of its type are before it, about 3 s
ready: 2 of user:7 are before it, and it takes turns with 4 others: at most 14 of the jobs that wait now are before it
"""

import shlex
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from jobs_core import db, look
from jobs_core.children import CHILDREN
from jobs_core.history import midnight
from jobs_core.lanes import LaneView, find_lane
from jobs_core.leases import live_workers
from jobs_core.limits import find_limit
from jobs_core.pauses import Pause, pauses
from jobs_core.statements import statement
from jobs_core.turns import fair_key_of, keys_of

MOST_AHEAD = 10_000
"""Ready jobs before this one are counted up to here."""
_RATE_WITHIN = timedelta(minutes=5)
_RATE_OF_MOST = 1_000
"""Of the claims that say how fast jobs of a type go."""
MOST_KEYS = 1_000
"""Keys that a job takes turns with are counted up to here."""
_DEEPEST = 5
"""Lanes that a job is followed through."""


@dataclass(frozen=True, slots=True)
class Why:
    """One reason. kind: ended, running, cancel, due, wait, lane, worker, sticky, pause, limit, alone, aged, ready."""

    kind: str
    text: str
    about: dict[str, Any] = field(default_factory=dict)


async def explain(conn: db.Connection, job_id: int) -> list[Why] | None:
    """Why the job does not run, or that it does, or how it ended; None where there is no such job."""
    row = await _job(conn, job_id)
    if row is not None:
        return await _living(conn, row, depth=0)
    ended = await look.find(conn, job_id)
    if ended is None:
        return None
    error = f": {ended.error}" if ended.error else ""
    return [Why("ended", f"it is {ended.state} since {_clock(ended.ended_at)}{error}", {"state": ended.state})]


async def _job(conn: db.Connection, job_id: int) -> db.Row | None:
    return await db.fetch_one(conn, statement("jobs_core", "explain/job"), {"id": job_id})


async def _living(conn: db.Connection, job: db.Row, *, depth: int) -> list[Why]:
    reasons = list[Why]()
    if job["cancel_asked_at"]:
        asked = _clock(job["cancel_asked_at"])
        reasons.append(Why("cancel", f"somebody asked for its end at {asked}; its run is being told"))
    match job["state"]:
        case "blocked":
            return reasons + await _blocked(conn, job, depth)
        case "waiting":
            return reasons + await _waiting(conn, job)
        case "pending":
            return reasons + await _pending(conn, job)
        case _:
            return reasons + await _held(conn, job)


async def _held(conn: db.Connection, job: db.Row) -> list[Why]:
    worker = await db.fetch_one(conn, statement("jobs_core", "explain/worker"), {"id": job["worker_id"]})
    since, about = _clock(job["started_at"] or job["claimed_at"]), {"worker_id": job["worker_id"]}
    if worker is None or worker["dead_at"] or worker["silent_s"] > 0:
        return [Why("worker", f"its worker {job['worker_id']} is gone; it is taken over at the next upkeep", about)]
    what = "runs" if job["state"] == "running" else "is claimed and about to run"
    where = f"on worker {job['worker_id']} ({worker['host']}, process {worker['pid']})"
    return [Why("running", f"it {what} {where} since {since}", about)]


async def _waiting(conn: db.Connection, job: db.Row) -> list[Why]:
    since, until = _clock(job["waiting_since"]), job["wait_until"]
    at_last = f", until {_clock(until)} at the latest" if until else ""
    if job["wait_event"] == CHILDREN:
        row = await db.fetch_one(conn, statement("jobs_core", "explain/children"), {"id": job["id"]})
        left = row["left"] if row else 0
        return [Why("wait", f"it waits for {left} of its children since {since}", {"children": left})]
    if job["wait_event"] is None:
        return [Why("wait", f"it sleeps for {_span(until - job['now'])}, until {_clock(until)}", {"until": until})]
    about = {"event": job["wait_event"], "until": until}
    return [Why("wait", f"it waits for the event {job['wait_event']} since {since}{at_last}", about)]


async def _blocked(conn: db.Connection, job: db.Row, depth: int) -> list[Why]:
    values = {"lane": job["lane"], "lane_pos": job["lane_pos"], "most": MOST_AHEAD}
    head = await db.fetch_one(conn, statement("jobs_core", "explain/head"), values)
    lane = await find_lane(conn, job["lane"])
    reasons = [_hold(lane)] if lane and lane.held_at else []
    if head is None or head["id"] in {None, job["id"]}:
        return reasons or [Why("lane", f"it is next in lane {job['lane']}", {"lane": job["lane"]})]
    about = {"lane": job["lane"], "head": head["id"], "ahead": head["ahead"]}
    at_least = "at least " if head["ahead"] == MOST_AHEAD else ""
    more = f", {at_least}{head['ahead'] - 1:,} more between them" if head["ahead"] > 1 else ""
    reasons += [Why("lane", f"it is behind job {head['id']} in lane {job['lane']}{more}", about)]
    row = await _job(conn, head["id"]) if depth < _DEEPEST else None
    if row is not None and row["state"] != "blocked":  # or it waits for the same release
        ahead = await _living(conn, row, depth=depth + 1)
        reasons += [Why(why.kind, f"job {head['id']}: {why.text}", {**why.about, "job": head["id"]}) for why in ahead]
    return reasons


def _hold(lane: LaneView) -> Why:
    since = f"lane {lane.lane} is held since {_clock(lane.held_at)} {lane.because}"
    text = f"{since}: release it with ./jobs lane release {shlex.quote(lane.lane)}"
    return Why("lane", text, {"lane": lane.lane, "held_by": lane.held_by, "failed_job": lane.failed_job})


async def _pending(conn: db.Connection, job: db.Row) -> list[Why]:
    if job["ready_seq"] is None:
        due, last = job["scheduled_for"], job["debounce_until"]
        if job["preferred_worker"]:
            return [*await _paused(conn, job), _sticky(job)]
        if last and job["token"] is None:
            text = f"it is debounced: due in {_span(due - job['now'])}, at the latest at {_clock(last)}"
            return [Why("due", text, {"due": due, "at_the_latest": last})]
        after = f", after {job['retry_count']} retries: {job['last_error']}" if job["retry_count"] else ""
        return [Why("due", f"it is due in {_span(due - job['now'])}{after}", {"due": due})]
    reasons = [*await _nobody_serves(conn, job), *await _paused(conn, job), *await _limited(conn, job)]
    if job["alone"]:
        reasons.append(
            Why("alone", "a run of it was lost: it waits for a process of its own (a supervisor starts those)")
        )
        return reasons
    stopped = bool(reasons)
    if job["first_priority"] is not None:
        about = {"from": job["first_priority"], "to": job["priority"]}
        reasons.append(
            Why("aged", f"it has gone up from class {about['from']} to class {about['to']} by waiting", about)
        )
    key = fair_key_of(job["limit_group"])
    return [*reasons, await (_ready(conn, job, stopped=stopped) if key is None else _in_turn(conn, key, job))]


async def _ready(conn: db.Connection, job: db.Row, *, stopped: bool) -> Why:
    """stopped: there is another reason, so that no number of jobs before it says when it runs."""
    named = {name: job[name] for name in ("queue", "job_type", "priority", "ready_seq", "limit_group")}
    row = await db.fetch_one(conn, statement("jobs_core", "explain/ahead"), {**named, "most": MOST_AHEAD})
    ahead = row["ahead"] if row else 0
    place = f"{MOST_AHEAD:,} of its type or more are before it" if ahead == MOST_AHEAD else _place(ahead)
    about: dict[str, Any] = {"ahead": ahead}
    a_job_s = None if stopped or job["limit_group"] or ahead == MOST_AHEAD else await _seconds_a_job(conn, job)
    if a_job_s is not None:
        about["starts_in_s"] = (ahead + 1) * a_job_s
        place += f", about {_span(timedelta(seconds=max(about['starts_in_s'], 1.0)))}"
    return Why("ready", f"it is ready: {place}", about)


async def _seconds_a_job(conn: db.Connection, job: db.Row) -> float | None:
    """From one claim of such a job to the next, of late; None: nothing is known."""
    values = {
        **{name: job[name] for name in ("id", "queue", "job_type")},
        "within_s": _RATE_WITHIN.total_seconds(),
        "since": midnight((job["now"] - _RATE_WITHIN).date()),
        "most": _RATE_OF_MOST,
    }
    (row,) = await db.fetch(conn, statement("jobs_core", "explain/rate"), values, prepare=False)
    seconds: float | None = row["over_s"] / row["n"] if row["n"] else None
    return seconds


def _sticky(job: db.Row) -> Why:
    worker, until = job["preferred_worker"], job["scheduled_for"]
    whom = f"worker {worker}, which ran the last job of {job['sticky_key']}"
    return Why(
        "sticky",
        f"it waits for {whom}, until {_clock(until)}; then any takes it",
        {"worker_id": worker, "sticky_key": job["sticky_key"], "until": until},
    )


async def _in_turn(conn: db.Connection, key: str, job: db.Row) -> Why:
    """How many are before a job that takes turns: of its own key, and of others, who have as many turns at most."""
    place = {name: job[name] for name in ("queue", "job_type", "priority", "ready_seq")}
    values = {**place, "key": key, "most": MOST_AHEAD, "most_keys": MOST_KEYS}
    row = await db.fetch_one(conn, statement("jobs_core", "explain/turns"), values)
    assert row is not None
    own, others = row["own"], row["others"]
    about = {"fair_key": key, "ahead_of_key": own, "other_keys": others}
    at_most = own + others * (own + 1)
    many = own == MOST_AHEAD or others == MOST_KEYS
    before = f"{'more than' if many else 'at most'} {at_most:,} of the jobs that wait now are before it"
    alone = (
        f"the next of {key or 'nobody'}"
        if not own
        else f"{own:,} of {key or 'nobody'} {'is' if own == 1 else 'are'} before it"
    )
    turns = f", and it takes turns with {others:,} others: {before}" if others else ""
    return Why("ready", f"it is ready: {alone}{turns}", about)


async def _paused(conn: db.Connection, job: db.Row) -> list[Why]:
    found = [one for one in await pauses(conn) if one.concerns(queue=job["queue"], job_type=job["job_type"])]
    return [Why("pause", _pause_text(one), {"queue": one.queue, "job_type": one.job_type}) for one in found]


def _pause_text(pause: Pause) -> str:
    what = " and ".join(part for part in (pause.queue and f"queue {pause.queue}", pause.job_type) if part)
    until = f" until {_clock(pause.until)}" if pause.until else ""
    reason = f": {pause.reason}" if pause.reason else ""
    return f"{what} is paused by {pause.set_by}{until}{reason}"


async def _limited(conn: db.Connection, job: db.Row) -> list[Why]:
    """The keys of its limits that let nothing more run now."""
    reasons = list[Why]()
    for key in keys_of(job["limit_group"] or "[]"):
        limit = await find_limit(conn, key, most_waiting=0)
        if limit is None:
            continue
        if limit.slots is not None and limit.in_use >= limit.slots:
            held = ", ".join(map(str, limit.held_by))
            text = f"limit {key}: {limit.in_use} of {limit.slots} in use, held by {held}"
            reasons.append(Why("limit", text, {"key": key, "held_by": list(limit.held_by)}))
        if limit.permits is not None and limit.permits < 1:
            text = f"limit {key}: its {limit.rate_per_s} a second are used up"
            reasons.append(Why("limit", text, {"key": key, "permits": limit.permits}))
    return reasons


async def _nobody_serves(conn: db.Connection, job: db.Row) -> list[Why]:
    workers = await live_workers(conn)
    if any(job["queue"] in worker["queues"] and job["job_type"] in worker["job_types"] for worker in workers):
        return []
    about = {"queue": job["queue"], "job_type": job["job_type"], "live_workers": len(workers)}
    return [Why("worker", f"no live worker serves {job['job_type']} on queue {job['queue']}", about)]


def _place(ahead: int) -> str:
    return "the next of its type" if not ahead else f"{ahead:,} of its type {'is' if ahead == 1 else 'are'} before it"


def _span(span: timedelta) -> str:
    """A span in its two largest units."""
    seconds = max(round(span.total_seconds()), 0)
    units = (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1))
    parts = list[str]()
    for unit, size in units:
        n, seconds = divmod(seconds, size)
        if n or (unit == "s" and not parts):
            parts.append(f"{n} {unit}")
    return " ".join(parts[:2])


def _clock(moment: datetime | None) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC" if moment else "an unknown time"
