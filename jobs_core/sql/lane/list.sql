-- Takes lane (null: all that are held or have jobs), held (true: only those that are held), after (a lane: those behind it), limit,
-- most. Returns them in order, with the columns of LaneView; jobs are counted up to most. Locks nothing. Sent unprepared, so
-- that one lane, and those that are held, are found by their indexes.
SELECT l.lane, counted.jobs, first.id AS first_job, first.state AS first_state, l.held_at, l.held_by, l.held_reason,
       l.held_job AS failed_job
FROM {schema}.lanes AS l
LEFT JOIN LATERAL (
    SELECT j.id, j.state FROM {schema}.jobs AS j
    WHERE j.lane = l.lane AND j.lane_pos IS NOT NULL
    ORDER BY j.lane_pos LIMIT 1
) AS first ON true
CROSS JOIN LATERAL (
    SELECT count(*) AS jobs FROM (
        SELECT FROM {schema}.jobs AS j
        WHERE j.lane = l.lane AND j.lane_pos IS NOT NULL
        ORDER BY j.lane_pos LIMIT %(most)s
    ) AS first_ones
) AS counted
WHERE (%(lane)s::text IS NULL OR l.lane = %(lane)s)
  AND (%(lane)s::text IS NOT NULL OR l.head_pos IS NOT NULL)
  AND (NOT %(held)s OR l.held_at IS NOT NULL)
  AND l.lane > %(after)s
ORDER BY l.lane LIMIT %(limit)s
