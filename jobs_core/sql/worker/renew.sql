-- Takes worker_id. Touches one row, or none: the lease is lost, for good; come back under a new id.
-- Locks the worker's row; a claim of its own (FOR SHARE) or a burial waits, or is waited for.
UPDATE {schema}.workers SET expires_at = clock_timestamp() + make_interval(secs => lease_s)
WHERE id = %(worker_id)s AND dead_at IS NULL AND expires_at > clock_timestamp()
