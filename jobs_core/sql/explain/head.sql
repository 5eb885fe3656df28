-- Takes lane, lane_pos (of a job that stands in it), most. Returns id of the lane's head, and ahead: how many stand before that
-- job, counted up to most.
SELECT (SELECT id FROM {schema}.jobs WHERE lane = %(lane)s AND lane_pos IS NOT NULL ORDER BY lane_pos LIMIT 1) AS id,
       (
           SELECT count(*) FROM (
               SELECT FROM {schema}.jobs WHERE lane = %(lane)s AND lane_pos < %(lane_pos)s
               ORDER BY lane, lane_pos LIMIT %(most)s
           ) AS first
       ) AS ahead
