-- Takes lane, whose row the caller has locked, id of its head, which has failed, and error. Holds the lane for it; where somebody
-- holds it by hand, only that job is added. lane/promote follows, and promotes nothing.
UPDATE {schema}.lanes AS l
SET head_pos = 0, held_job = %(id)s, held_at = coalesce(l.held_at, clock_timestamp()),
    held_by = coalesce(l.held_by, 'job ' || %(id)s::bigint),
    held_reason = CASE WHEN l.held_at IS NULL THEN %(error)s ELSE l.held_reason END
WHERE l.lane = %(lane)s
