"""What the tables show after a step, and whether that is so: by SQL alone, and row for row against the model."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import fields
from typing import Any

from jobs_core import Connection, execute, fetch_one
from tests.drills.walk.known import Known, Violation
from tests.drills.walk.looks import EMPTY, LOOK, PREPARE
from tests.drills.walk.model import Model
from tests.drills.walk.model_pauses import Place
from tests.drills.walk.model_turns import Key

_OF_THE_MODEL = {"due", "told", "seq", "until", "claims", "resumes", "not_started", "limits", "slots", "left_h", "gone"}
_COMPARED = [one.name for one in fields(Known) if one.name not in _OF_THE_MODEL]


async def prepare(conn: Connection) -> None:
    """Make a migrated database fit for walks."""
    await execute(conn, PREPARE)


async def empty(conn: Connection) -> None:
    """Nothing is left of the walk before."""
    await execute(conn, EMPTY)


async def check(conn: Connection, model: Model, fingerprints: dict[int, str]) -> None:
    """Raises Violation. fingerprints: of the rows of history, by id, which this fills: what has ended stays as it is."""
    seen = await fetch_one(conn, LOOK)
    assert seen is not None
    seen = {name: rows or [] for name, rows in seen.items()}
    if seen["broken"]:
        raise Violation("; ".join(seen["broken"]))
    for *_, fingerprint in seen["history"]:
        job_id = _[0]
        if fingerprints.setdefault(job_id, fingerprint) != fingerprint:
            raise Violation(f"S9: job {job_id} has ended, and its history was changed")
    for key, *_ in seen["limits"]:  # a look makes a key for jobs that wait, whether or not one of them is claimed
        model.limits.keys.setdefault(key, model.limits.of(key))
    for what, (there, wanted) in _pairs(seen, model).items():
        if there != wanted:
            raise Violation(f"{what}: {_difference(there, wanted)}")
    model.turns.learn(turns_of(seen["turns"]))
    _take_over(seen["jobs"], model)
    _count_claims(model, Counter(job_id for job_id, *_ in seen["attempts"]))


def _pairs(seen: dict[str, Any], model: Model) -> dict[str, tuple[Any, Any]]:
    """By what it is: what is there, and what must be."""
    jobs = {
        row["id"]: {**{name: row.get(name) for name in _COMPARED}, "joined": row["lane_pos"] is not None}
        for row in seen["jobs"]
    }
    in_lanes = sorted((row["lane"], row["lane_pos"], row["id"]) for row in seen["jobs"] if row["lane_pos"] is not None)
    lanes = {lane: [job_id for other, _, job_id in in_lanes if other == lane] for lane, *_ in in_lanes}
    kept = [job for job in model.ended.values() if not job.gone and not is_counted(job)]
    counted = Counter((job.job_type, job.state) for job in model.ended.values() if is_counted(job))
    counts = Counter[tuple[str, str]]()
    for job_type, state, n in seen["counts"]:
        counts[job_type, state] += n
    return {
        "job": (jobs, {job.id: {name: getattr(job, name) for name in _COMPARED} for job in model.jobs.values()}),
        "S4: lane": (lanes, {lane: ids for lane, ids in model.lanes.jobs.items() if ids}),
        "S4: held lanes": (
            {lane: tuple(hold) for lane, *hold in seen["holds"]},
            {lane: (hold.held_by, hold.reason, hold.failed) for lane, hold in model.lanes.holds.items()},
        ),
        "last workers of keys": (dict(seen["sticky"]), model.sticky.last),
        "S9: history": (
            {row[0]: row[1:-1] for row in seen["history"]},
            {j.id: [j.state, j.token, j.parent_id, j.retries, j.lost, j.lane, j.retry_of, j.priority] for j in kept},
        ),
        "ended and not kept": (counts, counted),
        "attempts": (Counter(map(tuple, seen["attempts"])), model.attempts),
        "S3: steps": (
            {(job_id, name): (state, token) for job_id, name, state, token in seen["steps"]},
            {place: (step.state, step.token) for place, step in model.steps.items()},
        ),
        "S3: effects": (Counter(map(tuple, seen["effects"])), model.effects),
        "events": (
            {name: (emitted, payload) for name, emitted, payload in seen["events"]},
            {name: (name in model.events, model.events.get(name)) for name in model.awaited},
        ),
        "requests to cancel": (dict.fromkeys(seen["requests"]), dict.fromkeys(model.requests)),
        "S12: slots": (Counter(map(tuple, seen["slots"])), Counter(_slots(model))),
        "limits": (
            {key: numbers for key, *numbers in seen["limits"]},
            {key: [n.slots, n.burst, n.permits, n.by_hand] for key, n in model.limits.keys.items()},
        ),
        "pauses": (
            {Place(*place): in_force for *place, in_force in seen["pauses"]},
            {place: place in model.pauses.in_force() for place in model.pauses.left_h},
        ),
        "S3: notes": ({tuple(place): token for *place, token in seen["notes"]}, model.notes),
        "S9: redrives": (dict(seen["redrives"]), model.redrives),
        "S10: idempotency keys": (
            {(job_type, key): (job_id, expired) for job_type, key, job_id, expired in seen["keys"]},
            {place: (key.job_id, key.expired) for place, key in model.keys.items()},
        ),
        "workers": (
            {worker_id: (dead, good) for worker_id, dead, good in seen["workers"]},
            {worker_id: (worker.dead, worker.good) for worker_id, worker in model.workers.items()},
        ),
    }


def turns_of(rows: Iterable[Iterable[Any]]) -> dict[Key, int]:
    """The number of each one's last turn, of rows of queue, type, class, whose, number."""
    return {(queue, job_type, priority, fair): served for queue, job_type, priority, fair, served in rows}


def _slots(model: Model) -> dict[tuple[str, int], int]:
    """By key and job."""
    return {(key, job.id): n for job in model.jobs.values() if job.held for key, n in job.slots.items()}


def is_counted(job: Known) -> bool:
    """Whether history keeps no row of it."""
    return job.job_type == "counted" and job.state == "complete"


def _difference(there: dict[Any, Any], wanted: dict[Any, Any]) -> str:
    for key in sorted({*there, *wanted}, key=repr):
        is_, must = there.get(key), wanted.get(key)
        if key in there and key in wanted and isinstance(is_, dict) and isinstance(must, dict):
            is_, must = ({name: side[name] for name in is_ if is_[name] != must[name]} for side in (is_, must))
        if (key in there, is_) != (key in wanted, must):
            return f"{key} is {is_ if key in there else 'not there'}, must be {must if key in wanted else 'gone'}"
    return "the same keys, other values"


def _take_over(rows: list[dict[str, Any]], model: Model) -> None:
    """Readiness is drawn by the database: what became ready since stands behind all that was ready before."""
    last = max((job.seq for job in [*model.jobs.values(), *model.ended.values()]), default=0)
    for row in rows:
        job, seq = model.jobs[row["id"]], row["ready_seq"]
        if seq is not None and seq != job.seq:
            if seq <= last:
                raise Violation(f"job {job.id} became ready ahead of one that was ready before")
            job.seq = seq
        job.until = row["until"]


def _count_claims(model: Model, attempts: Counter[int]) -> None:
    for job in [*model.jobs.values(), *(job for job in model.ended.values() if not job.gone)]:
        allowed = 1 + attempts[job.id] + job.resumes + job.not_started
        if job.claims > allowed:
            raise Violation(f"S7: job {job.id} was claimed {job.claims} times, {allowed} are accounted for")
