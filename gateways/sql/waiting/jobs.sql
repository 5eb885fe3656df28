-- Takes lane. Returns id of the jobs in it that have not ended, in their order. Locks nothing.
SELECT id FROM {schema}.jobs WHERE lane = %(lane)s AND lane_pos IS NOT NULL ORDER BY lane_pos
