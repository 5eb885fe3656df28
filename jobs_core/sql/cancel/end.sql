-- Takes id, reason, retention. Ends the job as cancelled if no worker holds it.
-- Returns one row: it moved to history; none: a worker holds it, or it has ended.
-- Locks the job, whose lane and parent the caller has locked before, in statements of their own; the lane is promoted after.
WITH ended AS (
    DELETE FROM {schema}.jobs WHERE id = %(id)s AND worker_id IS NULL
    RETURNING *
)
INSERT INTO {schema}.history (id, job_type, queue, priority, state, input, error, user_id, task_id, project_id, lane, lane_pos,
                              unique_key, unique_while, retry_of, scheduled_for, token, retry_count, lost_count,
                              created_at, claimed_at, started_at, retention, parent_id)
SELECT id, job_type, queue, coalesce(first_priority, priority), 'cancelled', input, %(reason)s, user_id, task_id, project_id, lane, lane_pos,
       unique_key, unique_while, retry_of, scheduled_for, token, retry_count, lost_count, created_at, claimed_at, started_at,
       %(retention)s, parent_id
FROM ended
RETURNING id
