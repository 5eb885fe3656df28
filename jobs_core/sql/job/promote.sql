-- Takes batch. Makes due jobs ready that need no lane's row: those without a lane, and those that kept their place in one; and
-- those that have waited long enough for the worker that they would rather run on.
-- Returns queue, job_type of each. Locks the jobs it takes, skipping those that another promotion has; a row that was claimed or
-- put back since is looked at again under its lock and passed over.
WITH due AS MATERIALIZED (
    SELECT id FROM {schema}.jobs
    WHERE ready_seq IS NULL AND state = 'pending' AND scheduled_for <= now()
      AND (lane IS NULL OR lane_pos IS NOT NULL)
    ORDER BY scheduled_for
    LIMIT %(batch)s
    FOR UPDATE SKIP LOCKED
)
UPDATE {schema}.jobs AS j SET ready_seq = nextval('{schema}.ready_seq'), preferred_worker = NULL
FROM due WHERE j.id = due.id
RETURNING j.queue, j.job_type
