"""An independent record of what happened to each job, kept by triggers, and what it says about the promises.

Effects alone show little: without a fence there may be no doubled effect at all, and yet jobs completed by workers that no
longer held them. So the record compares the token that acted with the token that held.
"""

from dataclasses import dataclass

from jobs_core import Connection, execute, fetch, fetch_one

_RECORD = """
CREATE TABLE drill_moves (
    n bigint GENERATED ALWAYS AS IDENTITY, at timestamptz NOT NULL DEFAULT clock_timestamp(), job_id bigint NOT NULL,
    move text NOT NULL, state text, worker_id bigint, token bigint);
CREATE TABLE drill_ends (job_id bigint NOT NULL, state text NOT NULL, token bigint, at timestamptz DEFAULT clock_timestamp());
CREATE FUNCTION drill_move() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO drill_moves (job_id, move, state, worker_id, token)
    VALUES (OLD.id, lower(TG_OP), OLD.state, OLD.worker_id, OLD.token);
    RETURN NULL;
END $$;
CREATE TRIGGER drill_move AFTER UPDATE OF worker_id OR DELETE ON jobs.jobs FOR EACH ROW EXECUTE FUNCTION drill_move();
CREATE FUNCTION drill_end() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO drill_ends (job_id, state, token) VALUES (NEW.id, NEW.state, NEW.token);
    RETURN NULL;
END $$;
CREATE TRIGGER drill_end AFTER INSERT ON jobs.history FOR EACH ROW EXECUTE FUNCTION drill_end();
"""

_VERDICT = """
SELECT
    (SELECT count(*) FROM unnest(%(ids)s::bigint[]) AS id
     WHERE NOT EXISTS (SELECT FROM jobs.history AS h WHERE h.id = id.id)) AS lost,
    (SELECT count(*) FROM (SELECT job_id FROM drill_ends GROUP BY 1 HAVING count(*) > 1) AS twice) AS doubled,
    (SELECT count(*) FROM jobs.history WHERE state <> 'complete') AS failed,
    (SELECT count(*) FROM drill_moves AS m JOIN drill_ends AS e USING (job_id)
     WHERE m.move = 'delete' AND (m.state NOT IN ('claimed', 'running') OR m.token <> e.token)) AS stale,
    (SELECT count(*) FROM drill_moves WHERE move = 'update' AND state IN ('claimed', 'running')) AS put_back
"""

_TAKEN_BACK_S = """
SELECT extract(epoch FROM m.at - %(since)s)::double precision AS seconds FROM drill_moves AS m
WHERE m.worker_id = %(worker_id)s AND m.move = 'update' AND m.at > %(since)s
"""


@dataclass(frozen=True, slots=True)
class Verdict:
    """lost: acknowledged, not ended. doubled: ended twice. failed: ended, but not complete. stale: ended by a token that did
    not hold the job then. put_back: how often a job was taken from its holder."""

    lost: int
    doubled: int
    failed: int
    stale: int
    put_back: int


async def keep_records(conn: Connection) -> None:
    """Install the triggers."""
    await execute(conn, _RECORD)


async def verdict(conn: Connection, ids: list[int]) -> Verdict:
    """What the record says of these acknowledged jobs."""
    row = await fetch_one(conn, _VERDICT, {"ids": ids})
    assert row is not None
    return Verdict(**row)


async def taken_back_s(conn: Connection, worker_id: int, since: object) -> list[float]:
    """For each job that this worker held when it was hit: seconds until it was ready again."""
    rows = await fetch(conn, _TAKEN_BACK_S, {"worker_id": worker_id, "since": since})
    return [row["seconds"] for row in rows]
