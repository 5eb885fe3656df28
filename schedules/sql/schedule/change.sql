-- Takes id and the columns of a schedule that the caller has locked. Returns it as it is then.
UPDATE {schema}.schedules
SET job_type = %(job_type)s, input = %(input)s, user_id = %(user_id)s, zone = %(zone)s, cron = %(cron)s, every_s = %(every_s)s,
    anchor = %(anchor)s, at = %(at)s, jitter_s = %(jitter_s)s, missed = %(missed)s, missed_max = %(missed_max)s,
    missed_window_s = %(missed_window_s)s, overlap = %(overlap)s, source = %(source)s, seen_until = %(seen_until)s,
    next_at = %(next_at)s, changed_at = now()
WHERE id = %(id)s
RETURNING id, name, job_type, input, user_id, zone, cron, every_s, anchor, at, jitter_s, missed, missed_max, missed_window_s, overlap, source,
       paused_at, paused_why, failures, seen_until, next_at, created_at, changed_at
