-- Takes worker_id. Returns one row while that worker's lease is good, none when it is not.
-- Locks its row FOR SHARE until the caller's transaction ends, so that nobody can bury the worker while it claims.
SELECT FROM {schema}.workers
WHERE id = %(worker_id)s AND dead_at IS NULL AND expires_at > clock_timestamp()
FOR SHARE
