-- Returns the live workers, oldest first.
SELECT id, host, pid, queues, job_types, slots, started_at, expires_at FROM {schema}.workers
WHERE dead_at IS NULL AND expires_at > clock_timestamp()
ORDER BY id
