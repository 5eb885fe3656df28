-- Takes the columns of Letters (states; job_type, queue, user_id, lane, ids: null, any of them), redriven (whether those that have a
-- successor count, too), first, next (the span of ended_at, null: open), after_at, after_id (null: from the first), batch.
-- Returns ended_at, id of the dead letters that ended next, in that order. Locks nothing.
-- Sent unprepared, as history/newest; that none is complete is said for the index.
SELECT h.ended_at, h.id
FROM {schema}.history AS h
WHERE h.state <> 'complete' AND h.state = ANY(%(states)s::text[])
  AND (%(job_type)s::text IS NULL OR h.job_type = %(job_type)s)
  AND (%(queue)s::text IS NULL OR h.queue = %(queue)s)
  AND (%(user_id)s::text IS NULL OR h.user_id = %(user_id)s)
  AND (%(lane)s::text IS NULL OR h.lane = %(lane)s)
  AND (%(ids)s::bigint[] IS NULL OR h.id = ANY(%(ids)s::bigint[]))
  AND (%(redriven)s OR NOT EXISTS (SELECT FROM {schema}.redrives AS r WHERE r.job_id = h.id))
  AND h.ended_at >= coalesce(%(first)s::timestamptz, '-infinity') AND h.ended_at < coalesce(%(next)s::timestamptz, 'infinity')
  AND (%(after_id)s::bigint IS NULL OR (h.ended_at, h.id) > (%(after_at)s::timestamptz, %(after_id)s::bigint))
ORDER BY h.ended_at, h.id LIMIT %(batch)s
