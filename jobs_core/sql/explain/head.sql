-- Takes lane, lane_pos (of a job that stands in it). Returns id of the lane's head, and ahead: how many stand before that job.
SELECT (SELECT id FROM {schema}.jobs WHERE lane = %(lane)s AND lane_pos IS NOT NULL ORDER BY lane_pos LIMIT 1) AS id,
       (SELECT count(*) FROM {schema}.jobs WHERE lane = %(lane)s AND lane_pos < %(lane_pos)s) AS ahead
