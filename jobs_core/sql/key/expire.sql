-- Takes batch. Deletes at most that many keys whose time is over; touches a row for each. Locks them; those that a create is
-- taking over are passed by.
WITH due AS MATERIALIZED (
    SELECT job_type, key FROM {schema}.job_keys
    WHERE expires_at <= clock_timestamp()
    ORDER BY expires_at
    LIMIT %(batch)s
    FOR UPDATE SKIP LOCKED
)
DELETE FROM {schema}.job_keys AS k USING due WHERE k.job_type = due.job_type AND k.key = due.key
