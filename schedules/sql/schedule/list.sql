-- Takes job_type, user_id, source (what sources begin with), paused (null: any), after (a name, or null: from the first), limit. Returns
-- schedules by name. Locks nothing.
SELECT id, name, job_type, input, user_id, zone, cron, every_s, anchor, at, jitter_s, missed, missed_max, missed_window_s, overlap, source,
       paused_at, paused_why, failures, seen_until, next_at, created_at, changed_at
FROM {schema}.schedules
WHERE (%(job_type)s::text IS NULL OR job_type = %(job_type)s)
  AND (%(user_id)s::text IS NULL OR user_id = %(user_id)s)
  AND (%(source)s::text IS NULL OR starts_with(source, %(source)s))
  AND (%(paused)s::boolean IS NULL OR (paused_at IS NOT NULL) = %(paused)s)
  AND (%(after)s::text IS NULL OR name > %(after)s)
ORDER BY name
LIMIT %(limit)s
