-- Takes ids, first, next (the span of ended_at, null: open). Returns id, state of those of the jobs that ended in that span. Locks
-- nothing. Sent unprepared, as history/newest.
SELECT id, state FROM {schema}.history
WHERE id = ANY(%(ids)s::bigint[])
  AND ended_at >= coalesce(%(first)s::timestamptz, '-infinity') AND ended_at < coalesce(%(next)s::timestamptz, 'infinity')
