-- Takes id, first, next (the span of ended_at, null: open). Returns the job of that id, or else the one of the next lower id,
-- if it ended in that span, with the columns of JobView; of another one input and result are null. Locks nothing.
-- Sent unprepared, as history/newest.
SELECT id, job_type, queue, priority, state, CASE WHEN id = %(id)s THEN input END AS input,
       CASE WHEN id = %(id)s THEN result END AS result, error, user_id, task_id, project_id, lane, unique_key, retention,
       scheduled_for, NULL::timestamptz AS give_up_at, worker_id, token, retry_count, lost_count, created_at, claimed_at,
       started_at, ended_at, parent_id, retry_of,
       (SELECT r.successor_id FROM {schema}.redrives AS r WHERE r.job_id = history.id) AS redriven_as,
       NULL AS fair_key, NULL::smallint AS first_priority, NULL::timestamptz AS debounce_until
FROM {schema}.history
WHERE id <= %(id)s
  AND ended_at >= coalesce(%(first)s::timestamptz, '-infinity') AND ended_at < coalesce(%(next)s::timestamptz, 'infinity')
ORDER BY id DESC LIMIT 1
