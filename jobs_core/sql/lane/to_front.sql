-- Takes lane, whose row the caller has locked in a statement before this one, and id. That job takes the place before the first of
-- the lane, if it waits in it. Touches one row, or none: it does not.
-- Locks the job. The place is free: the job that failed, and held the lane, had one before all that wait.
UPDATE {schema}.jobs AS j
SET lane_pos = (SELECT lane_pos FROM {schema}.jobs WHERE lane = %(lane)s AND lane_pos IS NOT NULL ORDER BY lane_pos LIMIT 1) - 1
WHERE j.id = %(id)s AND j.lane = %(lane)s AND j.state = 'blocked'
