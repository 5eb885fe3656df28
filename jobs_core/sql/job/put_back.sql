-- Takes id, token, delay_s (0 or less: ready now), charge (1 spends a retry, 0 does not), error (null keeps the last one).
-- Touches one row, or none: the lease is lost.
-- Locks the job. It keeps its place in its lane, so no lane is locked. Fenced like job/start.
UPDATE {schema}.jobs
SET state = 'pending', worker_id = NULL, retry_count = retry_count + %(charge)s,
    last_error = coalesce(%(error)s, last_error),
    ready_seq = CASE WHEN %(delay_s)s <= 0 THEN nextval('{schema}.ready_seq') END,
    scheduled_for = CASE WHEN %(delay_s)s <= 0 THEN scheduled_for
                         ELSE clock_timestamp() + make_interval(secs => %(delay_s)s) END
WHERE id = %(id)s AND token = %(token)s AND state NOT IN ('pending', 'blocked', 'waiting')
