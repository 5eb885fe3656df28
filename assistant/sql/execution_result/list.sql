-- Takes schedule_id, agent_name (each null: of any), before_id (null: from the newest), limit. Returns the columns of results, newest first;
-- status is also `waiting`: its job waits, for somebody to approve a call, or for money. Locks nothing.
SELECT id, schedule_id, schedule_name, agent_name, user_id, session_id, job_id, turn_id,
       CASE WHEN status = 'running' AND EXISTS (
           SELECT FROM {schema}.jobs AS j WHERE j.id = r.job_id AND j.state = 'waiting'
       ) THEN 'waiting' ELSE status END AS status,
       result_content, due_at, started_at, ended_at
FROM {schema}.agent_execution_results AS r
WHERE (%(schedule_id)s::bigint IS NULL OR schedule_id = %(schedule_id)s)
  AND (%(agent_name)s::text IS NULL OR agent_name = %(agent_name)s)
  AND (%(before_id)s::bigint IS NULL OR id < %(before_id)s)
ORDER BY id DESC
LIMIT %(limit)s
