-- Takes job_types, now (null: Postgres' own), batch. Returns schedules of these types that are due, at most a batch, and now. With `now`
-- a drill says what time it is.
-- Locks them until the caller's transaction ends. Why it is right when two race: what another holds is passed over, and what another
-- has moved on is looked at again under the lock, and no longer due. Each type is walked through its own part of the index, so that
-- types that this process does not know cost it nothing.
SELECT s.id, s.name, s.job_type, s.input, s.user_id, s.zone, s.cron, s.every_s, s.anchor, s.at, s.jitter_s, s.missed, s.missed_max,
       s.missed_window_s, s.overlap, s.source, s.paused_at, s.paused_why, s.failures, s.seen_until, s.next_at, s.created_at, s.changed_at,
       coalesce(%(now)s::timestamptz, now()) AS now
FROM unnest(%(job_types)s::text[]) AS t (job_type)
CROSS JOIN LATERAL (
    SELECT * FROM {schema}.schedules
    WHERE job_type = t.job_type AND next_at IS NOT NULL AND next_at <= coalesce(%(now)s::timestamptz, now())
    ORDER BY next_at
    LIMIT %(batch)s
    FOR NO KEY UPDATE SKIP LOCKED
) AS s
LIMIT %(batch)s
