-- Takes id, token, state (complete, failed), result (jsonb text or null), error.
-- Returns lane, lane_pos of the job, which moved to history; no row: the lease is lost and nothing changed.
-- Locks the job. A job in a lane is ended with its lane's row locked before, in a statement of its own (lane/lock), and its
-- lane promoted after (lane/promote), in one transaction. Fenced like job/start.
WITH ended AS (
    DELETE FROM {schema}.jobs
    WHERE id = %(id)s AND token = %(token)s AND state NOT IN ('pending', 'blocked', 'waiting')
    RETURNING *
)
INSERT INTO {schema}.history (id, job_type, queue, priority, state, input, result, error, user_id, task_id, project_id, lane,
                              lane_pos, scheduled_for, worker_id, token, retry_count, lost_count, created_at, claimed_at,
                              started_at)
SELECT id, job_type, queue, priority, %(state)s, input, %(result)s::jsonb, %(error)s, user_id, task_id, project_id, lane,
       lane_pos, scheduled_for, worker_id, %(token)s, retry_count, lost_count, created_at, claimed_at, started_at
FROM ended
RETURNING lane, lane_pos
