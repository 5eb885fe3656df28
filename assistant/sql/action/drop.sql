-- Takes id, reason. Cancels an action that was approved and that nobody will ask for any more; touches no row where it was begun.
-- Locks the action. Its caller's transaction begins with the job's fence.
UPDATE {schema}.pending_actions SET state = 'cancelled', ended_at = clock_timestamp(), reason = %(reason)s
WHERE id = %(id)s AND state IN ('pending', 'approved')
