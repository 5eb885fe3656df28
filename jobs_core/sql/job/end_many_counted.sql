-- Takes ids and tokens (arrays of equal length) of runs that completed and leave no history.
-- Returns `ids` of the jobs ended, null for none: they are gone, and counted. For the others the lease is lost; nothing changed.
-- Locks the jobs, none of which is in a lane, then its own worker's rows of ended_counts. Fenced like job/start.
-- Each array stands in a SELECT, so that the planner does not see its length: for 500 it would rather read a small table whole.
WITH ended AS (
    DELETE FROM {schema}.jobs AS j USING unnest((SELECT %(ids)s::bigint[]), (SELECT %(tokens)s::bigint[])) AS given (id, token)
    WHERE j.id = given.id AND j.token = given.token
      AND j.state NOT IN ('pending', 'blocked', 'waiting')
    RETURNING j.id, j.job_type, j.worker_id
), counted AS (
    INSERT INTO {schema}.ended_counts AS c (day, job_type, state, worker_id, n)
    SELECT (clock_timestamp() AT TIME ZONE 'UTC')::date, job_type, 'complete', worker_id, count(*)
    FROM ended GROUP BY job_type, worker_id ORDER BY job_type
    ON CONFLICT (day, job_type, state, worker_id) DO UPDATE SET n = c.n + excluded.n
)
SELECT array_agg(id) AS ids FROM ended
