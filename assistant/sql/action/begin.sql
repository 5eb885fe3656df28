-- Takes id, token. Begins to execute an action that was approved; of one that is executing already nobody knows what became of it,
-- and that is written. Returns its columns; no row: it is in neither state.
-- Locks the action. Its caller's transaction begins with the job's fence.
-- Why it is right when two race: the second waits, and then finds it executing, which is unknown to it: no two let it through.
UPDATE {schema}.pending_actions
SET state = CASE state WHEN 'approved' THEN 'executing' ELSE 'unknown' END,
    executing_token = CASE state WHEN 'approved' THEN %(token)s ELSE executing_token END,
    executing_at = CASE state WHEN 'approved' THEN clock_timestamp() ELSE executing_at END
WHERE id = %(id)s AND state IN ('approved', 'executing')
RETURNING id, session_id, claude_session_id, turn_id, job_id, user_id, agent, call_id, tool, arguments, digest, edited_arguments,
       edited_digest, state, asked_by, may_decide, has_read, created_at, expires_at, decided_by, decided_at, reason,
       executing_token, executing_at, ended_at, failed, result_digest
