-- Takes nothing. Settles what its job left open when it ended: nobody will run what was not begun, and what was, nobody knows of.
-- Returns their columns.
-- Locks those actions, in order and without waiting: who holds one settles it, or the next look does.
-- Why it is right when others act on them: a job that has ended stays so, and what writes for a run holds its job (job/fence) until
-- it has committed.
WITH left_open AS MATERIALIZED (
    SELECT id FROM {schema}.pending_actions AS a
    WHERE state IN ('pending', 'approved', 'executing') AND NOT EXISTS (SELECT FROM {schema}.jobs AS j WHERE j.id = a.job_id)
    ORDER BY id
    FOR UPDATE SKIP LOCKED
)
UPDATE {schema}.pending_actions AS a
SET state = CASE state WHEN 'executing' THEN 'unknown' ELSE 'cancelled' END,
    ended_at = CASE state WHEN 'executing' THEN NULL ELSE clock_timestamp() END,
    reason = coalesce(reason, 'its job has ended')
FROM left_open WHERE a.id = left_open.id
RETURNING a.id, a.session_id, a.claude_session_id, a.turn_id, a.job_id, a.user_id, a.agent, a.call_id, a.tool, a.arguments, a.digest, a.edited_arguments,
       a.edited_digest, a.state, a.asked_by, a.may_decide, a.has_read, a.created_at, a.expires_at, a.decided_by, a.decided_at, a.reason,
       a.executing_token, a.executing_at, a.ended_at, a.failed, a.result_digest
