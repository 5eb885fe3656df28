-- Returns the columns of Provider. Locks nothing: every run asks this first.
SELECT state, reason, since, until, pauses, failures, succeeded_at, prober_job, prober_token, clock_timestamp() AS now
FROM {schema}.provider
