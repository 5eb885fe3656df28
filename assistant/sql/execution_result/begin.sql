-- Takes schedule_id, schedule_name (null: of a job made by hand), agent_name, user_id, session_id, job_id, due_at. Begins the result of a
-- job; touches no row where an earlier run of it has.
INSERT INTO {schema}.agent_execution_results (schedule_id, schedule_name, agent_name, user_id, session_id, job_id, due_at)
VALUES (%(schedule_id)s, %(schedule_name)s, %(agent_name)s, %(user_id)s, %(session_id)s, %(job_id)s, %(due_at)s)
ON CONFLICT (job_id) DO NOTHING
