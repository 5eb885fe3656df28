-- Takes id, digest, state (executed, cancelled), said. Closes an action of which nobody knew whether it ran, once; said is added to
-- its reason. Returns its columns; no row: it is not unknown, or has another digest. Locks the action.
-- Why it is right when two race: the second waits for the first one's commit, and then finds it closed.
UPDATE {schema}.pending_actions
SET state = %(state)s, ended_at = clock_timestamp(), reason = concat_ws('; ', reason, %(said)s::text)
WHERE id = %(id)s AND state = 'unknown' AND digest = %(digest)s
RETURNING id, session_id, claude_session_id, turn_id, job_id, user_id, agent, call_id, tool, arguments, digest, edited_arguments,
       edited_digest, state, asked_by, may_decide, has_read, created_at, expires_at, decided_by, decided_at, reason,
       executing_token, executing_at, ended_at, failed, result_digest
