-- Takes id. Settles the action, if its job ended and left it open; see action/end_with_jobs, which does so for all. Waits for whoever
-- has the action locked, and holds nothing while it does.
UPDATE {schema}.pending_actions AS a
SET state = CASE state WHEN 'executing' THEN 'unknown' ELSE 'cancelled' END,
    ended_at = CASE state WHEN 'executing' THEN NULL ELSE clock_timestamp() END,
    reason = coalesce(reason, 'its job has ended')
WHERE id = %(id)s AND state IN ('pending', 'approved', 'executing')
  AND NOT EXISTS (SELECT FROM {schema}.jobs AS j WHERE j.id = a.job_id)
