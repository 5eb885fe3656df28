-- Takes state, job_type, queue, user_id, lane, before_id (null: any of them), first, next (the span of ended_at, null: open),
-- limit. Returns the newest jobs that ended in that span, newest first, with the columns of JobSummary. Locks nothing.
-- Sent unprepared: planned with its values, it reads the days of the span only (a plan for all values would open every day,
-- about five locks each, of which the whole server has a few thousand), and what is null is no condition.
SELECT id, job_type, queue, priority, state, error, user_id, task_id, project_id, lane, unique_key, retention, scheduled_for,
       NULL::timestamptz AS give_up_at, worker_id, token, retry_count, lost_count, created_at, claimed_at, started_at, ended_at
FROM {schema}.history
WHERE (%(state)s::text IS NULL OR state = %(state)s)
  AND (%(job_type)s::text IS NULL OR job_type = %(job_type)s)
  AND (%(queue)s::text IS NULL OR queue = %(queue)s)
  AND (%(user_id)s::text IS NULL OR user_id = %(user_id)s)
  AND (%(lane)s::text IS NULL OR lane = %(lane)s)
  AND (%(before_id)s::bigint IS NULL OR id < %(before_id)s)
  AND ended_at >= coalesce(%(first)s::timestamptz, '-infinity') AND ended_at < coalesce(%(next)s::timestamptz, 'infinity')
ORDER BY id DESC LIMIT %(limit)s
