-- Takes most. Returns lane, first_job of lanes that nobody holds and whose first job is blocked all the same: it waits for an end that has been.
-- Create, settle, join, hold and release leave no such lane at their commits. Locks nothing; steps through jobs_lane.
SELECT first.lane, first.id AS first_job
FROM (
    SELECT DISTINCT ON (lane) lane, id, state FROM {schema}.jobs WHERE lane_pos IS NOT NULL ORDER BY lane, lane_pos
) AS first
JOIN {schema}.lanes AS l ON l.lane = first.lane
WHERE first.state = 'blocked' AND l.held_at IS NULL
ORDER BY first.lane LIMIT %(most)s
