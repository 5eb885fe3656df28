-- Takes a schedule's columns. Makes it; returns it, or no row where its name is taken: of two at once the second waits for the first, and
-- gets none.
INSERT INTO {schema}.schedules (name, job_type, input, user_id, zone, cron, every_s, anchor, at, jitter_s, missed, missed_max, missed_window_s,
                                overlap, source, seen_until, next_at)
VALUES (%(name)s, %(job_type)s, %(input)s, %(user_id)s, %(zone)s, %(cron)s, %(every_s)s, %(anchor)s, %(at)s, %(jitter_s)s, %(missed)s,
        %(missed_max)s, %(missed_window_s)s, %(overlap)s, %(source)s, %(seen_until)s, %(next_at)s)
ON CONFLICT (name) DO NOTHING
RETURNING id, name, job_type, input, user_id, zone, cron, every_s, anchor, at, jitter_s, missed, missed_max, missed_window_s, overlap, source,
       paused_at, paused_why, failures, seen_until, next_at, created_at, changed_at
