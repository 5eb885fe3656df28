-- Takes session_id of a chat. Returns the columns of its action that is pending, or no row: a chat's turns run one at a time, and a
-- turn waits for one action at a time. One whose job has ended waits for nothing. Locks nothing.
SELECT id, session_id, claude_session_id, turn_id, job_id, user_id, agent, call_id, tool, arguments, digest, edited_arguments,
       edited_digest, state, asked_by, may_decide, has_read, created_at, expires_at, decided_by, decided_at, reason,
       executing_token, executing_at, ended_at, failed, result_digest
FROM {schema}.pending_actions
WHERE session_id = %(session_id)s AND state = 'pending' AND EXISTS (SELECT FROM {schema}.jobs AS j WHERE j.id = job_id)
ORDER BY id DESC
LIMIT 1
