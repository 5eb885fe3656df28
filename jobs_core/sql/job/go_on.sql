-- Takes batch. Makes waiting jobs ready whose time is over. Returns queue, job_type of each.
-- Locks the jobs it takes, skipping those that others have; one that an event has woken since is looked at again under its lock,
-- and passed over. The time spent waiting moves give_up_at on, but for pauses in it, which the next claim adds.
WITH over AS MATERIALIZED (
    SELECT id FROM {schema}.jobs
    WHERE wait_until <= now()
    ORDER BY wait_until
    LIMIT %(batch)s
    FOR UPDATE SKIP LOCKED
)
UPDATE {schema}.jobs AS j
SET state = 'pending', ready_seq = nextval('{schema}.ready_seq'), wait_event = NULL, wait_until = NULL, waiting_since = NULL,
    give_up_at = j.give_up_at + (clock_timestamp() - j.waiting_since)
        - make_interval(secs => {schema}.paused_s(j.queue, j.job_type, j.waiting_since))
FROM over WHERE j.id = over.id
RETURNING j.queue, j.job_type
