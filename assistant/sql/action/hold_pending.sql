-- Takes user_id (null: anybody), limit. Returns the columns of actions that wait for a decision, which this person may make by id or role: the newest of
-- them, the oldest first. Locks them, in that order: whoever decides about one meanwhile waits, and then sees the cards that are owed of it here.
SELECT id, session_id, claude_session_id, turn_id, job_id, user_id, agent, call_id, tool, arguments, digest, edited_arguments,
       edited_digest, state, asked_by, may_decide, has_read, created_at, expires_at, decided_by, decided_at, reason,
       executing_token, executing_at, ended_at, failed, result_digest
FROM {schema}.pending_actions
WHERE state = 'pending' AND id IN (
    SELECT a.id FROM {schema}.pending_actions AS a
    WHERE a.state = 'pending' AND a.expires_at > clock_timestamp()
      AND (%(user_id)s::text IS NULL OR a.may_decide && ARRAY(
          SELECT unnest(ARRAY[u.id, 'role:' || u.role]) FROM {schema}.users AS u WHERE u.id = %(user_id)s OR u.merged_into = %(user_id)s
      ))
    ORDER BY a.id DESC LIMIT %(limit)s
)
ORDER BY id
FOR NO KEY UPDATE
