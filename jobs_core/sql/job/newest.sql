-- Takes state, job_type, queue, user_id, lane, since, until (of its creation), before_id (null: any of them), limit.
-- Returns the newest living jobs, newest first, with the columns of JobSummary. Locks nothing. Sent unprepared, as
-- history/newest.
SELECT id, job_type, queue, priority, state, last_error AS error, user_id, task_id, project_id, lane, unique_key,
       NULL AS retention, scheduled_for, give_up_at, worker_id, token, retry_count, lost_count, created_at, claimed_at,
       started_at, NULL::timestamptz AS ended_at
FROM {schema}.jobs
WHERE (%(state)s::text IS NULL OR state = %(state)s)
  AND (%(job_type)s::text IS NULL OR job_type = %(job_type)s)
  AND (%(queue)s::text IS NULL OR queue = %(queue)s)
  AND (%(user_id)s::text IS NULL OR user_id = %(user_id)s)
  AND (%(lane)s::text IS NULL OR lane = %(lane)s)
  AND (%(since)s::timestamptz IS NULL OR created_at >= %(since)s)
  AND (%(until)s::timestamptz IS NULL OR created_at < %(until)s)
  AND (%(before_id)s::bigint IS NULL OR id < %(before_id)s)
ORDER BY id DESC LIMIT %(limit)s
