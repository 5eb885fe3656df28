"""What the tables show after a step, and whether that is so: by SQL alone, and row for row against the model.

S2, S5 and S8 are of deliveries, actions and agents, which the queue does not know; S12 comes with limits (`LIMITS`).
"""

from collections import Counter
from dataclasses import fields
from typing import Any

from jobs_core import Connection, execute, fetch_one
from tests.drills.walk.model import Known, Model

PREPARE = """
CREATE TABLE IF NOT EXISTS effects (
    job_id bigint NOT NULL, token bigint NOT NULL, at timestamptz NOT NULL DEFAULT clock_timestamp()
);
DO $$
DECLARE day regclass;
BEGIN
    FOR day IN SELECT relid FROM unnest('{jobs.history, jobs.attempts}'::regclass[]) AS whole, pg_partition_tree(whole)
               WHERE isleaf AND relid::text ~ '_[0-9]{8}$' LOOP
        EXECUTE 'DROP TABLE ' || day;
    END LOOP;
END $$
"""
"""What runs do besides: a row each, written in the transactions in which they may write at all. And no partitions of days, that
a check does not open dozens of tables: history goes to the default ones."""

EMPTY = """
DELETE FROM jobs.jobs; DELETE FROM jobs.history; DELETE FROM jobs.attempts; DELETE FROM jobs.steps; DELETE FROM jobs.events;
DELETE FROM jobs.job_keys; DELETE FROM jobs.cancel_requests; DELETE FROM jobs.lanes; DELETE FROM jobs.workers;
DELETE FROM jobs.ended_counts; DELETE FROM effects
"""

LIMITS = ""
"""S12, slots in use are those that claimed jobs hold: a SELECT like those of BROKEN, with its UNION ALL."""

BROKEN = f"""
SELECT 'S1: it has ended twice' AS what, id::text AS which FROM jobs.history GROUP BY id HAVING count(*) > 1
UNION ALL SELECT 'S9: it has ended, and lives', id::text FROM jobs.jobs WHERE id IN (SELECT id FROM jobs.history)
UNION ALL SELECT 'S3: it ended by another token than its last run wrote with', h.id::text
    FROM jobs.history AS h JOIN effects AS e ON e.job_id = h.id WHERE e.token > h.token
UNION ALL SELECT 'S4: two of its jobs may run', lane FROM jobs.jobs
    WHERE lane_pos IS NOT NULL AND state <> 'blocked' GROUP BY lane HAVING count(*) > 1
UNION ALL SELECT 'S4: it went past the one ahead of it', id::text FROM jobs.jobs AS j
    WHERE state <> 'blocked' AND lane_pos IS NOT NULL
      AND EXISTS (SELECT FROM jobs.jobs AS a WHERE a.lane = j.lane AND a.lane_pos < j.lane_pos)
UNION ALL SELECT 'S4: its row names another head', l.lane FROM jobs.lanes AS l
    WHERE l.head_pos IS DISTINCT FROM (SELECT min(j.lane_pos) FROM jobs.jobs AS j WHERE j.lane = l.lane)
UNION ALL SELECT 'S4: it began before the one ahead of it had ended', id::text FROM (
        SELECT id, claimed_at, max(ended_at) OVER (
                   PARTITION BY lane ORDER BY lane_pos ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS before
        FROM jobs.history WHERE lane_pos IS NOT NULL) AS runs
    WHERE claimed_at < before
UNION ALL SELECT 'S6: something was done for it after it was cancelled', h.id::text FROM jobs.history AS h
    WHERE h.state = 'cancelled' AND (EXISTS (SELECT FROM effects AS e WHERE e.job_id = h.id AND e.at > h.ended_at)
        OR EXISTS (SELECT FROM jobs.steps AS s
                   WHERE s.job_id = h.id AND s.at > h.ended_at AND NOT starts_with(s.name, 'child:')))
UNION ALL SELECT 'S6: its parent was cancelled, and nobody wants it ended', j.id::text
    FROM jobs.jobs AS j JOIN jobs.history AS p ON p.id = j.parent_id AND p.state = 'cancelled'
    WHERE j.id NOT IN (SELECT job_id FROM jobs.cancel_requests)
UNION ALL SELECT 'S7: it was charged for more than its retries', job_id::text FROM jobs.attempts
    WHERE reason IN ('error', 'timeout') GROUP BY job_id HAVING count(*) > 3
UNION ALL SELECT 'S7: it was lost alone more than three times', job_id::text FROM jobs.attempts
    WHERE reason = 'lost' AND alone GROUP BY job_id HAVING count(*) > 3
UNION ALL SELECT 'S10: two jobs have this unique key', unique_key FROM jobs.jobs
    WHERE unique_while = 'unfinished' OR token IS NULL GROUP BY job_type, unique_key HAVING count(unique_key) > 1
UNION ALL SELECT 'S11: blocked, and nobody is ahead of it', id::text FROM jobs.jobs AS j
    WHERE state = 'blocked'
      AND NOT EXISTS (SELECT FROM jobs.jobs AS a WHERE a.lane = j.lane AND a.lane_pos < j.lane_pos)
UNION ALL SELECT 'it waits for an event that was emitted', id::text FROM jobs.jobs
    WHERE wait_event IN (SELECT name FROM jobs.events WHERE emitted_at IS NOT NULL)
UNION ALL SELECT 'it waits for children, and none is left', id::text FROM jobs.jobs AS j
    WHERE wait_event = 'jobs:children' AND NOT EXISTS (SELECT FROM jobs.jobs AS c WHERE c.parent_id = j.id)
{LIMITS}
"""

