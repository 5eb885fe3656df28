-- Takes worker_ids (of workers that are gone), max_lost, batch. Returns id, token, lane, parent_id, limited, job_type, holds_lane (of its
-- type, as it was last declared) of started jobs that were lost for the max_lost-th time while alone: they end here. Locks nothing;
-- the caller ends each with its lane, fenced by that token.
SELECT id, token, lane, parent_id, limit_group IS NOT NULL AS limited, job_type,
       EXISTS (SELECT FROM {schema}.job_types AS t WHERE t.name = job_type AND t.holds_lane) AS holds_lane
FROM {schema}.jobs
WHERE worker_id = ANY(%(worker_ids)s::bigint[])
  AND state = 'running' AND coalesce(alone, limited_alone) AND alone_lost_count + 1 >= %(max_lost)s
LIMIT %(batch)s
