-- Takes id. Expires a pending action whose time is over, by Postgres' clock; returns its columns; no row where
-- it was decided, or has time left.
-- Locks the action. Its caller's transaction begins with the fence of its job, which runs, so that no event is needed.
UPDATE {schema}.pending_actions SET state = 'expired', decided_by = 'time', decided_at = clock_timestamp()
WHERE id = %(id)s AND state = 'pending' AND expires_at <= clock_timestamp()
RETURNING id, session_id, claude_session_id, turn_id, job_id, user_id, agent, call_id, tool, arguments, digest, edited_arguments,
       edited_digest, state, asked_by, may_decide, has_read, created_at, expires_at, decided_by, decided_at, reason,
       executing_token, executing_at, ended_at, failed, result_digest
