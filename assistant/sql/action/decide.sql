-- Takes id, digest, state (approved, rejected, expired, superseded), by, reason, edited_arguments, edited_digest.
-- Decides an action, once: returns its columns; no row: it is not pending any more, its time is over, its job has ended, or its
-- arguments have another digest. Locks the action; the event is emitted after, in the same transaction (event/emit).
-- Why it is right when two race: the second waits for the first one's commit, and then finds it decided. A job that is being ended
-- may end after this: nobody runs then what was approved.
UPDATE {schema}.pending_actions
SET state = %(state)s, decided_by = %(by)s, decided_at = clock_timestamp(), reason = %(reason)s,
    edited_arguments = %(edited_arguments)s, edited_digest = %(edited_digest)s
WHERE id = %(id)s AND state = 'pending' AND digest = %(digest)s
  AND (expires_at > clock_timestamp() OR %(state)s::text = 'expired')
  AND EXISTS (SELECT FROM {schema}.jobs AS j WHERE j.id = job_id)
RETURNING id, session_id, claude_session_id, turn_id, job_id, user_id, agent, call_id, tool, arguments, digest, edited_arguments,
       edited_digest, state, asked_by, may_decide, has_read, created_at, expires_at, decided_by, decided_at, reason,
       executing_token, executing_at, ended_at, failed, result_digest
