-- Takes id, token, time or else delay_s (when it is due again; past or 0: ready now), charge (1 spends a retry, 0 does not),
-- error (null keeps the last one).
-- Returns ready, or no row: the lease is lost.
-- Locks the job. It keeps its place in its lane, so no lane is locked. Fenced like job/start.
WITH due AS MATERIALIZED (
    SELECT at, at <= clock_timestamp() AS now
    FROM (SELECT coalesce(%(time)s::timestamptz, clock_timestamp() + make_interval(secs => %(delay_s)s))) AS due (at)
)
UPDATE {schema}.jobs
SET state = 'pending', worker_id = NULL, retry_count = retry_count + %(charge)s,
    last_error = coalesce(%(error)s, last_error),
    ready_seq = CASE WHEN due.now THEN nextval('{schema}.ready_seq') END,
    scheduled_for = CASE WHEN due.now THEN scheduled_for ELSE due.at END
FROM due
WHERE id = %(id)s AND token = %(token)s AND state NOT IN ('pending', 'blocked', 'waiting')
RETURNING ready_seq IS NOT NULL AS ready