_LOOK = f"""
SELECT
    (SELECT jsonb_agg(j) FROM (
        SELECT id, job_type, priority, lane, lane_pos, ready_seq,
               CASE WHEN state <> 'pending' THEN state WHEN ready_seq IS NULL THEN 'scheduled' ELSE 'ready' END AS state,
               worker_id AS worker, token, retry_count AS retries, lost_count AS lost, alone, alone_lost_count AS alone_lost,
               rescued, wait_event AS waits_for, wait_until IS NOT NULL AS timed, parent_id, unique_key, unique_while
        FROM jobs.jobs) AS j) AS jobs,
    (SELECT jsonb_agg(jsonb_build_array(id, state, token, parent_id, retry_count, lost_count, lane, md5(h::text)))
     FROM jobs.history AS h) AS history,
    (SELECT jsonb_agg(jsonb_build_array(job_id, token, reason)) FROM jobs.attempts) AS attempts,
    (SELECT jsonb_agg(jsonb_build_array(job_id, name, state, token)) FROM jobs.steps) AS steps,
    (SELECT jsonb_agg(jsonb_build_array(name, emitted_at IS NOT NULL, payload)) FROM jobs.events) AS events,
    (SELECT jsonb_agg(job_id) FROM jobs.cancel_requests) AS requests,
    (SELECT jsonb_agg(jsonb_build_array(job_type, key, job_id, expires_at <= clock_timestamp())) FROM jobs.job_keys) AS keys,
    (SELECT jsonb_agg(jsonb_build_array(id, dead_at IS NOT NULL, expires_at > clock_timestamp())) FROM jobs.workers) AS workers,
    (SELECT jsonb_agg(jsonb_build_array(job_type, state, n)) FROM jobs.ended_counts) AS counts,
    (SELECT jsonb_agg(jsonb_build_array(job_id, token)) FROM effects) AS effects,
    (SELECT jsonb_agg(what || ': ' || which) FROM ({BROKEN}) AS broken) AS broken
"""

_OF_THE_MODEL = {"due", "gives_up", "told", "seq", "claims", "resumes", "not_started"}
_COMPARED = [one.name for one in fields(Known) if one.name not in _OF_THE_MODEL]


class Violation(AssertionError):
    """Something that must hold does not; its text says what, and of which job."""


def must(held: object, what: str) -> None:
    """Raises Violation, with this text, unless it held."""
    if not held:
        raise Violation(what)


async def prepare(conn: Connection) -> None:
    """Make a migrated database fit for walks."""
    await execute(conn, PREPARE)


async def empty(conn: Connection) -> None:
    """Nothing is left of the walk before."""
    await execute(conn, EMPTY)


async def check(conn: Connection, model: Model, fingerprints: dict[int, str]) -> None:
    """Raises Violation. fingerprints: of the rows of history, by id, which this fills: what has ended stays as it is."""
    seen = await fetch_one(conn, _LOOK)
    assert seen is not None
    seen = {name: rows or [] for name, rows in seen.items()}
    if seen["broken"]:
        raise Violation("; ".join(seen["broken"]))
    for *_, fingerprint in seen["history"]:
        job_id = _[0]
        if fingerprints.setdefault(job_id, fingerprint) != fingerprint:
            raise Violation(f"S9: job {job_id} has ended, and its history was changed")
    for what, (there, wanted) in _pairs(seen, model).items():
        if there != wanted:
            raise Violation(f"{what}: {_difference(there, wanted)}")
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
    kept = [job for job in model.ended.values() if not is_counted(job)]
    counted = Counter((job.job_type, job.state) for job in model.ended.values() if is_counted(job))
    counts = Counter[tuple[str, str]]()
    for job_type, state, n in seen["counts"]:
        counts[job_type, state] += n
    return {
        "job": (jobs, {job.id: {name: getattr(job, name) for name in _COMPARED} for job in model.jobs.values()}),
        "S4: lane": (lanes, {lane: ids for lane, ids in model.lanes.items() if ids}),
        "S9: history": (
            {row[0]: row[1:-1] for row in seen["history"]},
            {j.id: [j.state, j.token, j.parent_id, j.retries, j.lost, j.lane] for j in kept},
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
        "S10: idempotency keys": (
            {(job_type, key): (job_id, expired) for job_type, key, job_id, expired in seen["keys"]},
            {place: (key.job_id, key.expired) for place, key in model.keys.items()},
        ),
        "workers": (
            {worker_id: (dead, good) for worker_id, dead, good in seen["workers"]},
            {worker_id: (worker.dead, worker.good) for worker_id, worker in model.workers.items()},
        ),
    }


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


def _count_claims(model: Model, attempts: Counter[int]) -> None:
    for job in [*model.jobs.values(), *model.ended.values()]:
        allowed = 1 + attempts[job.id] + job.resumes + job.not_started
        if job.claims > allowed:
            raise Violation(f"S7: job {job.id} was claimed {job.claims} times, {allowed} are accounted for")
