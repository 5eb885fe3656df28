-- Takes job_id, turn_id (null: none began), status, result_content. Ends the result of a job that is running; returns its columns, or no
-- row: it ended before. Locks it: of two that race the second finds it ended.
UPDATE {schema}.agent_execution_results
SET status = %(status)s, result_content = %(result_content)s, turn_id = %(turn_id)s, ended_at = clock_timestamp()
WHERE job_id = %(job_id)s AND status = 'running'
RETURNING id, schedule_id, schedule_name, agent_name, user_id, session_id, job_id, turn_id, status, result_content, due_at, started_at,
    ended_at
