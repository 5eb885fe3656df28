"""What the tables and the files say of a trial of the points drill."""

from collections.abc import Iterator
from dataclasses import replace

from jobs_core import Connection, execute, fetch
from jobs_core.db import Row
from tests.drills.points_jobs import Files
from tests.drills.points_way import LOST, ONCE, By, Came, Point, allowed, roles
from tests.drills.records import keep_records
from tests.drills.walk import looks, tables
from tests.support import limits

_RECORD = """
CREATE TABLE drill_stale (what text NOT NULL, job_id bigint NOT NULL, token bigint NOT NULL);
CREATE FUNCTION drill_stale() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM jobs.jobs WHERE id = NEW.job_id AND token = NEW.token
                   AND (state NOT IN ('pending', 'blocked') OR to_jsonb(NEW) ->> 'state' = 'waiting')) THEN
        INSERT INTO drill_stale VALUES (TG_ARGV[0], NEW.job_id, NEW.token);
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER drill_stale AFTER INSERT OR UPDATE ON jobs.steps FOR EACH ROW
    WHEN (NOT starts_with(NEW.name, 'child:')) EXECUTE FUNCTION drill_stale('step');
CREATE TRIGGER drill_stale AFTER INSERT ON jobs.notes FOR EACH ROW EXECUTE FUNCTION drill_stale('note');
"""
"""Beside the record of who ended what: steps and notes that were written with a token that did not hold the job. (A child's end
is written with the child's token.)"""

_STALE = """
SELECT what, job_id, token FROM drill_stale
UNION ALL
SELECT 'end', m.job_id, e.token FROM drill_moves AS m JOIN drill_ends AS e USING (job_id)
WHERE m.move = 'delete'
  AND (m.token IS DISTINCT FROM e.token OR m.state NOT IN ('claimed', 'running') AND e.state <> 'cancelled')
UNION ALL SELECT 'request to cancel', job_id, NULL FROM jobs.cancel_requests
"""
"""A job that nobody holds may be cancelled."""

_ENDED = """
SELECT h.id, h.job_type, h.input ->> 'role' AS role, h.input ->> 'act' AS act, h.state, h.retry_count, h.lost_count,
       (SELECT coalesce(array_agg(a.reason ORDER BY a.token), '{}') FROM jobs.attempts AS a WHERE a.job_id = h.id) AS attempts,
       (SELECT count(*) FROM jobs.notes AS n WHERE n.job_id = h.id AND n.kind = 'log') AS lines,
       (SELECT coalesce(array_agg(e.token), '{}') FROM effects AS e WHERE e.job_id = h.id) = ARRAY[h.token] AS wrote
FROM jobs.history AS h WHERE h.input ->> 'trial' = %(trial)s
"""


async def prepare(conn: Connection) -> None:
    """Make a fresh migrated database keep the records."""
    await tables.prepare(conn)
    await keep_records(conn)
    await execute(conn, _RECORD)


async def broken_now(conn: Connection) -> list[str]:
    """What must hold at every moment, and does not: S1 to S12, as far as tables show them."""
    rows = await fetch(conn, looks.BROKEN)
    slots = await limits.wrong(conn)
    return [f"{row['what']}: {row['which']}" for row in rows] + [
        f"S12: {what}: {found}" for what, found in slots.items()
    ]


async def ended(conn: Connection, trial: str) -> list[Row]:
    """The jobs of a trial that have ended, each with what is kept of its runs."""
    return await fetch(conn, _ENDED, {"trial": trial})


def spoiled(rows: list[Row], files: Files, point: Point, fault: By) -> Iterator[str]:
    """What is wrong with the trial's jobs, all of which have ended."""
    must: dict[str, tuple[Came, ...]] = {role: (came,) for role, came in roles(point.scene).items()}
    if fault != "cut" and ONCE in point.gone:  # the process that goes has ended the one, and may have begun the next
        must |= {role: (*must[role], Came(("lost",), 1), LOST) for role in point.scene.beside}
    must[point.scene.struck] = allowed(point, fault)
    for role, ways in must.items():
        seen = [row for row in rows if row["role"] == role]
        came = _came(seen[0] if seen else None, files, role)
        more = point.more_runs if fault == "freeze" and role == point.scene.struck else 0
        if len(seen) > 1 or all(replace(came, runs=came.runs - late) not in ways for late in range(more + 1)):
            yield f"{role}: {len(seen)} such jobs, the first came to {came}, not {' or '.join(map(str, ways))}"
    for row in rows:
        charged = (row["attempts"].count("error"), row["attempts"].count("lost"))
        if (row["retry_count"], row["lost_count"]) != charged:
            yield f"{row['role']}: charged {row['retry_count']} retries and {row['lost_count']} losses, not {charged}"
        if row["act"] != "nothing" and row["wrote"] != (row["state"] == "complete"):
            yield f"{row['role']}: its effect is not there once, by the run that ended it"


async def stale(conn: Connection) -> list[str]:
    """What was ever written or ended by a token that did not hold the job; and what is left of jobs that have ended."""
    rows = await fetch(conn, _STALE)
    return [f"stale {row['what']} of job {row['job_id']}, token {row['token']}" for row in rows]


def _came(row: Row | None, files: Files, role: str) -> Came:
    runs, steps = files.noted("run", role), files.noted("step", role)
    if row is None:
        return Came(runs=runs, state="", steps=steps)
    return Came(tuple(row["attempts"]), runs, row["state"], steps, row["lines"])
