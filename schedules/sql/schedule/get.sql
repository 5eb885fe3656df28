-- Takes name, id: one of them. Returns the schedule. Locks nothing.
SELECT id, name, job_type, input, user_id, zone, cron, every_s, anchor, at, jitter_s, missed, missed_max, missed_window_s, overlap, source,
       paused_at, paused_why, failures, seen_until, next_at, created_at, changed_at
FROM {schema}.schedules WHERE name = %(name)s OR id = %(id)s
