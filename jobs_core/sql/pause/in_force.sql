-- Returns the pauses whose time is not over, the oldest first, with the columns of Pause. Locks nothing.
SELECT queue, job_type, because, reason, set_by, started_at, until
FROM {schema}.pauses
WHERE until IS NULL OR until > clock_timestamp()
ORDER BY started_at, queue, job_type
