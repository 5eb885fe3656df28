-- Takes id, failed, result_digest. Records what became of an action that is executing; returns its columns; no row
-- where it is not.
-- Locks the action. Its caller's transaction begins with the job's fence.
UPDATE {schema}.pending_actions
SET state = 'executed', ended_at = clock_timestamp(), failed = %(failed)s, result_digest = %(result_digest)s
WHERE id = %(id)s AND state = 'executing'
RETURNING id, session_id, claude_session_id, turn_id, job_id, user_id, agent, call_id, tool, arguments, digest, edited_arguments,
       edited_digest, state, asked_by, may_decide, has_read, created_at, expires_at, decided_by, decided_at, reason,
       executing_token, executing_at, ended_at, failed, result_digest
