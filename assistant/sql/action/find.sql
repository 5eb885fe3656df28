-- Takes id. Returns the columns of the action, or no row. Locks nothing.
SELECT id, session_id, claude_session_id, turn_id, job_id, user_id, agent, call_id, tool, arguments, digest, edited_arguments,
       edited_digest, state, asked_by, may_decide, has_read, created_at, expires_at, decided_by, decided_at, reason,
       executing_token, executing_at, ended_at, failed, result_digest
FROM {schema}.pending_actions
WHERE id = %(id)s
