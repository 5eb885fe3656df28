-- Takes name, id: one of them. Returns the schedule, and now. Locks it until the caller's transaction ends: an evaluator passes it over
-- meanwhile, or came first, and is waited for.
SELECT id, name, job_type, input, user_id, zone, cron, every_s, anchor, at, jitter_s, missed, missed_max, missed_window_s, overlap, source,
       paused_at, paused_why, failures, seen_until, next_at, created_at, changed_at, now() AS now
FROM {schema}.schedules WHERE name = %(name)s OR id = %(id)s
FOR NO KEY UPDATE
