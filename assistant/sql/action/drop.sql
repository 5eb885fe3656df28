-- Takes id, reason. Cancels an action that was approved and that nobody will ask for any more; returns its columns; no row where
-- it was begun.
-- Locks the action. Its caller's transaction begins with the job's fence.
UPDATE {schema}.pending_actions SET state = 'cancelled', ended_at = clock_timestamp(), reason = %(reason)s
WHERE id = %(id)s AND state IN ('pending', 'approved')
RETURNING id, session_id, claude_session_id, turn_id, job_id, user_id, agent, call_id, tool, arguments, digest, edited_arguments,
       edited_digest, state, asked_by, may_decide, has_read, created_at, expires_at, decided_by, decided_at, reason,
       executing_token, executing_at, ended_at, failed, result_digest
