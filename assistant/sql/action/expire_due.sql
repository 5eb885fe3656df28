-- Takes id. Expires a pending action whose time is over, by Postgres' clock; touches no row where it was decided, or has time left.
-- Locks the action. Its caller's transaction begins with the fence of its job, which runs, so that no event is needed.
UPDATE {schema}.pending_actions SET state = 'expired', decided_by = 'time', decided_at = clock_timestamp()
WHERE id = %(id)s AND state = 'pending' AND expires_at <= clock_timestamp()
