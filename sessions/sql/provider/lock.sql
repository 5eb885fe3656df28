-- Returns the columns of Provider. Locks the row until the caller's transaction ends: of runs that would probe at once the second
-- sees the first.
SELECT state, reason, since, until, pauses, failures, succeeded_at, prober_job, prober_token, clock_timestamp() AS now
FROM {schema}.provider FOR UPDATE
