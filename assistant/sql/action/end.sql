-- Takes id, failed, result_digest. Records what became of an action that is executing; touches no row where it is not.
-- Locks the action. Its caller's transaction begins with the job's fence.
UPDATE {schema}.pending_actions
SET state = 'executed', ended_at = clock_timestamp(), failed = %(failed)s, result_digest = %(result_digest)s
WHERE id = %(id)s AND state = 'executing'
