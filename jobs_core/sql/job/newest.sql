-- Takes state, job_type, queue, before_id (null: any), limit. Returns the newest jobs, living and ended, newest first, with
-- the columns of JobView. Locks nothing.
(
    SELECT id, job_type, queue, priority, state, input, NULL::jsonb AS result, last_error AS error, user_id, task_id, project_id,
           lane, scheduled_for, worker_id, token, retry_count, lost_count, created_at, claimed_at, started_at,
           NULL::timestamptz AS ended_at
    FROM {schema}.jobs
    WHERE (%(state)s::text IS NULL OR state = %(state)s) AND (%(job_type)s::text IS NULL OR job_type = %(job_type)s)
      AND (%(queue)s::text IS NULL OR queue = %(queue)s) AND (%(before_id)s::bigint IS NULL OR id < %(before_id)s)
    ORDER BY id DESC LIMIT %(limit)s
) UNION ALL (
    SELECT id, job_type, queue, priority, state, input, result AS result, error AS error, user_id, task_id, project_id,
           lane, scheduled_for, worker_id, token, retry_count, lost_count, created_at, claimed_at, started_at,
           ended_at AS ended_at
    FROM {schema}.history
    WHERE (%(state)s::text IS NULL OR state = %(state)s) AND (%(job_type)s::text IS NULL OR job_type = %(job_type)s)
      AND (%(queue)s::text IS NULL OR queue = %(queue)s) AND (%(before_id)s::bigint IS NULL OR id < %(before_id)s)
    ORDER BY id DESC LIMIT %(limit)s
)
ORDER BY id DESC LIMIT %(limit)s
