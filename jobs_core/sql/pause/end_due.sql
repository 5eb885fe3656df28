-- Ends the pauses whose time is over, and keeps the time that operators' took. Touches a row for each.
-- Locks them, skipping those that somebody holds: upkeep waits for nobody, and the next round is there for them. One that was
-- prolonged since is looked at again under its lock and stays. To claims they had ended before: this is for who idles, and is to be woken.
WITH ended AS (
    DELETE FROM {schema}.pauses WHERE ctid = ANY (ARRAY(
        SELECT ctid FROM {schema}.pauses WHERE until <= clock_timestamp() FOR UPDATE SKIP LOCKED
    ))
    RETURNING queue, job_type, because, started_at, until
), kept AS (
    INSERT INTO {schema}.paused_times (queue, job_type, started_at, ended_at)
    SELECT queue, job_type, started_at, until FROM ended WHERE because = 'operator'
)
SELECT FROM ended
