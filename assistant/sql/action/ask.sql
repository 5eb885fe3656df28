-- Takes the columns of an action that is new. Writes it, pending; a second action for the same call violates
-- pending_actions_claude_session_id_call_id_key. Part of the transaction in which its job begins to wait for it, which is fenced. Returns its
-- columns.
INSERT INTO {schema}.pending_actions (id, session_id, claude_session_id, turn_id, job_id, user_id, agent, call_id, tool, arguments,
                                      digest, asked_by, may_decide, has_read, expires_at)
VALUES (%(id)s, %(session_id)s, %(claude_session_id)s, %(turn_id)s, %(job_id)s, %(user_id)s, %(agent)s, %(call_id)s, %(tool)s,
        %(arguments)s, %(digest)s, %(asked_by)s, %(may_decide)s, %(has_read)s::jsonb, %(expires_at)s)
RETURNING id, session_id, claude_session_id, turn_id, job_id, user_id, agent, call_id, tool, arguments, digest, edited_arguments,
       edited_digest, state, asked_by, may_decide, has_read, created_at, expires_at, decided_by, decided_at, reason,
       executing_token, executing_at, ended_at, failed, result_digest
