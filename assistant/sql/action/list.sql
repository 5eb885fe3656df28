-- Takes states (null: all), before_id (null: from the newest), decided_by (null: by whomever), limit. Returns the columns of
-- actions, newest first. Locks nothing.
SELECT id, session_id, claude_session_id, turn_id, job_id, user_id, agent, call_id, tool, arguments, digest, edited_arguments,
       edited_digest, state, asked_by, may_decide, has_read, created_at, expires_at, decided_by, decided_at, reason,
       executing_token, executing_at, ended_at, failed, result_digest
FROM {schema}.pending_actions
WHERE (%(states)s::text[] IS NULL OR state = ANY(%(states)s::text[])) AND (%(before_id)s::bigint IS NULL OR id < %(before_id)s)
  AND (%(decided_by)s::text[] IS NULL OR may_decide && %(decided_by)s::text[])
ORDER BY id DESC
LIMIT %(limit)s
