-- Takes id. Settles the action, if its job ended and left it open; see action/end_with_jobs, which does so for all. Returns
-- its columns, or no row. Waits for whoever has the action locked, and holds nothing while it does.
UPDATE {schema}.pending_actions AS a
SET state = CASE state WHEN 'executing' THEN 'unknown' ELSE 'cancelled' END,
    ended_at = CASE state WHEN 'executing' THEN NULL ELSE clock_timestamp() END,
    reason = coalesce(reason, 'its job has ended')
WHERE id = %(id)s AND state IN ('pending', 'approved', 'executing')
  AND NOT EXISTS (SELECT FROM {schema}.jobs AS j WHERE j.id = a.job_id)
RETURNING id, session_id, claude_session_id, turn_id, job_id, user_id, agent, call_id, tool, arguments, digest, edited_arguments,
       edited_digest, state, asked_by, may_decide, has_read, created_at, expires_at, decided_by, decided_at, reason,
       executing_token, executing_at, ended_at, failed, result_digest
