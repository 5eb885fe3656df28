-- Takes ids of jobs that the caller has just ended or put back, in this transaction: their rows are its own until it commits,
-- so that the slots they hold are those of the claims that it ended. Frees these; touches a row for each.
-- Locks the slots, in order: whoever sets a limit locks them in the same.
WITH held AS MATERIALIZED (
    SELECT key, n FROM {schema}.limit_slots
    WHERE job_id = ANY(%(ids)s::bigint[])
    ORDER BY key, n
    FOR UPDATE
)
UPDATE {schema}.limit_slots AS s SET job_id = NULL, token = NULL
FROM held
WHERE s.job_id = ANY(%(ids)s::bigint[]) AND s.key = held.key AND s.n = held.n  -- or a table that was small is read whole
