-- Takes schedule_id (null: of all). Returns job_id of results that are running though their jobs have ended: cancelled, given up, or lost too often.
-- Locks nothing.
-- Why it is right when their jobs end just now: a turn's end and its job's are one transaction, and one statement sees both or neither.
SELECT r.job_id FROM {schema}.agent_execution_results AS r
WHERE r.status = 'running' AND (%(schedule_id)s::bigint IS NULL OR r.schedule_id = %(schedule_id)s)
  AND NOT EXISTS (SELECT FROM {schema}.jobs AS j WHERE j.id = r.job_id)
ORDER BY r.id
LIMIT 100
