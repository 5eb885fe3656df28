-- Takes id. Returns the job, living or ended, with the columns of JobView. Locks nothing. A job that ends between the two
-- looks of other statements cannot slip through: both halves are of one snapshot.
SELECT id, job_type, queue, priority, state, input, NULL::jsonb AS result, last_error AS error, user_id, task_id, project_id,
       lane, scheduled_for, worker_id, token, retry_count, lost_count, created_at, claimed_at, started_at,
       NULL::timestamptz AS ended_at
FROM {schema}.jobs WHERE id = %(id)s
UNION ALL
SELECT id, job_type, queue, priority, state, input, result AS result, error AS error, user_id, task_id, project_id,
       lane, scheduled_for, worker_id, token, retry_count, lost_count, created_at, claimed_at, started_at,
       ended_at AS ended_at
FROM {schema}.history WHERE id = %(id)s
