-- Takes nothing. Settles what its job left open when it ended: nobody will run what was not begun, and what was, nobody knows of.
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
